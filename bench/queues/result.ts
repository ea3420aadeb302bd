import { z } from 'zod';
import { frame, goalSchema } from '../result.js';

/** What `npm run bench -- queues` prints: one JSON document. */
const waits = z.strictObject({ samples: z.int().min(1), p50: z.number(), p99: z.number(), max: z.number() });

const pass = z.strictObject({
  round: z.int().min(1),
  /** From the start of the process until it serves all queues, and what the queues alone took of it. */
  startMs: z.number().positive(),
  queuesMs: z.number().positive(),
  workerRssMb: z.number().positive(),
  /** What Temporal's dev server grew by when the worker came. */
  serverGrowthMb: z.number(),
  /** TCP connections from the worker to Temporal. */
  connections: z.int().nonnegative(),
  /** Long polls for activities that the worker holds open. */
  polls: z.int().min(1),
  /** Polls that the server refused, as the worker's log tells it. */
  refusals: z.int().nonnegative(),
  /** CPU milliseconds per second with nothing to do. */
  idleCpuMsPerSecond: z.strictObject({ worker: z.number(), temporal: z.number() }),
  visitsPerSecond: z.number().positive(),
  /** From scheduled to started, for the visits of all other applications while one hangs; milliseconds. */
  waitBesideHangingMs: waits,
  /** The same without one that hangs. */
  waitMs: waits,
  /** Visits of the hanging application that the worker held at once, at most. */
  hangingAtOnce: z.int().nonnegative(),
});

const variant = z.strictObject({
  name: z.string(),
  queues: z.enum(['each', 'shared']),
  slots: z.int(),
  polls: z.int(),
  passes: z.array(pass),
  /** Passes in which visits had not ended after four minutes. */
  failures: z.array(z.string()),
  /** Medians over the passes. */
  median: pass.omit({ round: true }).optional(),
});

export const queuesResultSchema = z.strictObject({
  bench: z.literal('queues'),
  ...frame,
  settings: z.strictObject({
    applications: z.int(),
    people: z.int(),
    rounds: z.int(),
    /** Visits that hang, each until its time-out. */
    hanging: z.int(),
    timeoutMs: z.int(),
  }),
  variants: z.array(variant).min(1),
  goals: z.array(goalSchema),
});

export type Pass = z.infer<typeof pass>;
export type VariantResult = z.infer<typeof variant>;
export type QueuesResult = z.infer<typeof queuesResultSchema>;
