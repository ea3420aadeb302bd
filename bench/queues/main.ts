import { join } from 'node:path';
import { goal, say } from '../result.js';
import { runOnStack } from '../run.js';
import type { RunOptions } from '../run.js';
import { writeEnginePolicy } from '../spine/policies.js';
import type { Stack } from '../spine/stack.js';
import { HANGING_VISITS, NotEnded, measurePass, medianOf } from './measure.js';
import type { Pass, QueuesResult, VariantResult } from './result.js';
import { queuesResultSchema } from './result.js';
import { variantsFor } from './variants.js';

export interface QueuesOptions extends RunOptions {
  readonly applications: number;
  readonly people: number;
  readonly rounds: number;
}

/** Many applications on one worker: a task queue for each, or one for all with fairness keys, on one Temporal server in turns. */
export async function runQueues(options: QueuesOptions): Promise<void> {
  const { applications, people, rounds } = options;
  await runOnStack(options, queuesResultSchema, async (stack) => {
    const variants = await measureVariants(stack, options).catch((error: unknown) => {
      // What still waits for an answer of the server may end this process before the error is told.
      say(error instanceof Error ? `${error.stack ?? error.message}\n${String(error.cause)}` : String(error));
      throw error;
    });
    const settings = { applications, people, rounds, hanging: HANGING_VISITS, timeoutMs: 10_000 };
    return { bench: 'queues', settings, variants, goals: goalsOf(variants) };
  });
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
