import { goal, say } from '../result.js';
import { runOnStack } from '../run.js';
import type { RunOptions } from '../run.js';
import { measureEngine } from './engine.js';
import { resultSchema } from './result.js';
import type { SpineResult } from './result.js';
import { measureTargets } from './targets.js';

export interface SpineOptions extends RunOptions {
  readonly people: number;
  readonly rounds: number;
  readonly concurrency: number;
  readonly idlePeople: number;
}

/**
 * The spine's bench: engine overhead, costs per process, and speed on the sandbox targets. Brings its servers, ends them whatever happens, and prints one JSON
 * document on stdout; progress goes to stderr.
 */
export async function runSpine(options: SpineOptions): Promise<void> {
  const { people, rounds, concurrency, idlePeople } = options;
  await runOnStack(options, resultSchema, async (stack) => {
    const { engine, process: costs } = await measureEngine(stack, { people, rounds, say });
    const measured = { engine, process: costs, targets: await measureTargets(stack, { ...options, say }) };
    const settings = { people, rounds, concurrency, idlePeople };
    return { bench: 'spine', settings, ...measured, goals: goalsOf(measured) };
  });
}

/** Design section 6. Reported, never a reason to fail: absolute times belong to a machine. */
function goalsOf(measured: Pick<SpineResult, 'engine' | 'process' | 'targets'>): SpineResult['goals'] {
  const { engine, process: costs, targets } = measured;
  return [
    goal('engine overhead: processes per second ÷ bare', 'higher', 0.7, 'ratio', engine.ratio),
    goal('regular activities per process', 'lower', 4, 'activities', costs.regularActivities),
    goal('history events per process', 'lower', 60, 'events', costs.historyEvents),
    goal('event accepted to first write, idle, p50', 'lower', 1_000, 'ms', targets.joiners.idle.latencyMs.p50),
    goal('event accepted to first write, idle, p99', 'lower', 5_000, 'ms', targets.joiners.idle.latencyMs.p99),
    goal('cut accepted to Tier 1 proven, idle, p99', 'lower', 10_000, 'ms', targets.cuts.idle.latencyMs.p99),
  ];
}
