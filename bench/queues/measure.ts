import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { median, rounded } from '../statistics.js';
import { cpuBetween, readCpu } from '../spine/cpu.js';
import { until } from '../spine/door.js';
import type { Stack, Tenancy } from '../spine/stack.js';
import type { ProbeInput } from './probe-workflows.js';
import { connectionsTo, residentMb } from './process-figures.js';
import type { Pass } from './result.js';
import { HANGING, SHARED_QUEUE } from './variants.js';
import type { Variant } from './variants.js';
import { atOnce, waitSpread, waitsOf } from './waits.js';
import type { Wait } from './waits.js';

/** As many visits hang as an application may have after a bad day. */
export const HANGING_VISITS = 250;
/** Until the hanging application has taken all that it gets. */
const TAKEN_MS = 3_000;
/** Until the first of them have been given up. */
const SHOWN_MS = 13_000;
/** After the start, until polls are out and the garbage of the start is gone. */
const SETTLE_MS = 5_000;
const IDLE_MS = 10_000;
/** Visits that have not ended by then are a finding. */
const VISITS_MS = 240_000;
/** Visits that should have been done long ago. */
export class NotEnded extends Error {}

export interface PassOptions {
  readonly applications: readonly string[];
  readonly people: number;
  readonly round: number;
}

/** On a quick machine it has ended by itself. */
async function endedOrTerminated(client: Client, workflowId: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).terminate('measured');
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** One variant from the start of its worker to its end, on a tenancy of its own. */
export async function measurePass(
  stack: Stack,
  tenancy: Tenancy,
  variant: Variant,
  options: PassOptions,
): Promise<Pass> {
  const { applications, people, round } = options;
  const prober = await stack.startChild('prober', 'bench/queues/prober.js', tenancy.env);
  const before = residentMb(stack.pids.temporal);
  const began = performance.now();
  const worker = await stack.startChild('queue-worker', 'bench/queues/worker.js', {
    ...tenancy.env,
    BENCH_VARIANT: JSON.stringify(variant),
  });
  const startMs = performance.now() - began;
  try {
    await delay(SETTLE_MS);
    const pids = { worker: worker.mark.pid, temporal: stack.pids.temporal };
    const cpu = readCpu(pids);
    await delay(IDLE_MS);
    const idle = cpuBetween(cpu, readCpu(pids));
    const perSecond = (ms: number | undefined): number => rounded(((ms ?? 0) * 1_000) / IDLE_MS);
    const workerRssMb = residentMb(worker.mark.pid);
    const serverGrowthMb = residentMb(stack.pids.temporal) - before;
    const runs = new Runs(tenancy.client, variant);
    const others = applications.filter((slug) => slug !== HANGING);
    const loadBegan = performance.now();
    await runs.of(others, people);
    const visitsPerSecond = (1_000 * people * others.length) / (performance.now() - loadBegan);
    const alone = await runs.waits(await runs.of(others, 1));
    const hanging = await runs.start([HANGING], HANGING_VISITS);
    // A history shows that an activity was started when it has ended.
    const shown = delay(SHOWN_MS);
    await delay(TAKEN_MS);
    const beside = await runs.waits(await runs.of(others, 1));
    await shown;
    const held = await runs.waits(hanging);
    await endedOrTerminated(tenancy.client, hanging);
    const { queuesMs } = worker.ready as { readonly queuesMs?: unknown };
    return {
      round,
      startMs: Math.round(startMs),
      queuesMs: Math.round(Number(queuesMs)),
      workerRssMb,
      serverGrowthMb,
      connections: connectionsTo(worker.mark.pid, portOf(tenancy)),
      refusals: refusalsIn(join(stack.home, 'queue-worker.log')),
      polls: variant.polls * (variant.queues === 'each' ? applications.length : 1),
      idleCpuMsPerSecond: { worker: perSecond(idle['worker']), temporal: perSecond(idle['temporal']) },
      visitsPerSecond: rounded(visitsPerSecond),
      waitBesideHangingMs: waitSpread(beside),
      waitMs: waitSpread(alone),
      hangingAtOnce: atOnce(held),
    };
  } finally {
    await worker.stop();
    await prober.stop();
  }
}

/** Workflows that ask for visits, started by the bench and run by the prober. */
class Runs {
  #serial = 0;
  #ended = 0;

  constructor(
    readonly client: Client,
    readonly variant: Variant,
  ) {}

  async start(applications: readonly string[], times: number): Promise<string> {
    this.#serial += 1;
    const workflowId = `probes-${this.#serial}`;
    const sharedQueue = this.variant.queues === 'shared' ? { sharedQueue: SHARED_QUEUE } : {};
    const input: ProbeInput = { applications, times, ...sharedQueue };
    const options = { workflowId, taskQueue: 'prober', args: [input] };
    await patiently(() => this.client.workflow.start('probes', options));
    return workflowId;
  }

  /** Visits of all these applications, to the end of the last one. */
  async of(applications: readonly string[], times: number): Promise<string> {
    const id = await this.start(applications, times);
    this.#ended += 1;
    // By visibility: a long poll for the result would compete with the polls that are measured.
    await until('visits', () => this.#areEnded(), { withinMs: VISITS_MS }).catch((error: unknown) => {
      throw new NotEnded(error instanceof Error ? error.message : String(error));
    });
    return id;
  }

  async #areEnded(): Promise<boolean | string> {
    const query = 'WorkflowType = "probes" and ExecutionStatus = "Completed"';
    const { count } = await patiently(() => this.client.workflow.count(query));
    return count >= this.#ended ? true : `${count} of ${this.#ended} workflows completed`;
  }

  async waits(id: string): Promise<readonly Wait[]> {
    const { events } = await patiently(() => this.client.workflow.getHandle(id).fetchHistory());
    return waitsOf(events ?? []);
  }
}

/** The bench's own requests: a server that two thousand polls have just reached may refuse some of them for a while, which is no part of what is measured. */
const TRIES = 60;

async function patiently<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start();
    } catch (error) {
      if (tries === TRIES) throw error;
      await delay(500);
    }
  }
}

/** The middle of all passes, figure by figure. */
export function medianOf(passes: readonly Pass[]): Omit<Pass, 'round'> {
  const of = (read: (pass: Pass) => number): number => rounded(median(passes.map(read)));
  const whole = (read: (pass: Pass) => number): number => Math.round(median(passes.map(read)));
  const waits = (read: (pass: Pass) => Pass['waitMs']): Pass['waitMs'] => ({
    samples: whole((pass) => read(pass).samples),
    p50: whole((pass) => read(pass).p50),
    p99: whole((pass) => read(pass).p99),
    max: whole((pass) => read(pass).max),
  });
  return {
    startMs: whole((pass) => pass.startMs),
    queuesMs: whole((pass) => pass.queuesMs),
    workerRssMb: whole((pass) => pass.workerRssMb),
    serverGrowthMb: whole((pass) => pass.serverGrowthMb),
    connections: whole((pass) => pass.connections),
    polls: whole((pass) => pass.polls),
    refusals: whole((pass) => pass.refusals),
    idleCpuMsPerSecond: {
      worker: of((pass) => pass.idleCpuMsPerSecond.worker),
      temporal: of((pass) => pass.idleCpuMsPerSecond.temporal),
    },
    visitsPerSecond: of((pass) => pass.visitsPerSecond),
    waitBesideHangingMs: waits((pass) => pass.waitBesideHangingMs),
    waitMs: waits((pass) => pass.waitMs),
    hangingAtOnce: whole((pass) => pass.hangingAtOnce),
  };
}

/** What the worker's log says of polls that the server refused. */
function refusalsIn(log: string): number {
  return readFileSync(log, 'utf8').match(/ResourceExhausted|resource exhausted|RESOURCE_EXHAUSTED/g)?.length ?? 0;
}

function portOf({ env }: Tenancy): number {
  return Number(String(env['TEMPORAL_ADDRESS']).split(':').at(-1));
}
