import { join } from 'node:path';
import { sql } from 'kysely';
import proto from '@temporalio/proto';
import { identityWorkflowId } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { rounded, spread } from '../statistics.js';
import { medianShapes, requireSameShape, startBare, typicalOf } from '../spine/bare.js';
import type { Pair } from '../spine/bare.js';
import type { BareInput } from '../spine/bare-workflows.js';
import { openDoor, until } from '../spine/door.js';
import type { Door } from '../spine/door.js';
import { scriptOf } from '../spine/shape.js';
import type { History } from '../spine/shape.js';
import type { Stack } from '../spine/stack.js';
import { kindsOf, planCompany, slugsOf, startCompany } from './company.js';
import type { Company } from './company.js';
import { provision } from './row.js';
import { writeCompanyPolicy } from './policies.js';
import { provenAt, requireProven, tier1Visits } from './proofs.js';
import type { ManyResult } from './result.js';

/** SCIM and SQL: a cut of many is about many people, not about many accounts. */
const ACCOUNTS = 2;
/** The first cut of many is for the compilers, and for the script: above policy's threshold of four eyes. */
const WARM_PEOPLE = 8;
const SAMPLED_HISTORIES = 40;
/** People on their way at once while they are made. */
const AT_ONCE = 16;
const PATIENCE_MS = 20 * 60_000;

/**
 * Many people cut at once, as an operator does it: proposed, confirmed by a second principal, everybody in the database. Then bare workflows that play the script of
 * these cuts, as many of them, on the same server.
 */
export async function measureMany(stack: Stack, people: number, say: (line: string) => void): Promise<ManyResult> {
  const company = await planCompany(stack, 'm', ACCOUNTS);
  const tenancy = await stack.createTenancy('many', writeCompanyPolicy(join(stack.home, 'policy-many'), company));
  const targets = await startCompany(stack, company);
  const worker = await stack.startChild('worker-many', 'src/worker/main.js', { ...tenancy.env, ...targets.env });
  const bareWorker = await stack.startChild('bare-worker', 'bench/spine/bare-worker.js', tenancy.env);
  const door = openDoor(tenancy);
  try {
    const all = await provision(door, people + WARM_PEOPLE, { atOnce: AT_ONCE, say });
    const [warm, ids] = [all.slice(0, WARM_PEOPLE), all.slice(WARM_PEOPLE)];
    await cutAll(door, warm, say);
    say(`kill-switch: ${people} people cut at once`);
    const cut = await cutAll(door, ids, say);
    const tenure = await figuresOf(door, stack.adminUrl, company, ids, cut);
    say(`kill-switch: all Tier 1 proven after ${tenure.tier1Seconds} s`);
    const sample = await historiesOf(door, ids);
    const shape = medianShapes(sample);
    const typical = typicalOf(sample);
    const script = { parent: scriptOf(typical.parent), child: scriptOf(typical.child) };
    await playBare(door, 'warm', WARM_PEOPLE, script);
    say(`kill-switch: ${people} bare processes of the same shape`);
    const seconds = await playBare(door, 'bare', people, script);
    requireSameShape(shape, medianShapes(await bareHistoriesOf(door, Math.min(people, SAMPLED_HISTORIES))));
    const perSecond = rounded(people / seconds);
    return {
      ...tenure,
      bare: { processes: people, seconds: rounded(seconds), perSecond },
      ratio: rounded(tenure.perSecond / perSecond),
      historyEvents: shape.child.events,
      parentHistoryEvents: shape.parent.events,
    };
  } finally {
    await door.close();
    await Promise.all([worker.stop(), bareWorker.stop()]);
    await targets.stop();
  }
}

interface CutOfMany {
  /** On the wall's clock, in milliseconds. */
  readonly confirmedAt: number;
  readonly seconds: number;
}

/** Resolves when nothing but retention is left of anybody, and nobody's queue has anything to do. */
async function cutAll(door: Door, ids: readonly IdentityId[], say: (line: string) => void): Promise<CutOfMany> {
  const confirmedAt = await door.cutMany(ids);
  let told = 0;
  await until(
    'a cut of many',
    async () => {
      const left = ids.length - (await countAtRest(door, ids));
      if (Date.now() - confirmedAt > (told + 1) * 15_000) {
        told += 1;
        say(`kill-switch: ${left} of ${ids.length} people have something left to cut`);
      }
      if (left > 0) return `${left} are not through`;
      const { count } = await door.client.workflow.count(
        'WorkflowType = "identityWorkflow" and ExecutionStatus = "Running"',
      );
      return count === 0 ? true : `${count} queues are awake`;
    },
    { withinMs: PATIENCE_MS, everyMs: 200 },
  );
  return { confirmedAt, seconds: (Date.now() - confirmedAt) / 1_000 };
}

async function countAtRest(door: Door, ids: readonly IdentityId[]): Promise<number> {
  const row = await door.db
    .selectFrom('process')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('identity_id', '=', sql<IdentityId>`any(${[...ids]}::uuid[])`)
    .where('process_kind', '=', 'leaver')
    .where('state', '=', 'tail')
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

async function figuresOf(door: Door, adminUrl: string, company: Company, ids: readonly IdentityId[], cut: CutOfMany) {
  await requireProven(door, adminUrl, company, slugsOf(company), ids);
  const { at, clockBehindMs } = await provenAt(door, ids);
  const latencies = [...at.values()].map((provenAtMs) => provenAtMs - cut.confirmedAt);
  const tier1Seconds = Math.max(...latencies) / 1_000;
  return {
    people: ids.length,
    accounts: kindsOf(company),
    tier1Seconds: rounded(tier1Seconds),
    tier1PerSecond: rounded(ids.length / tier1Seconds),
    seconds: rounded(cut.seconds),
    perSecond: rounded(ids.length / cut.seconds),
    latencyMs: spread(latencies),
    provenVisits: (await tier1Visits(door, ids)).length,
    clockBehindMs,
    notCorrected: 0,
  } as const;
}

/** Seconds until every bare parent and child has ended. */
async function playBare(door: Door, name: string, count: number, script: BareInput): Promise<number> {
  const { count: before } = await door.client.workflow.count(BARE_CLOSED);
  const began = performance.now();
  await startBare(
    door.client,
    Array.from({ length: count }, (_, index) => `${name}-${index + 1}`),
    script,
  );
  await until(
    'bare processes',
    async () => {
      const closed = (await door.client.workflow.count(BARE_CLOSED)).count - before;
      return closed === 2 * count ? true : `${closed} of ${2 * count} ended`;
    },
    { withinMs: PATIENCE_MS, everyMs: 200 },
  );
  return (performance.now() - began) / 1_000;
}

const BARE_CLOSED = 'TaskQueue = "bare" and ExecutionStatus = "Completed"';

async function historiesOf(door: Door, ids: readonly IdentityId[]): Promise<readonly Pair[]> {
  const rows = await door.db
    .selectFrom('process')
    .select(['identity_id', 'workflow_id'])
    .where('identity_id', 'in', ids.slice(0, SAMPLED_HISTORIES))
    .where('process_kind', '=', 'leaver')
    .execute();
  const history = (id: string): Promise<History> => door.client.workflow.getHandle(id).fetchHistory();
  return Promise.all(
    rows.map(async (row) => ({
      parent: await history(identityWorkflowId(row.identity_id)),
      child: untilRetention(await history(row.workflow_id)),
    })),
  );
}

/** What of a leaver is over when its cut is: it then sleeps until its accounts may be archived. */
export function untilRetention(history: History): History {
  const events = history.events ?? [];
  const sleeps = events.findLastIndex(
    (event) => event.eventType === proto.temporal.api.enums.v1.EventType.EVENT_TYPE_TIMER_STARTED,
  );
  return { events: sleeps < 0 ? events : events.slice(0, sleeps) };
}

function bareHistoriesOf(door: Door, count: number): Promise<readonly Pair[]> {
  const history = (id: string): Promise<History> => door.client.workflow.getHandle(id).fetchHistory();
  return Promise.all(
    Array.from({ length: count }, async (_, index) => ({
      parent: await history(`bare-${index + 1}`),
      child: await history(`bare-${index + 1}/child`),
    })),
  );
}
