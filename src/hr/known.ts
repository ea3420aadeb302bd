import { resolveSlots } from '../domain/ledger/slots.js';
import type { Slot } from '../domain/ledger/slots.js';
import { stateAt } from '../domain/ledger/state.js';
import type { Attributes, EmploymentStatus, EndManner, Fact, Statement, WorkerType } from '../domain/ledger/types.js';
import type { EmploymentId, Instant, LocalDate, ZoneId } from '../domain/process/ids.js';
import { compare, localDateAt } from '../domain/time/instants.js';

export type HireStatement = Extract<Statement, { kind: 'hire' }>;
export type ChangeStatement = Extract<Statement, { kind: 'change' }>;

/** What an import must know of an employment to tell what a snapshot row says that is new. Everything is of one source. */
export interface KnownEmployment {
  readonly ledgerVersion: number;
  /** Highest version among the source's facts of the employment: what corrects them must be higher. */
  readonly maxVersion: number;
  /** Today at the place of work. */
  readonly today: LocalDate;
  readonly status: EmploymentStatus;
  readonly startOn: LocalDate;
  readonly lastWorkingDay?: LocalDate;
  readonly worker: WorkerType;
  readonly zone: ZoneId;
  readonly manager: string | null;
  readonly attributes: Attributes;
  /** By what is in effect today. */
  readonly contractEnd?: LocalDate | undefined;
  readonly hire: { readonly eventId: string; readonly withdrawn: boolean; readonly statement: HireStatement };
  /** Before the start: a change stands over the hire, so that stating the hire anew would not be seen. */
  readonly isCovered: boolean;
  /** Changes that are stated and not yet in effect, by date. */
  readonly upcoming: readonly ChangeStatement[];
  readonly end?: {
    readonly eventId: string;
    readonly lastWorkingDay: LocalDate;
    readonly manner: EndManner;
    readonly noticeOn?: LocalDate;
    readonly doNotRehire?: boolean;
  };
  /** The latest leave of this stretch of work, and the return that ended it. */
  readonly leave?: {
    readonly eventId: string;
    readonly startOn: LocalDate;
    readonly returned?: { readonly eventId: string; readonly on: LocalDate };
  };
}

/** Sums up one employment from the person's facts; undefined when that source never stated a hire of it. Pure. */
export function knownOf(input: {
  readonly facts: readonly Fact[];
  readonly employmentId: EmploymentId;
  readonly source: string;
  readonly ledgerVersion: number;
  readonly now: Instant;
}): KnownEmployment | undefined {
  const own = input.facts.filter((fact) => fact.employmentId === input.employmentId && fact.source === input.source);
  const state = stateAt(input.facts, input.now).employments.find((one) => one.employmentId === input.employmentId);
  const slots = resolveSlots(own);
  const hires = contents(slots, 'hire').sort((a, b) => compare(a.statement.startOn, b.statement.startOn));
  const hire = hires.findLast((one) => one.statement.startOn === state?.startOn) ?? hires.at(-1);
  if (state === undefined || hire === undefined) return undefined;
  const today = localDateAt(input.now, state.zone);
  const standing = <K extends Statement['kind']>(kind: K) => contents(slots, kind).filter((one) => !one.withdrawn);
  const changes = standing('change').sort((a, b) => compare(a.statement.effectiveOn, b.statement.effectiveOn));
  const end = standing('end')
    .filter((one) => one.statement.lastWorkingDay >= hire.statement.startOn)
    .sort((a, b) => compare(a.statement.lastWorkingDay, b.statement.lastWorkingDay))[0];
  const leave = standing('leave')
    .filter((one) => one.statement.startOn >= hire.statement.startOn)
    .sort((a, b) => compare(a.statement.startOn, b.statement.startOn))
    .at(-1);
  const back = standing('return')
    .sort((a, b) => compare(a.statement.on, b.statement.on))
    .find((one) => leave !== undefined && one.statement.on >= leave.statement.startOn);
  const begun = changes.map((one) => one.statement).filter((one) => one.effectiveOn <= today);
  const contractEnd = begun.reduce(contractEndAfter, {
    worker: hire.statement.worker,
    endOn: hire.statement.endOn,
  }).endOn;
  return {
    ledgerVersion: input.ledgerVersion,
    maxVersion: Math.max(...own.map((fact) => fact.sourceVersion)),
    today,
    status: state.status,
    startOn: state.startOn,
    ...(state.lastWorkingDay === undefined ? {} : { lastWorkingDay: state.lastWorkingDay }),
    worker: state.worker,
    zone: state.zone,
    manager: state.manager,
    attributes: state.attributes,
    ...(contractEnd === undefined ? {} : { contractEnd }),
    hire: { eventId: hire.eventId, withdrawn: hire.withdrawn, statement: hire.statement },
    isCovered: state.status === 'pre-hire' && isCovered(input, hire.eventId, state.attributes),
    upcoming: changes.map((one) => one.statement).filter((one) => one.effectiveOn > today),
    ...(end === undefined ? {} : { end: { eventId: end.eventId, ...endWords(end.statement) } }),
    ...(leave === undefined
      ? {}
      : {
          leave: {
            eventId: leave.eventId,
            startOn: leave.statement.startOn,
            ...(back === undefined ? {} : { returned: { eventId: back.eventId, on: back.statement.on } }),
          },
        }),
  };
}

interface Content<K extends Statement['kind']> {
  readonly eventId: string;
  readonly withdrawn: boolean;
  readonly statement: Extract<Statement, { kind: K }>;
}

function contents<K extends Statement['kind']>(slots: readonly Slot[], kind: K): Content<K>[] {
  return slots.flatMap((slot) =>
    slot.content?.statement.kind === kind
      ? [
          {
            eventId: slot.content.sourceEventId,
            withdrawn: slot.withdrawn,
            statement: slot.content.statement as Extract<Statement, { kind: K }>,
          },
        ]
      : [],
  );
}

/** Asks the ledger itself: with marked values in the hire, does the state show all the marks? */
function isCovered(input: Parameters<typeof knownOf>[0], hireEventId: string, attributes: Attributes): boolean {
  const marked = Object.fromEntries(Object.keys(attributes).map((name) => [name, MARK]));
  const facts = input.facts.map((fact) =>
    fact.source === input.source && fact.sourceEventId === hireEventId && fact.statement.kind === 'hire'
      ? { ...fact, statement: { ...fact.statement, attributes: marked } }
      : fact,
  );
  const state = stateAt(facts, input.now).employments.find((one) => one.employmentId === input.employmentId);
  return Object.values(state?.attributes ?? {}).some((value) => value !== MARK);
}
const MARK = '\u0000';

interface Contract {
  readonly worker: WorkerType;
  readonly endOn: LocalDate | undefined;
}

/** As the ledger reads it: a conversion to employee without an end of its own is open-ended. */
export function contractEndAfter(contract: Contract, change: ChangeStatement): Contract {
  const worker = change.worker ?? contract.worker;
  if (change.endOn !== undefined) return { worker, endOn: change.endOn ?? undefined };
  const isConverted = worker === 'employee' && contract.worker !== 'employee';
  return { worker, endOn: isConverted ? undefined : contract.endOn };
}

function endWords(
  statement: Extract<Statement, { kind: 'end' }>,
): Omit<NonNullable<KnownEmployment['end']>, 'eventId'> {
  const { lastWorkingDay, manner, noticeOn, doNotRehire } = statement;
  return {
    lastWorkingDay,
    manner,
    ...(noticeOn === undefined ? {} : { noticeOn }),
    ...(doNotRehire === undefined ? {} : { doNotRehire }),
  };
}
