import { z } from 'zod';
import { frame, goalSchema } from '../result.js';

/** What `npm run bench -- connectors` prints: one JSON document. */
const side = z.strictObject({
  operations: z.int().min(1),
  /** Median over the rounds, one operation at a time. */
  perSecond: z.number().positive(),
  p50Ms: z.number().positive(),
  p99Ms: z.number().positive(),
  /** Of the process that calls; what the server used is not in it. */
  cpuMsPerOperation: z.number().nonnegative(),
});

export const operationNames = ['create', 'get', 'addMember', 'removeMember', 'disable', 'enable'] as const;

const operation = z.strictObject({
  operation: z.enum(operationNames),
  /** Calls of the client library that one operation makes, in their order. */
  calls: z.array(z.string()).min(1),
  wireCalls: z.int().min(1),
  connector: side,
  direct: side,
  /** Operations per second through the connector ÷ by hand. */
  ratio: z.number().positive(),
  ratioByRound: z.array(z.number().positive()).min(1),
  /** Median latency by hand ÷ through the connector: what one slow moment of the machine does not move. */
  ratioOfMedians: z.number().positive(),
});

const kind = z.strictObject({
  name: z.string(),
  connector: z.string(),
  system: z.string(),
  library: z.string(),
  operations: z.array(operation).min(1),
});

export const connectorsResultSchema = z.strictObject({
  bench: z.literal('connectors'),
  ...frame,
  settings: z.strictObject({ people: z.int(), rounds: z.int() }),
  kinds: z.array(kind),
  /** Kinds whose system is not on this machine. */
  skipped: z.array(z.strictObject({ kind: z.string(), reason: z.string() })),
  goals: z.array(goalSchema),
});

export type OperationName = (typeof operationNames)[number];
export type SideResult = z.infer<typeof side>;
export type OperationResult = z.infer<typeof operation>;
export type KindResult = z.infer<typeof kind>;
export type ConnectorsResult = z.infer<typeof connectorsResultSchema>;
