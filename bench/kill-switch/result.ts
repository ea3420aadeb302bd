import { z } from 'zod';
import { goalSchema, machineSchema } from '../result.js';

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

export const oneSchema = cuts;
export const resultSchema = z.strictObject({
  bench: z.literal('kill-switch'),
  format: z.literal(1),
  startedAt: z.iso.datetime(),
  tookSeconds: z.number(),
  command: z.string(),
  machine: machineSchema,
  settings: z.strictObject({
    cuts: z.int(),
    accounts: z.int(),
  }),
  parts: z.strictObject({ one: oneSchema }),
  goals: z.array(goalSchema),
});

export type KillSwitchResult = z.infer<typeof resultSchema>;
export type OneResult = z.infer<typeof oneSchema>;
