import { join } from 'node:path';
import { StackError } from '../../src/embedded/errors.js';
import { describeMachine, goal, interrupted, report, say } from '../result.js';
import { writeEnginePolicy } from '../spine/policies.js';
import { startStack } from '../spine/stack.js';
import type { Stack } from '../spine/stack.js';
import { HANGING_VISITS, NotEnded, measurePass, medianOf } from './measure.js';
import type { Pass, QueuesResult, VariantResult } from './result.js';
import { queuesResultSchema } from './result.js';
import { variantsFor } from './variants.js';

export interface QueuesOptions {
  readonly applications: number;
  readonly people: number;
  readonly rounds: number;
  readonly out: string | undefined;
  /** As the person typed it. */
  readonly command: string;
}

/** Many applications on one worker: a task queue for each, or one for all with fairness keys, on one Temporal server in turns. */
export async function runQueues(options: QueuesOptions): Promise<void> {
  const { applications, people, rounds, command, out } = options;
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const began = performance.now();
  say('starting Postgres and Temporal');
  const stack = await startStack();
  const interruption = interrupted();
  try {
    const variants = await Promise.race([measureVariants(stack, options), interruption]);
    const result = queuesResultSchema.parse({
      bench: 'queues',
      format: 1,
      startedAt,
      tookSeconds: Math.round((performance.now() - began) / 1_000),
      command,
      machine,
      settings: { applications, people, rounds, hanging: HANGING_VISITS, timeoutMs: 10_000 },
      variants,
      goals: goalsOf(variants),
    } satisfies QueuesResult);
    await report(result, out);
  } catch (error) {
    // The logs are about to go, and what still waits for an answer of the server may end this process before the error is told.
    say(error instanceof Error ? `${error.stack ?? error.message}\n${String(error.cause)}` : String(error));
    if (error instanceof StackError) say(error.remedy);
    throw error;
  } finally {
    await stack.stop();
  }
}

/** Backwards, forwards, backwards: what drifts on the machine falls on all of them. */
async function measureVariants(
  stack: Stack,
  { applications, people, rounds }: QueuesOptions,
): Promise<VariantResult[]> {
  const variants = variantsFor(applications);
  const passes = new Map<string, Pass[]>(variants.map(({ name }) => [name, []]));
  const failures = new Map<string, string[]>(variants.map(({ name }) => [name, []]));
  const policy = writeEnginePolicy(join(stack.home, 'policy-queues'), applications);
  const slugs = Array.from({ length: applications }, (_, index) => `noop-${index + 1}`);
  let serial = 0;
  for (let round = 1; round <= rounds; round += 1)
    for (const variant of round % 2 === 0 ? variants : [...variants].reverse()) {
      serial += 1;
      const tenancy = await stack.createTenancy(`queues${serial}`, policy);
      const pass = await measurePass(stack, tenancy, variant, { applications: slugs, people, round }).catch(
        (error: unknown) => {
          if (!(error instanceof NotEnded)) throw error;
          failures.get(variant.name)?.push(error.message);
          say(`queues: round ${round}: ${variant.name}: ${error.message}`);
        },
      );
      if (pass === undefined) continue;
      passes.get(variant.name)?.push(pass);
      const { startMs, workerRssMb, visitsPerSecond, waitBesideHangingMs: wait } = pass;
      say(
        `queues: round ${round}: ${variant.name}: start ${startMs} ms, ${workerRssMb} MB, ${visitsPerSecond} visits/s, beside one that hangs p50 ${wait.p50} ms, p99 ${wait.p99} ms`,
      );
    }
  return variants.map((variant) => {
    const own = passes.get(variant.name) ?? [];
    const failed = failures.get(variant.name) ?? [];
    return { ...variant, passes: own, failures: failed, ...(own.length === 0 ? {} : { median: medianOf(own) }) };
  });
}

/** Reported, never a reason to fail: the first variant is what Tenure does. */
function goalsOf([today]: readonly VariantResult[]): QueuesResult['goals'] {
  if (today?.median === undefined) return [];
  const { waitBesideHangingMs: beside, waitMs: alone } = today.median;
  // Whatever hangs, the others wait as they do without it; half a second is what a busy machine adds by itself.
  return [goal('wait of the others while one hangs, p99', 'lower', alone.p99 + 500, 'ms', beside.p99)];
}
