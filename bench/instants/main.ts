import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { sql } from 'kysely';
import type { RawBuilder } from 'kysely';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { DUE_SCHEDULE, ensureDueSchedule } from '../../src/worker/due-schedule.js';
import { goal, say } from '../result.js';
import { runOnStack } from '../run.js';
import type { RunOptions } from '../run.js';
import { rounded } from '../statistics.js';
import { openDoor, until } from '../spine/door.js';
import type { Door } from '../spine/door.js';
import { writeEnginePolicy } from '../spine/policies.js';
import type { Stack, Tenancy } from '../spine/stack.js';
import { ending, starting, working } from './people.js';
import { resultSchema } from './result.js';
import type { InstantsResult, WaveResult } from './result.js';
import { waveOf } from './starts.js';

export interface InstantsOptions extends RunOptions {
  readonly waiting: number;
  readonly parked: number;
  readonly sample: number;
}

/** People of a sample fall due one after the other, so that they do not wait for each other. */
const APART_MS = 100;
/** From telling a sample to its first instant: long enough for all of them to fall asleep. */
const LEAD_MS = 20_000;
const LEAD_EACH_MS = 100;
const RECORDS = 500;
const PATIENCE_MS = 15 * 60_000;

/**
 * The bench of exact instants: people who sleep in workflows, people beyond the horizon in Postgres, and a sample who falls due now. Prints one JSON document on
 * stdout; progress goes to stderr. Somebody who starts early, twice or never makes it fail.
 */
export async function runInstants(options: InstantsOptions): Promise<void> {
  const { waiting, parked, sample } = options;
  await runOnStack(options, resultSchema, async (stack) => {
    const measured = await measure(stack, options);
    return { bench: 'instants', settings: { waiting, parked, sample }, ...measured, goals: goalsOf(measured) };
  });
}

type Measured = Pick<
  InstantsResult,
  'asleep' | 'beyondHorizon' | 'fallAsleepPerSecond' | 'alone' | 'duringRound' | 'startedEarly'
>;

async function measure(stack: Stack, { waiting, parked, sample }: InstantsOptions): Promise<Measured> {
  const tenancy = await stack.createTenancy('instants', writeEnginePolicy(join(stack.home, 'policy-instants'), 1));
  const worker = await stack.startChild('instants-worker', 'bench/spine/noop-worker.js', tenancy.env);
  const door = openDoor(tenancy);
  try {
    await ensureDueSchedule(tenancy.connection, tenancy.namespace);
    say(`instants: ${parked} people beyond the horizon`);
    await park(tenancy, parked);
    say(`instants: ${2 * sample} people who work already`);
    const names = Array.from({ length: 2 * sample }, (_, index) => `due${index + 1}`);
    await recordAll(door, names.map(working));
    await until('joiners of the sample', () => joined(door, 2 * sample), { withinMs: PATIENCE_MS });
    say(`instants: ${waiting} people fall asleep`);
    const began = performance.now();
    const now = new Date();
    const sleepers = await recordAll(
      door,
      Array.from({ length: waiting }, (_, index) => starting(`wait${index + 1}`, now)),
    );
    await until('people who wait', () => allAsleep(tenancy, waiting), { withinMs: PATIENCE_MS, everyMs: 500 });
    const fallAsleepPerSecond = rounded((waiting * 1_000) / (performance.now() - began));
    say(`instants: ${sample} people fall due`);
    const first = await fallDue(door, names.slice(0, sample), {
      asleep: () => allAsleep(tenancy, waiting + sample),
    });
    say(`instants: ${sample} people fall due while the schedule's round wakes everybody`);
    const second = await fallDue(door, names.slice(sample), {
      meanwhile: () => tenancy.client.schedule.getHandle(DUE_SCHEDULE).trigger(),
    });
    return {
      asleep: waiting + sample,
      beyondHorizon: await beyondHorizon(door),
      fallAsleepPerSecond,
      alone: first,
      duringRound: second,
      startedEarly: await noneStarted(door, sleepers),
    };
  } finally {
    await door.close();
    await worker.stop();
  }
}

/** Rows of people as their queues leave them when the next instant is far away. Nobody reads their facts before it comes near, so they have none. */
async function park(tenancy: Tenancy, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: tenancy.ownerUrl });
  await client.connect();
  try {
    await client.query(
      `with parked as (
         insert into identity (identity_id, ledger_version, next_due_at)
         select gen_random_uuid(), 1, now() + (30 + n % 335) * interval '1 day' from generate_series(1, $1::integer) n
         returning identity_id)
       insert into inbox (identity_id, ledger_version, delivered_version) select identity_id, 1, 1 from parked`,
      [count],
    );
    await client.query('analyze identity');
  } finally {
    await client.end();
  }
}

async function recordAll(door: Door, records: readonly Record<string, unknown>[]): Promise<readonly IdentityId[]> {
  const ids: IdentityId[] = [];
  for (let start = 0; start < records.length; start += RECORDS) {
    ids.push(...(await door.record(records.slice(start, start + RECORDS))));
    if (ids.length % (5 * RECORDS) === 0) say(`instants: ${ids.length} of ${records.length} recorded`);
  }
  return ids;
}

async function joined(door: Door, count: number): Promise<boolean | string> {
  const ended = await countOf(
    door,
    sql<{
      count: number;
    }>`select count(*)::integer as count from process where kind = 'joiner' and state = 'completed'`,
  );
  return ended === count ? true : `${ended} of ${count} joiners ended`;
}

/** By the server's own count: a workflow each, and no other one of a person awake. */
async function allAsleep(tenancy: Tenancy, count: number): Promise<boolean | string> {
  const { count: running } = await tenancy.client.workflow.count(
    'WorkflowType = "identityWorkflow" and ExecutionStatus = "Running"',
  );
  return running === count ? true : `${running} of ${count} workflows are there`;
}

interface DueOptions {
  /** Whether everybody who should sleep before the first instant does. */
  asleep?(): Promise<boolean | string>;
  /** What runs from the first instant on. */
  meanwhile?(): Promise<void>;
}

/** Ends people at instants of the near future, one after the other, and says how late their processes began. */
async function fallDue(door: Door, people: readonly string[], options: DueOptions): Promise<WaveResult> {
  const firstAt = Date.now() + LEAD_MS + people.length * LEAD_EACH_MS;
  const dueAt = people.map((_, index) => firstAt + index * APART_MS);
  const ids = await recordAll(
    door,
    people.map((person, index) => ending(person, new Date(dueAt[index] ?? 0))),
  );
  await until('the sample sleeps', () => sleepsUntil(door, ids), { withinMs: firstAt - Date.now(), everyMs: 50 });
  const { asleep } = options;
  if (asleep !== undefined) await until('everybody sleeps', asleep, { withinMs: firstAt - Date.now(), everyMs: 50 });
  await delay(Math.max(0, firstAt - Date.now()));
  await options.meanwhile?.();
  await until('leavers of the sample', () => workedAll(door, ids), { withinMs: PATIENCE_MS });
  return waveOf(
    await Promise.all(
      ids.map(async (identityId, index) => ({
        identityId,
        dueAt: dueAt[index] ?? 0,
        histories: await leaversOf(door, identityId),
      })),
    ),
  );
}

async function sleepsUntil(door: Door, ids: readonly IdentityId[]): Promise<boolean | string> {
  const known = await countOf(
    door,
    sql<{
      count: number;
    }>`select count(*)::integer as count from identity where next_due_at > now() and identity_id = ${anyOf(ids)}`,
  );
  return known === ids.length ? true : `${known} of ${ids.length} know their instant`;
}

/** Each began to write at its target; what becomes of that is of no interest here. */
async function workedAll(door: Door, ids: readonly IdentityId[]): Promise<boolean | string> {
  const worked = await countOf(
    door,
    sql<{
      count: number;
    }>`select count(distinct identity_id)::integer as count from visit where phase = 'cut' and first_write_at is not null and identity_id = ${anyOf(ids)}`,
  );
  return worked === ids.length ? true : `${worked} of ${ids.length} leavers went to work`;
}

async function leaversOf(door: Door, identityId: IdentityId) {
  const rows = await door.db
    .selectFrom('process')
    .select('workflow_id')
    .where('identity_id', '=', identityId)
    .where('process_kind', '=', 'leaver')
    .execute();
  return Promise.all(rows.map((row) => door.client.workflow.getHandle(row.workflow_id).fetchHistory()));
}

function beyondHorizon(door: Door): Promise<number> {
  return countOf(
    door,
    sql<{
      count: number;
    }>`select count(*)::integer as count from identity where next_due_at > now() + interval '24 hours'`,
  );
}

async function noneStarted(door: Door, ids: readonly IdentityId[]): Promise<0> {
  const early = await countOf(
    door,
    sql<{ count: number }>`select count(*)::integer as count from process where identity_id = ${anyOf(ids)}`,
  );
  if (early > 0) throw new Error(`${early} processes began before they were due`);
  return 0;
}

async function countOf(door: Door, query: RawBuilder<{ count: number }>): Promise<number> {
  const { rows } = await query.execute(door.db);
  return rows[0]?.count ?? 0;
}

function anyOf(ids: readonly IdentityId[]) {
  return sql`any(${[...ids]}::uuid[])`;
}

/** Design section 6. Reported, never a reason to fail: absolute times belong to a machine. */
function goalsOf({ alone, duringRound }: Measured): InstantsResult['goals'] {
  return [
    goal('due to started, p99', 'lower', 5_000, 'ms', alone.dueToStartedMs.p99),
    goal("due to started during the schedule's round, p99", 'lower', 5_000, 'ms', duringRound.dueToStartedMs.p99),
  ];
}
