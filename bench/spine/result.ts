import { z } from 'zod';
import { frame, goalSchema } from '../result.js';

/** What `npm run bench -- spine` prints: one JSON document. Durations in their unit's name, CPU in milliseconds. */
const count = z.number().nonnegative();
const cpu = z.record(z.string(), z.number());

const shape = z.strictObject({
  events: count,
  workflowTasks: count,
  failedWorkflowTasks: count,
  activities: count,
  localActivities: count,
  children: count,
  signalsSent: count,
  signalsReceived: count,
  updates: count,
  upserts: count,
  timers: count,
});
const pairOfShapes = z.strictObject({ parent: shape, child: shape });

const round = z.strictObject({
  round: z.int().min(1),
  kind: z.enum(['tenure', 'bare']),
  processes: count,
  seconds: z.number().positive(),
  processesPerSecond: z.number().positive(),
  cpuMsPerProcess: cpu,
});

const spread = z.strictObject({ samples: z.int(), p50: z.number(), p99: z.number(), max: z.number() });

const wave = z.strictObject({
  concurrency: z.int().min(1),
  people: z.int().min(1),
  /** Median over the rounds. */
  perMinute: z.number().positive(),
  perMinuteByRound: z.array(z.number().positive()),
  latencyMs: spread,
});

export const engineSchema = z.strictObject({
  applications: z.int(),
  concurrency: z.int(),
  rounds: z.array(round).min(2),
  tenure: z.strictObject({ processesPerSecond: z.number(), cpuMsPerProcess: cpu }),
  bare: z.strictObject({ processesPerSecond: z.number(), cpuMsPerProcess: cpu }),
  /** Median of Tenure's rounds ÷ median of the bare rounds. */
  ratio: z.number().positive(),
  ratioByRound: z.array(z.number().positive()),
  /** The same from CPU time, which a busy machine disturbs less. */
  cpuRatio: z.number(),
  /** Medians counted in recorded histories. */
  shape: pairOfShapes,
  bareShape: pairOfShapes,
});

export const processSchema = z.strictObject({
  applications: z.int(),
  accounts: z.number().positive(),
  regularActivities: count,
  localActivities: count,
  activitiesPerAccount: count,
  /** Of the process itself; what its identity workflow adds stands beside. */
  historyEvents: count,
  parentHistoryEvents: count,
  workflowTasks: count,
  databaseTransactions: count,
  cpuMs: cpu,
});

export const targetsSchema = z.strictObject({
  applications: z.array(z.string()),
  joiners: z.strictObject({
    /** From the fact's recorded instant to the first write sent to a target. */
    idle: wave,
    load: wave,
  }),
  cuts: z.strictObject({
    /** From the cut's recorded instant to the last Tier 1 proof. */
    idle: wave,
    load: wave,
    /** One cut at a time while joiners keep every slot busy. */
    behindJoiners: wave,
  }),
  cpuMsPerJoiner: cpu,
  cpuMsPerCut: cpu,
  cutsHistoryEvents: count,
  cutsRegularActivities: count,
  /** Tier 1 visits of all cuts, by what became of them. */
  tier1: z.record(z.string(), count),
  /** How far the visits' clock (the workflow's) lay behind the wall; the latencies above have it added. */
  clockBehindMs: spread,
  notCorrected: count,
});

export const resultSchema = z.strictObject({
  bench: z.literal('spine'),
  ...frame,
  settings: z.strictObject({ people: z.int(), rounds: z.int(), concurrency: z.int(), idlePeople: z.int() }),
  engine: engineSchema,
  process: processSchema,
  targets: targetsSchema,
  goals: z.array(goalSchema),
});

export type SpineResult = z.infer<typeof resultSchema>;
export type EngineResult = z.infer<typeof engineSchema>;
export type ProcessResult = z.infer<typeof processSchema>;
export type TargetsResult = z.infer<typeof targetsSchema>;
export type Round = z.infer<typeof round>;
export type Wave = z.infer<typeof wave>;
