import type { Database } from '../../db/database.js';
import type { IdentityId, Instant, ProcessId } from '../../domain/process/ids.js';
import { NOT_CARRIED_OUT } from '../../domain/process/outcome.js';

/** `open`: a person was asked. `trouble`: the target did not do it yet and is asked again. */
export type CutState = 'pending' | 'trouble' | 'open' | 'proven' | 'by-hand' | 'unprovable' | 'skipped';

export interface CutApplication {
  readonly application: string;
  readonly state: CutState;
  readonly code: string | null;
  /** When this state was reached: the proof, or when a person was asked. */
  readonly at: Instant | null;
}

export interface CutProgress {
  readonly identityId: IdentityId;
  readonly processId: ProcessId | null;
  readonly applications: readonly CutApplication[];
  /** When the last of Tier 1 was proven; null while one is not. */
  readonly tier1ProvenAt: Instant | null;
  /** Tier 1 and Tier 2 are settled: by the targets, or by a person. */
  readonly isSettled: boolean;
  readonly report: string | null;
}

/** The clocks of API and workers may differ by that much. */
const SKEW_MS = 5_000;

/** How far the newest cut of somebody is, from the database alone: the same whoever asks and however often. Undefined: never cut. */
export async function cutProgress(db: Database, identityId: IdentityId): Promise<CutProgress | undefined> {
  const asked = await db
    .selectFrom('fact')
    .select(({ fn }) => fn.max('recorded_at').as('at'))
    .where('identity_id', '=', identityId)
    .where('source', '=', 'tenure')
    .where('kind', '=', 'end')
    .executeTakeFirst();
  const cutAt = asked?.at ?? null;
  const process = await db
    .selectFrom('process')
    .select(['process_id', 'state', 'ended_at'])
    .where('identity_id', '=', identityId)
    .where('process_kind', '=', 'leaver')
    .orderBy('opened_at', 'desc')
    .executeTakeFirst();
  if (process === undefined && cutAt === null) return undefined;
  const waiting = {
    identityId,
    processId: null,
    applications: [],
    tier1ProvenAt: null,
    isSettled: false,
    report: null,
  };
  if (process === undefined) return waiting;
  // A leaver of an earlier life had ended before.
  if (cutAt !== null && process.ended_at !== null && Date.parse(process.ended_at) < Date.parse(cutAt) - SKEW_MS)
    return waiting;
  const processId = process.process_id;
  const visits = await visitsOf(db, processId);
  const tasks = await openTasks(db, processId);
  const applications = applicationsOf(visits, tasks);
  const tier1 = visits.filter((one) => one.tier === 'T1');
  const isProven = tier1.length > 0 && tier1.every((one) => PROVEN.has(one.outcome ?? ''));
  const isSettled = process.state !== 'running' && visits.every((one) => one.status === 'settled');
  return {
    identityId,
    processId,
    applications,
    tier1ProvenAt: isProven
      ? (tier1
          .map((one) => one.settled_at)
          .sort()
          .at(-1) ?? null)
      : null,
    isSettled,
    report: isSettled ? `/v1/processes/${encodeURIComponent(processId)}/report` : null,
  };
}

const PROVEN: ReadonlySet<string> = new Set(['proven', 'absent']);

async function visitsOf(db: Database, processId: ProcessId) {
  const rows = await db
    .selectFrom('visit')
    .select(['visit_id', 'application', 'account_id', 'phase', 'tier', 'status', 'outcome', 'code', 'settled_at'])
    .where('process_id', '=', processId)
    .where('phase', 'in', ['cut', 'deprovision'])
    .orderBy('created_at')
    .execute();
  // The newest look at each account counts; a repeat replaces what it repeats.
  const newest = new Map(
    rows
      .filter((row) => !NOT_CARRIED_OUT.has(row.outcome ?? ''))
      .map((row) => [`${row.phase} ${row.application} ${row.account_id ?? ''}`, row]),
  );
  return [...newest.values()];
}
type Visit = Awaited<ReturnType<typeof visitsOf>>[number];

function openTasks(db: Database, processId: ProcessId) {
  return db
    .selectFrom('operator_task')
    .select(['visit_id', 'application', 'code', 'created_at'])
    .where('process_id', '=', processId)
    .where('status', '=', 'open')
    .execute();
}
type Task = Awaited<ReturnType<typeof openTasks>>[number];

/** One line an application, as bad as the worst of its accounts. */
function applicationsOf(visits: readonly Visit[], tasks: readonly Task[]): readonly CutApplication[] {
  const names = new Set([
    ...visits.map((one) => one.application as string),
    ...tasks.flatMap((one) => (one.application === null ? [] : [one.application as string])),
  ]);
  return [...names].sort().map((application) => {
    const own = visits.filter((one) => one.application === application);
    const task = tasks.find((one) => one.application === application);
    if (task !== undefined) return { application, state: 'open', code: task.code, at: task.created_at };
    const [worst] = own.map(stateOf).sort((a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state));
    return { application, ...(worst ?? { state: 'pending', code: null, at: null }) };
  });
}

const WORST: readonly CutState[] = ['open', 'trouble', 'pending', 'skipped', 'unprovable', 'by-hand', 'proven'];

function stateOf(visit: Visit): Omit<CutApplication, 'application'> {
  if (visit.status !== 'settled')
    return { state: visit.code === null ? 'pending' : 'trouble', code: visit.code, at: null };
  const outcome = visit.outcome ?? '';
  const state = PROVEN.has(outcome) ? 'proven' : WORST.find((one) => one === outcome);
  return { state: state ?? 'unprovable', code: null, at: visit.settled_at };
}
