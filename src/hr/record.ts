import { z } from 'zod';
import type { Statement } from '../domain/ledger/types.js';
import { attributes, instant, localDate, text, zone } from './fields.js';
import { expects, problemsOf } from './problems.js';
import type { Problem } from './problems.js';

/** Key texts of the source system: opaque to us, compared as they are. */
const key = text(200);
const manager = key.nullable();
const worker = z.enum(['employee', 'contractor'], expects('employee or contractor'));
const flag = z.boolean(expects('true or false'));

const envelope = {
  source: z
    .string(expects('the name of the source system'))
    .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, expects('1 to 64 of a-z, 0-9, dot, dash, underscore'))
    // What Tenure states by itself (a cut) has this source; nobody else may speak in its name.
    .refine((source) => source !== 'tenure', expects('a name other than tenure')),
  eventId: key,
  version: z.int(expects('a whole number from 1')).min(1).max(1_000_000_000).default(1),
  corrects: key.optional(),
  person: key,
  employment: key,
};

const hire = z.strictObject({
  ...envelope,
  kind: z.literal('hire'),
  startOn: localDate,
  zone,
  worker,
  endOn: localDate.optional(),
  primary: flag.optional(),
  manager: manager.optional(),
  attributes,
});
const change = z.strictObject({
  ...envelope,
  kind: z.literal('change'),
  effectiveOn: localDate,
  zone: zone.optional(),
  worker: worker.optional(),
  endOn: localDate.nullable().optional(),
  primary: flag.optional(),
  manager: manager.optional(),
  attributes: attributes.optional(),
});
const end = z.strictObject({
  ...envelope,
  kind: z.literal('end'),
  lastWorkingDay: localDate,
  manner: z.enum(
    ['voluntary', 'immediate', 'contract-end', 'retirement', 'death', 'other'],
    expects('voluntary, immediate, contract-end, retirement, death or other'),
  ),
  at: instant.optional(),
  noticeOn: localDate.optional(),
  doNotRehire: flag.optional(),
});
const leave = z.strictObject({
  ...envelope,
  kind: z.literal('leave'),
  startOn: localDate,
  expectedEndOn: localDate.optional(),
});
const comeBack = z.strictObject({ ...envelope, kind: z.literal('return'), on: localDate });
const withdraw = z.strictObject({ ...envelope, kind: z.literal('withdraw') });

/** The wire form of one HR event, strict: a field we do not know is refused by name, never ignored. */
export const hrRecordSchema = z
  .discriminatedUnion(
    'kind',
    [hire, change, end, leave, comeBack, withdraw],
    expects('hire, change, end, leave, return or withdraw'),
  )
  .superRefine((record, context) => {
    for (const found of contradictions(record))
      context.addIssue({
        code: 'custom',
        path: [found.path],
        params: { problem: found.message },
        message: `expected: ${found.expected}`,
      });
  });
type WireRecord = z.infer<typeof hrRecordSchema>;
/** What may be sent, before defaults. */
export type HrRecordInput = z.input<typeof hrRecordSchema>;

/** One HR event, checked. `person` and `employment` are the source's keys. */
export interface HrRecord {
  readonly source: string;
  readonly eventId: string;
  readonly version: number;
  readonly corrects?: string;
  readonly person: string;
  readonly employment: string;
  readonly statement: Statement;
}

export type ParsedRecord =
  { readonly ok: true; readonly record: HrRecord } | { readonly ok: false; readonly problems: readonly Problem[] };

/** Checks one record of unknown origin. Pure; every problem names its field and what was expected, and repeats no value. */
export function parseRecord(value: unknown): ParsedRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { ok: false, problems: [{ path: '', message: 'wrong type', expected: 'an object (one HR event)' }] };
  const parsed = hrRecordSchema.safeParse(value, { reportInput: true });
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error) };
  const { source, eventId, version, corrects, person, employment, ...statement } = parsed.data;
  return {
    ok: true,
    record: {
      source,
      eventId,
      version,
      ...(corrects === undefined ? {} : { corrects }),
      person,
      employment,
      statement: withoutUndefined(statement) as Statement,
    },
  };
}

function contradictions(record: WireRecord): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: string, message: string, expected: string): void => {
    problems.push({ path, message, expected });
  };
  if (record.corrects === record.eventId)
    refuse('corrects', 'names its own event', 'another event, or no `corrects` and a higher version of this event');
  switch (record.kind) {
    case 'hire':
      if (record.worker === 'contractor' && record.endOn === undefined)
        refuse('endOn', 'missing', 'the contract end (last working day): every contractor has one');
      if (record.endOn !== undefined && record.endOn < record.startOn)
        refuse('endOn', 'before the start', 'a date on or after startOn');
      if (!['givenName', 'familyName', 'displayName'].some((name) => hasText(record.attributes, name)))
        refuse('attributes.familyName', 'missing', 'givenName, familyName or displayName');
      if (record.manager === record.person) refuse('manager', 'is the person itself', 'another person or null');
      break;
    case 'change':
      if (record.worker === 'contractor' && record.endOn === null)
        refuse('endOn', 'missing', 'the contract end (last working day): every contractor has one');
      if (typeof record.endOn === 'string' && record.endOn < record.effectiveOn)
        refuse('endOn', 'before the change', 'a date on or after effectiveOn; to end earlier send `end`');
      if (record.manager === record.person) refuse('manager', 'is the person itself', 'another person or null');
      break;
    case 'end':
      if (record.at !== undefined && record.manner !== 'immediate')
        refuse('at', 'only for an immediate end', 'no `at`, or manner immediate');
      if (record.noticeOn !== undefined && record.noticeOn > record.lastWorkingDay)
        refuse('noticeOn', 'after the last working day', 'a date on or before lastWorkingDay');
      break;
    case 'leave':
      if (record.expectedEndOn !== undefined && record.expectedEndOn < record.startOn)
        refuse('expectedEndOn', 'before the start', 'a date on or after startOn');
      break;
    case 'withdraw':
      if (record.corrects === undefined) refuse('corrects', 'missing', 'the event that is withdrawn');
      break;
    case 'return':
      break;
  }
  return problems;
}

function hasText(values: Readonly<Record<string, unknown>>, name: string): boolean {
  return typeof values[name] === 'string';
}

function withoutUndefined(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));
}
