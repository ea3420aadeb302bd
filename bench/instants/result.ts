import { z } from 'zod';
import { frame, goalSchema } from '../result.js';

/** What `npm run bench -- instants` prints: one JSON document. Durations in their unit's name. */
const spread = z.strictObject({ samples: z.int().positive(), p50: z.number(), p99: z.number(), max: z.number() });

const wave = z.strictObject({
  /** From the instant at which somebody is due to the start of the process, on the server's clock. */
  dueToStartedMs: spread,
  /** The same until the process asks for its first work at a target. */
  dueToFirstWorkMs: spread,
});

export const resultSchema = z.strictObject({
  bench: z.literal('instants'),
  ...frame,
  settings: z.strictObject({ waiting: z.int(), parked: z.int(), sample: z.int() }),
  /** Identity workflows that slept when the first sample fell due, counted by the server; the sample's own are among them. */
  asleep: z.int(),
  /** People in Postgres alone, due later than the horizon. */
  beyondHorizon: z.int(),
  /** Identity workflows per second from the message to sleeping. */
  fallAsleepPerSecond: z.number(),
  alone: wave,
  /** While the schedule's round asks everybody within the horizon to look again. */
  duringRound: wave,
  /** Of those who were not due: 0, or something fired early. */
  startedEarly: z.literal(0),
  goals: z.array(goalSchema),
});

export type InstantsResult = z.infer<typeof resultSchema>;
export type WaveResult = z.infer<typeof wave>;
