import { StackError } from '../../src/embedded/errors.js';
import { describeMachine, goal, interrupted, report, say } from '../result.js';
import { measureEngine } from './engine.js';
import { resultSchema } from './result.js';
import type { SpineResult } from './result.js';
import { startStack } from './stack.js';
import { measureTargets } from './targets.js';

export interface SpineOptions {
  readonly people: number;
  readonly rounds: number;
  readonly concurrency: number;
  readonly idlePeople: number;
  /** Also written here. */
  readonly out: string | undefined;
  /** As the person typed it. */
  readonly command: string;
}

/**
 * The spine's bench: engine overhead, costs per process, and speed on the sandbox targets. Brings its servers, ends them whatever happens, and prints one JSON
 * document on stdout; progress goes to stderr.
 */
export async function runSpine(options: SpineOptions): Promise<void> {
  const { people, rounds, concurrency, idlePeople } = options;
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  const began = performance.now();
  say('starting Postgres and Temporal');
  const stack = await startStack();
  const interruption = interrupted();
  try {
    const work = async (): Promise<Pick<SpineResult, 'engine' | 'process' | 'targets'>> => {
      const { engine, process: costs } = await measureEngine(stack, { people, rounds, say });
      return { engine, process: costs, targets: await measureTargets(stack, { ...options, say }) };
    };
    const measured = await Promise.race([work(), interruption]);
    const result = resultSchema.parse({
      bench: 'spine',
      format: 1,
      startedAt,
      tookSeconds: Math.round((performance.now() - began) / 1_000),
      command: options.command,
      machine,
      settings: { people, rounds, concurrency, idlePeople },
      ...measured,
      goals: goalsOf(measured),
    } satisfies SpineResult);
    await report(result, options.out);
  } catch (error) {
    // The logs are about to go.
    if (error instanceof StackError) say(error.remedy);
    throw error;
  } finally {
    await stack.stop();
  }
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
