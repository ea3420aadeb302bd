import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { identityWorkflowId } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { median, rounded } from '../statistics.js';
import { BARE_CONCURRENCY, medianShapes, requireSameShape, startBare, typicalOf } from './bare.js';
import type { Pair } from './bare.js';
import type { BareInput } from './bare-workflows.js';
import { cpuBetween, readCpu } from './cpu.js';
import type { CpuReading } from './cpu.js';
import { openDoor, until } from './door.js';
import type { Door } from './door.js';
import { writeEnginePolicy } from './policies.js';
import type { EngineResult, ProcessResult, Round } from './result.js';
import { scriptOf } from './shape.js';
import type { Stack } from './stack.js';

const APPLICATIONS = 8;
const SAMPLED_HISTORIES = 40;
/** Postgres' backends hand in their counters at most this often. */
const COUNTERS_SETTLE_MS = 1_500;

export interface EngineOptions {
  readonly people: number;
  readonly rounds: number;
  say(line: string): void;
}

/**
 * What Tenure leaves of the engine's speed: joiners with eight targets without I/O, in turns with bare workflows that play the same script (parent, child,
 * activities of both kinds, signal, update) on the same server. The script is taken from histories that Tenure has just recorded.
 */
export async function measureEngine(
  stack: Stack,
  options: EngineOptions,
): Promise<{ readonly engine: EngineResult; readonly process: ProcessResult }> {
  const { people, rounds, say } = options;
  const tenancy = await stack.createTenancy(
    'engine',
    writeEnginePolicy(join(stack.home, 'policy-engine'), APPLICATIONS),
  );
  const [worker, bareWorker] = await Promise.all([
    stack.startChild('engine-worker', 'bench/spine/noop-worker.js', tenancy.env),
    stack.startChild('bare-worker', 'bench/spine/bare-worker.js', tenancy.env),
  ]);
  const door = openDoor(tenancy);
  const runs = new Runs(door, tenancy.ownerUrl, {
    worker: worker.mark.pid,
    bareWorker: bareWorker.mark.pid,
    ...stack.pids,
  });
  try {
    say('engine: warming up');
    const warm = await runs.tenure(0, people);
    const typical = typicalOf(await runs.historiesOf(warm.ids));
    const input = { parent: scriptOf(typical.parent), child: scriptOf(typical.child) };
    await runs.bare(0, people, input);
    const done: Round[] = [];
    let tenureIds: readonly IdentityId[] = [];
    let bareIds: readonly string[] = [];
    const transactions: number[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      const tenure = await runs.tenure(round, people);
      transactions.push(tenure.transactions);
      const bare = await runs.bare(round, people, input);
      tenureIds = tenure.ids;
      bareIds = bare.ids;
      done.push(tenure.round, bare.round);
      const figures = [tenure.round, bare.round].map(figuresOf);
      say(`engine: round ${round} of ${rounds}: joiners ${figures[0]}, bare processes ${figures[1]}`);
    }
    const shape = medianShapes(await runs.historiesOf(tenureIds));
    const bareShape = medianShapes(await runs.bareHistoriesOf(bareIds));
    requireSameShape(shape, bareShape);
    const engine = summarise(done, shape, bareShape);
    const accounts = await accountsPerPerson(door, tenureIds);
    return { engine, process: costs(engine, accounts, median(transactions)) };
  } finally {
    await door.close();
    await Promise.all([worker.stop(), bareWorker.stop()]);
  }
}

function figuresOf({ processesPerSecond, cpuMsPerProcess }: Round): string {
  const cpu = Object.entries(cpuMsPerProcess).map(([name, ms]) => `${name} ${ms}`);
  return `${processesPerSecond}/s (ms CPU each: ${cpu.join(', ')})`;
}

interface TenureRun {
  readonly round: Round;
  readonly ids: readonly IdentityId[];
  /** Committed in Tenure's database, per process. */
  readonly transactions: number;
}

/** Runs of both kinds on one server, measured from the first message to the end of the last workflow. */
class Runs {
  #closed = 0;

  constructor(
    readonly door: Door,
    readonly databaseUrl: string,
    readonly pids: Readonly<Record<'worker' | 'bareWorker' | 'postgres' | 'temporal', number>>,
  ) {}

  async tenure(round: number, people: number): Promise<TenureRun> {
    const ids = await this.door.hire(people, false);
    const before = await transactionsOf(this.databaseUrl);
    const { worker, postgres, temporal } = this.pids;
    const measured = await this.#measure('tenure', round, people, { worker, postgres, temporal }, () => {
      this.door.tell();
      return Promise.resolve();
    });
    const transactions = ((await transactionsOf(this.databaseUrl)) - before) / people;
    return { round: measured, ids, transactions };
  }

  async bare(
    round: number,
    people: number,
    input: BareInput,
  ): Promise<{ readonly round: Round; readonly ids: readonly string[] }> {
    const ids = Array.from({ length: people }, (_, index) => `bare-${round}-${index + 1}`);
    const { bareWorker: worker, postgres, temporal } = this.pids;
    const measured = await this.#measure('bare', round, people, { worker, postgres, temporal }, () =>
      startBare(this.door.client, ids, input),
    );
    return { round: measured, ids };
  }

  async #measure(
    kind: Round['kind'],
    round: number,
    people: number,
    pids: Readonly<Record<string, number>>,
    begin: () => Promise<void>,
  ): Promise<Round> {
    this.#closed += 2 * people;
    const cpu = readCpu(pids);
    const began = performance.now();
    await begin();
    // Counting costs the server more the more workflows it has seen: it is asked often only when the end is near.
    await until(`${kind} round ${round}`, () => this.#areClosed(people / 2), { everyMs: 500 });
    await until(`${kind} round ${round}`, () => this.#areClosed());
    const seconds = (performance.now() - began) / 1_000;
    return {
      round,
      kind,
      processes: people,
      seconds: rounded(seconds),
      processesPerSecond: rounded(people / seconds),
      cpuMsPerProcess: perProcess(cpuBetween(cpu, readCpu(pids)), people),
    };
  }

  /** Parent and child of everybody so far, but for some; both kinds are waited for in the same way. */
  async #areClosed(butFor = 0): Promise<boolean | string> {
    const { count } = await this.door.client.workflow.count('ExecutionStatus = "Completed"');
    return count >= this.#closed - butFor ? true : `${count} of ${this.#closed} workflows completed`;
  }

  async historiesOf(ids: readonly IdentityId[]): Promise<readonly Pair[]> {
    const rows = await this.door.db
      .selectFrom('process')
      .select(['identity_id', 'workflow_id'])
      .where('identity_id', 'in', ids.slice(0, SAMPLED_HISTORIES))
      .execute();
    return Promise.all(rows.map((row) => this.#pair(identityWorkflowId(row.identity_id), row.workflow_id)));
  }

  bareHistoriesOf(ids: readonly string[]): Promise<readonly Pair[]> {
    return Promise.all(ids.slice(0, SAMPLED_HISTORIES).map((id) => this.#pair(id, `${id}/child`)));
  }

  async #pair(parent: string, child: string): Promise<Pair> {
    const history = (id: string) => this.door.client.workflow.getHandle(id).fetchHistory();
    return { parent: await history(parent), child: await history(child) };
  }
}

function summarise(
  rounds: readonly Round[],
  shape: EngineResult['shape'],
  bareShape: EngineResult['shape'],
): EngineResult {
  const of = (kind: Round['kind']): readonly Round[] => rounds.filter((round) => round.kind === kind);
  const middle = (kind: Round['kind']): EngineResult['tenure'] => ({
    processesPerSecond: rounded(median(of(kind).map((round) => round.processesPerSecond))),
    cpuMsPerProcess: medianCpu(of(kind).map((round) => round.cpuMsPerProcess)),
  });
  const tenure = middle('tenure');
  const bare = middle('bare');
  const bareSpeeds = of('bare').map((round) => round.processesPerSecond);
  return {
    applications: APPLICATIONS,
    concurrency: BARE_CONCURRENCY,
    rounds: [...rounds],
    tenure,
    bare,
    ratio: rounded(tenure.processesPerSecond / bare.processesPerSecond),
    ratioByRound: of('tenure').map((round, index) =>
      rounded(round.processesPerSecond / (bareSpeeds[index] ?? Number.NaN)),
    ),
    cpuRatio: rounded((bare.cpuMsPerProcess['total'] ?? 0) / (tenure.cpuMsPerProcess['total'] ?? Number.NaN)),
    shape,
    bareShape,
  };
}

function costs(engine: EngineResult, accounts: number, databaseTransactions: number): ProcessResult {
  const { parent, child } = engine.shape;
  const regularActivities = parent.activities + child.activities;
  return {
    applications: engine.applications,
    accounts,
    regularActivities,
    localActivities: parent.localActivities + child.localActivities,
    activitiesPerAccount: rounded(regularActivities / accounts),
    historyEvents: child.events,
    parentHistoryEvents: parent.events,
    workflowTasks: parent.workflowTasks + child.workflowTasks,
    databaseTransactions: Math.round(databaseTransactions),
    cpuMs: engine.tenure.cpuMsPerProcess,
  };
}

export function perProcess(cpu: CpuReading, processes: number): CpuReading {
  return Object.fromEntries(Object.entries(cpu).map(([name, ms]) => [name, rounded(ms / processes)]));
}

export function medianCpu(readings: readonly CpuReading[]): CpuReading {
  const names = Object.keys(readings[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rounded(median(readings.map((one) => one[name] ?? 0)))]));
}

async function accountsPerPerson(door: Door, ids: readonly IdentityId[]): Promise<number> {
  const row = await door.db
    .selectFrom('account')
    .select((eb) => eb.fn.countAll<string>().as('accounts'))
    .where('identity_id', 'in', [...ids])
    .where('status', '=', 'enabled')
    .executeTakeFirstOrThrow();
  return Number(row.accounts) / ids.length;
}

async function transactionsOf(url: string): Promise<number> {
  await delay(COUNTERS_SETTLE_MS);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ commits: string }>(
      'select xact_commit as commits from pg_stat_database where datname = current_database()',
    );
    return Number(rows[0]?.commits ?? 0);
  } finally {
    await client.end();
  }
}
