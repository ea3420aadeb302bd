import { z } from 'zod';
import { frame, goalSchema } from '../result.js';

/** What `npm run bench -- kill-switch` prints: one JSON document. Durations in their unit's name. */
const spread = z.strictObject({ samples: z.int(), p50: z.number(), p99: z.number(), max: z.number() });

const cuts = z.strictObject({
  /** Accounts of each person, by kind of target. */
  accounts: z.record(z.string(), z.int()),
  /** From the call to the last Tier 1 proof, one cut after the other. */
  latencyMs: spread,
  /** From the cut's recorded instant, as the spine's bench has it. */
  acceptedToProvenMs: spread,
  /** Proven Tier 1 visits of all cuts: one for each account. */
  provenVisits: z.int(),
  /** How far the visits' clock (the workflow's) lay behind the wall; the latencies have it added. */
  clockBehindMs: spread,
  notCorrected: z.literal(0),
});

export const rowSchema = cuts;
export const backlogSchema = cuts.extend({
  /** Joiners recorded and told before the first cut. */
  joiners: z.int(),
  joinersPerSecondRecorded: z.number(),
  /** How many of them had not ended at the last cut: a backlog that ran out would prove nothing. */
  joinersLeft: z.int().positive(),
});

const bare = z.strictObject({ processes: z.int(), seconds: z.number(), perSecond: z.number() });
export const manySchema = z.strictObject({
  people: z.int(),
  accounts: z.record(z.string(), z.int()),
  /** From the second principal's confirmation to the last person's last Tier 1 proof. */
  tier1Seconds: z.number(),
  tier1PerSecond: z.number(),
  /** The same until nothing but retention is left of anybody. */
  seconds: z.number(),
  perSecond: z.number(),
  latencyMs: spread,
  provenVisits: z.int(),
  clockBehindMs: spread,
  notCorrected: z.literal(0),
  /** Workflows of the same shape whose activities do nothing, on the same server in the same run. */
  bare,
  /** Cuts per second ÷ bare processes per second. */
  ratio: z.number(),
  historyEvents: z.number(),
  parentHistoryEvents: z.number(),
});

export const resultSchema = z.strictObject({
  bench: z.literal('kill-switch'),
  ...frame,
  settings: z.strictObject({
    cuts: z.int(),
    accounts: z.int(),
    backlog: z.int(),
    backlogCuts: z.int(),
    people: z.int(),
  }),
  /** Only the parts that were asked for. */
  parts: z.strictObject({
    row: rowSchema.exactOptional(),
    backlog: backlogSchema.exactOptional(),
    many: manySchema.exactOptional(),
  }),
  goals: z.array(goalSchema),
});

export type KillSwitchResult = z.infer<typeof resultSchema>;
export type RowResult = z.infer<typeof rowSchema>;
export type BacklogResult = z.infer<typeof backlogSchema>;
export type ManyResult = z.infer<typeof manySchema>;
