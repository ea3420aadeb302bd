import { z } from 'zod';

const instant = z.iso.datetime();
const maybe = <T extends z.ZodType>(schema: T) => schema.nullable();

const check = z.strictObject({
  at: instant,
  check: z.string(),
  road: z.string(),
  verdict: z.enum(['proven', 'refuted', 'pending', 'unprovable']),
  code: maybe(z.string()),
  /** SHA-256 of what was seen; what was seen stays encrypted in the database. */
  seenHash: z.string(),
});

const action = z.strictObject({
  application: z.string(),
  /** Of the account, when the person had it. */
  login: maybe(z.string()),
  tier: maybe(z.enum(['T1', 'T2', 'T3', 'T4'])),
  phase: z.string(),
  operation: z.string(),
  entitlement: maybe(z.string()),
  plannedAt: instant,
  deadlineAt: maybe(instant),
  /** `unproven`: done as far as anybody can tell, and nobody can prove it. */
  deadline: z.enum(['met', 'missed', 'open', 'unproven', 'none']),
  /** `attested`: done by a person's hands, on that person's word. */
  state: z.enum(['proven', 'attested', 'unprovable', 'refuted', 'pending', 'open', 'skipped']),
  provenAt: maybe(instant),
  checks: z.array(check),
});

const residual = z.strictObject({
  application: z.string(),
  operation: z.string(),
  what: z.string(),
  /** At the latest; null: nobody knows. */
  until: maybe(instant),
});

/** One leaver, from the end of access to the last deletion, as known at `generatedAt`. Holds personal values: what a process keeps of it is under the person's key. */
export const terminationReportSchema = z.strictObject({
  format: z.literal('tenure/termination-report/1'),
  generatedAt: instant,
  processId: z.string(),
  policyVersion: z.number(),
  state: z.string(),
  outcome: maybe(z.string()),
  person: z.strictObject({
    identityId: z.string(),
    name: maybe(z.string()),
    userName: maybe(z.string()),
    mail: maybe(z.string()),
  }),
  effectiveAt: instant,
  knownAt: maybe(instant),
  noticeAt: maybe(instant),
  /** Only when the end was known after it had come: what the accounts could still do, from `from` until each was proven closed. */
  exposure: maybe(
    z.strictObject({
      from: instant,
      knownAt: instant,
      until: maybe(instant),
      accounts: z.array(z.strictObject({ application: z.string(), login: maybe(z.string()), until: maybe(instant) })),
    }),
  ),
  summary: z.strictObject({
    actions: z.int(),
    proven: z.int(),
    attested: z.int(),
    unproven: z.int(),
    met: z.int(),
    missed: z.int(),
    open: z.int(),
  }),
  actions: z.array(action),
  residual: z.array(residual),
  /** What people were asked and decided. */
  decisions: z.array(
    z.strictObject({
      application: maybe(z.string()),
      kind: z.string(),
      code: z.string(),
      askedAt: instant,
      resolution: maybe(z.string()),
      resolvedAt: maybe(instant),
    }),
  ),
  /** The head of the person's audit chain: what the chain said when the report was made. */
  audit: maybe(z.strictObject({ records: z.int(), hash: z.string() })),
});

export type TerminationReport = z.output<typeof terminationReportSchema>;
export type ReportAction = TerminationReport['actions'][number];
