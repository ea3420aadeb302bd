import { z } from 'zod';
import { expects } from '../../hr/problems.js';
import { localDate } from '../../hr/fields.js';
import { hrRecordSchema } from '../../hr/record.js';
import { afterSchema, limitSchema } from './paging.js';

const MAX_RECORDS = 1_000;
const uuid = z.uuid(expects('a UUID'));
const note = (what: string) => z.string(expects(what)).trim().min(1, expects(what)).max(2_000, expects(what));

/** For the document; the door itself checks record by record, so that a bad one never blocks the rest. */
export const hrEvents = z.union([hrRecordSchema, z.array(hrRecordSchema).min(1).max(MAX_RECORDS)]);
export const hrEventsShape = z.union(
  [
    z.looseObject({}),
    z.array(z.unknown()).min(1, expects('1 to 1,000 events')).max(MAX_RECORDS, expects('1 to 1,000 events')),
  ],
  expects('an HR event, or an array of 1 to 1,000 of them'),
);
export const hrKnown = z.strictObject({
  source: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, expects('the name of the source system')),
  keys: z
    .array(z.strictObject({ person: z.string().min(1).max(200), employment: z.string().min(1).max(200) }))
    .max(MAX_RECORDS, expects('at most 1,000 keys')),
});
export const pageQuery = z.strictObject({ after: afterSchema, limit: limitSchema });
export const rejectionsQuery = z.strictObject({
  state: z.enum(['open', 'all'], expects('open or all')).default('open'),
  after: afterSchema,
  limit: limitSchema,
});
export const identitiesQuery = z.strictObject({
  query: z.string().max(200).optional(),
  after: afterSchema,
  limit: limitSchema,
});
export const evidenceQuery = z.strictObject({
  process: z.string().max(200).optional(),
  after: afterSchema,
  limit: limitSchema,
});
/** Events as if they had been recorded; person and employment keys as in HR events. */
export const preview = z.strictObject({
  events: z.array(z.looseObject({})).max(50, expects('at most 50 events')).default([]),
});
export const why = z.strictObject({ application: z.string(expects('the slug of an application')).min(1).max(64) });
export const cut = z.strictObject({ reason: note('a reason of 1 to 2,000 characters').optional() });
export const legalHold = z.strictObject({
  reason: note('a reason of 1 to 2,000 characters'),
  reference: z.string().trim().min(1).max(200, expects('at most 200 characters')).optional(),
});
export const legalHoldLift = z.strictObject({ reason: note('a reason of 1 to 2,000 characters') });
export const legalHoldsQuery = z.strictObject({
  state: z.enum(['standing', 'all'], expects('standing or all')).default('standing'),
  after: afterSchema,
  limit: limitSchema,
});
export const erasure = z.strictObject({
  reason: note('a reason of 1 to 2,000 characters'),
  dryRun: z.boolean(expects('true or false')).default(false).describe('Say whether it could be done; write nothing.'),
  queue: z
    .boolean(expects('true or false'))
    .default(false)
    .describe('Wait for the end of the retention duty instead of being refused.'),
});
export const cuts = z.strictObject({
  people: z
    .array(z.string(expects('a person')).trim().min(1, expects('a person')).max(300, expects('a person')))
    .min(1, expects('1 to 1,000 people'))
    .max(MAX_RECORDS, expects('1 to 1,000 people'))
    .describe('Each by id, user name, mail address or employee number, in full.'),
  reason: note('a reason of 1 to 2,000 characters'),
  dryRun: z.boolean(expects('true or false')).default(false).describe('Say whom it would cut; write nothing.'),
});
const applicationSlug = z.string(expects('the slug of an application')).min(1).max(64);
const percent = z.int(expects('a whole number from 1 to 100')).min(1).max(100);
export const migration = z
  .strictObject({
    from: applicationSlug,
    to: applicationSlug,
    people: z
      .array(z.string(expects('a person')).trim().min(1, expects('a person')).max(300, expects('a person')))
      .min(1, expects('1 to 10,000 people'))
      .max(10_000, expects('1 to 10,000 people'))
      .optional()
      .describe('Each by id, user name, mail address or employee number, in full.'),
    expression: z
      .string(expects('a CEL expression over person and employment'))
      .min(1)
      .max(2_000)
      .optional()
      .describe('Instead of a list: CEL over person and employment, for everybody with an account at `from`.'),
    waveSize: z.int(expects('a whole number of people')).min(1).max(100_000).optional(),
    percentages: z
      .array(percent)
      .min(1)
      .max(50)
      .optional()
      .describe('Cumulative shares of all, for instance [5, 25, 100].'),
    cutOverOn: localDate.optional().describe('Midnight in the zone of each person; without it the order decides.'),
    joiners: z
      .enum(['from', 'to'], expects('from or to'))
      .default('to')
      .describe('Where somebody belongs who is not on the plan and has no account at `from`.'),
    failurePercent: z
      .int(expects('a whole number from 0 to 100'))
      .min(0)
      .max(100)
      .default(10)
      .describe('A wave halts when more of its moves fail.'),
    atOnce: z.int(expects('a whole number from 1 to 1,000')).min(1).max(1_000).default(20),
    patienceSeconds: z
      .int(expects('a whole number of seconds'))
      .min(5)
      .max(86_400)
      .default(1_800)
      .describe('A step of a move that is not through by then has failed.'),
    dryRun: z.boolean(expects('true or false')).default(false).describe('Say what the plan would be; write nothing.'),
  })
  .superRefine((value, context) => {
    const issue = (path: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [path], params: { problem: 'conflict' }, message });
    };
    if (value.from === value.to) issue('to', 'expected: another application than from');
    if ((value.people === undefined) === (value.expression === undefined))
      issue('people', 'expected: either people or expression');
    if (value.waveSize !== undefined && value.percentages !== undefined)
      issue('percentages', 'expected: either waveSize or percentages');
  });
export const cutOver = z.strictObject({
  on: localDate.optional().describe('Midnight in the zone of each person; without it at once.'),
});
export const movesQuery = z.strictObject({
  wave: z.coerce.number(expects('a wave')).int(expects('a wave')).min(1).max(1_000_000).optional(),
  failed: z.stringbool(expects('true or false')).default(false),
  after: afterSchema,
  limit: limitSchema,
});
export const credential = z.strictObject({
  application: z.string(expects('the slug of an application')).min(1).max(64),
});
export const approvalsQuery = z.strictObject({
  status: z
    .enum(['pending', 'approved', 'denied', 'expired', 'withdrawn', 'all'], expects('a status or all'))
    .default('pending'),
  identity: uuid.optional(),
  after: afterSchema,
  limit: limitSchema,
});
export const decision = z.strictObject({
  verdict: z.enum(['approved', 'denied'], expects('approved or denied')),
  comment: note('a comment of 1 to 2,000 characters').optional(),
});
export const tasksQuery = z.strictObject({
  status: z.enum(['open', 'resolved', 'withdrawn', 'all'], expects('a status or all')).default('open'),
  identity: uuid.optional(),
  after: afterSchema,
  limit: limitSchema,
});
export const resolution = z
  .strictObject({
    resolution: z.enum(['retry', 'skip', 'done-by-hand'], expects('retry, skip or done-by-hand')),
    reason: note('a reason of 1 to 2,000 characters').optional(),
    proof: note('a proof of 1 to 2,000 characters').optional(),
  })
  .superRefine((value, context) => {
    if (value.resolution === 'skip' && value.reason === undefined)
      context.addIssue({
        code: 'custom',
        path: ['reason'],
        params: { problem: 'missing' },
        message: 'expected: why it may be skipped',
      });
    if (value.resolution === 'done-by-hand' && value.proof === undefined)
      context.addIssue({
        code: 'custom',
        path: ['proof'],
        params: { problem: 'missing' },
        message: 'expected: how it can be seen that it was done',
      });
  });
export const auditQuery = z.strictObject({ identity: uuid.optional(), after: afterSchema, limit: limitSchema });
export const verificationQuery = z.strictObject({ identity: uuid.optional() });
export const reportQuery = z.strictObject({
  format: z.enum(['json', 'html'], expects('json or html')).default('json'),
});
export const reportVersion = z.coerce.number(expects('a version')).int(expects('a version')).min(1).max(1_000_000);
const noticeStates = ['pending', 'sent', 'failed', 'not-configured', 'no-recipient'] as const;
export const noticesQuery = z.strictObject({
  state: z.enum([...noticeStates, 'all'], expects(`${noticeStates.join(', ')} or all`)).default('all'),
  after: afterSchema,
  limit: limitSchema,
});
export const policyCheck = z.strictObject({
  files: z.array(z.strictObject({ path: z.string().min(1).max(300), text: z.string().max(1_000_000) })).max(2_000),
});
export const accountImport = z.strictObject({
  link: z.boolean(expects('true or false')).default(false).describe('Link every strong match at the end.'),
  pageSize: z.int(expects('a whole number from 1 to 1,000')).min(1).max(1_000).default(200),
});
export const stagedQuery = z.strictObject({
  result: z
    .enum(
      ['all', 'strong', 'weak', 'ambiguous', 'orphan', 'protected', 'conflict', 'linked'],
      expects('a result or all'),
    )
    .default('all'),
  after: afterSchema,
  limit: limitSchema,
});
const nativeId = z.string(expects('the native id of an account')).min(1).max(1_000);
export const accountLink = z.strictObject({ nativeId, identityId: uuid });
export const accountUnlink = z.strictObject({
  nativeId,
  reason: note('a reason of 1 to 2,000 characters').optional(),
});
export const identityParam = uuid;
const login = z.string(expects('the login of an account')).trim().min(1, expects('the login of an account')).max(300);
const owners = z
  .array(uuid)
  .max(20, expects('up to 20 people'))
  .transform((ids) => [...new Set(ids.map((id) => id.toLowerCase()))])
  .describe('People by id. At least as many as policy wants must agree before it is removed.');
export const serviceAccount = z.strictObject({
  application: z.string(expects('the slug of an application')).min(1).max(64),
  login,
  owners: owners.default([]),
  purpose: note('what it is for, 1 to 2,000 characters').optional(),
});
export const serviceAccountOwners = z.strictObject({ owners });
export const scream = z.strictObject({ reason: note('a reason of 1 to 2,000 characters') });
const serviceAccountStates = ['open', 'kept', 'restored', 'removed', 'gone', 'left-disabled'] as const;
export const serviceAccountsQuery = z.strictObject({
  state: z.enum([...serviceAccountStates, 'all'], expects(`${serviceAccountStates.join(', ')} or all`)).default('open'),
  after: afterSchema,
  limit: limitSchema,
});
