import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { StackError } from '../../src/embedded/errors.js';
import { measureEngine } from './engine.js';
import { resultSchema } from './result.js';
import type { Goal, SpineResult } from './result.js';
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

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function describeMachine(): SpineResult['machine'] {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    node: process.version,
    loadAverageAtStart: loadavg()[0] ?? 0,
  };
}

/** Rejects when this process is told to end, or when the one that started it is gone. */
function interrupted(): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => {
      reject(new Error('interrupted'));
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    process.once('disconnect', stop);
  });
}

/** Design section 6. Reported, never a reason to fail: absolute times belong to a machine. */
function goalsOf(measured: Pick<SpineResult, 'engine' | 'process' | 'targets'>): Goal[] {
  const { engine, process: costs, targets } = measured;
  const higher = (name: string, goal: number, unit: string, value: number): Goal => ({
    name,
    goal,
    unit,
    better: 'higher',
    measured: value,
    met: value >= goal,
  });
  const lower = (name: string, goal: number, unit: string, value: number): Goal => ({
    name,
    goal,
    unit,
    better: 'lower',
    measured: value,
    met: value <= goal,
  });
  return [
    higher('engine overhead: processes per second ÷ bare', 0.7, 'ratio', engine.ratio),
    lower('regular activities per process', 4, 'activities', costs.regularActivities),
    lower('history events per process', 60, 'events', costs.historyEvents),
    lower('event accepted to first write, idle, p50', 1_000, 'ms', targets.joiners.idle.latencyMs.p50),
    lower('event accepted to first write, idle, p99', 5_000, 'ms', targets.joiners.idle.latencyMs.p99),
    lower('cut accepted to Tier 1 proven, idle, p99', 10_000, 'ms', targets.cuts.idle.latencyMs.p99),
  ];
}

async function report(result: SpineResult, out: string | undefined): Promise<void> {
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  for (const goal of result.goals)
    say(
      `${goal.met ? 'met    ' : 'MISSED '} ${goal.name}: ${goal.measured} (goal ${goal.better === 'higher' ? '>=' : '<='} ${goal.goal} ${goal.unit})`,
    );
  if (out !== undefined) {
    mkdirSync(dirname(resolve(out)), { recursive: true });
    writeFileSync(out, text);
    say(`written to ${out}`);
  }
  await new Promise((resolve) => process.stdout.write(text, resolve));
}
