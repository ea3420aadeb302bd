import { appendAudit, appending, behind, sealAudit } from '../db/audit.js';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import type { Queryable } from '../db/database.js';
import type { ProcessDetail, ProcessTable } from '../db/schema.js';
import { REOPEN } from '../domain/lifecycle/next-step.js';
import { warningsOf } from '../domain/lifecycle/contract-end.js';
import type { Warning } from '../domain/lifecycle/contract-end.js';
import type { LifecyclePolicy } from '../domain/policy/types.js';
import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { moveIdOf } from '../domain/process/kinds.js';
import type { Phase, ProcessKind, ProcessState } from '../domain/process/kinds.js';
import { loadMove } from '../planning/moves.js';
import { revokeOwnTokens } from '../planning/own-access.js';
import { isWorking, loadPerson } from '../planning/person.js';
import type { ActivityDeps } from './deps.js';
import { plusMs } from './lib/clock.js';
import {
  cancelRow,
  lockIdentity,
  lockProcesses,
  raiseGeneration,
  withdrawOpenItems,
  workflowsToCancel,
} from './queue.js';

const DAY_MS = 86_400_000;

/** Every instant and limit a process lives by, from the ledger and its pinned policy; read again whenever the process is amended. */
export interface ProcessSchedule {
  readonly status: 'standing' | 'cancelled' | 'ended';
  readonly effectiveAt: Instant;
  readonly noticeAt?: Instant;
  readonly graceUntil: Instant;
  readonly archiveAt: Instant;
  readonly deleteAt: Instant;
  readonly visitPatienceMs: number;
  readonly recutSettleMs: number;
  /** A migration process: how long its step may take. */
  readonly movePatienceMs?: number;
  /** Looks after a cut; absent in histories from before there were any. */
  readonly staysDeadMs?: readonly number[];
  /** Days before a contract's end on which its sponsor is warned; absent in histories from before there were any. */
  readonly warnings?: readonly Warning[];
  readonly doNotRehire: boolean;
  /** A legal hold is on the person; absent in histories from before there were any. */
  readonly isHeld?: boolean;
  /** How many amendments this reading takes into account. */
  readonly amendments: number;
  /** Workflow ids of this person's tails that must end before access is given again. */
  readonly tails: readonly { readonly processId: ProcessId; readonly workflowId: string }[];
}

interface ProcessRef {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

/** Marks the process as begun and tells it its schedule. Safe to repeat. */
export async function openProcess(deps: ActivityDeps, input: ProcessRef): Promise<ProcessSchedule> {
  // Begun, and every amendment so far is read: the queue stops starting and telling it.
  const row = await deps.db
    .updateTable('process')
    .set({
      started_at: sql<Instant>`coalesce(started_at, ${input.now}::timestamptz)`,
      detail: sql<string>`detail || jsonb_build_object('amendmentsRead', coalesce((detail->>'amendments')::integer, 0))`,
    })
    .where('process_id', '=', input.processId)
    .returningAll()
    .executeTakeFirstOrThrow();
  const policy = await deps.policies.get(deps.db, row.policy_version);
  const isEnded = row.state !== 'running' && row.state !== 'tail';
  return {
    status: isEnded ? 'ended' : isGone(row, input.now) ? 'cancelled' : 'standing',
    effectiveAt: row.effective_at,
    ...(row.notice_at === null ? {} : { noticeAt: row.notice_at }),
    ...deadlines(row, policy.lifecycle),
    ...(row.kind === 'leaver' ? { warnings: await warnings(deps, row, policy.lifecycle, input.now) } : {}),
    amendments: row.detail.amendments ?? 0,
    isHeld: HOLDABLE.has(row.process_kind) && (await isHeld(deps.db, input.identityId)),
    ...(row.process_kind === 'migration' ? await movePatience(deps.db, row.process_id) : {}),
    doNotRehire: row.process_kind === 'rehire' && (await isBarred(deps, input)),
    tails: row.process_kind === 'rehire' ? await tailsOf(deps, input) : [],
  };
}

/** Processes that archive or delete. */
const HOLDABLE: ReadonlySet<ProcessKind> = new Set<ProcessKind>(['leaver', 'migration']);

async function movePatience(
  db: Queryable,
  processId: ProcessId,
): Promise<Pick<ProcessSchedule, 'movePatienceMs'> | undefined> {
  const move = await loadMove(db, moveIdOf(processId));
  return move === undefined ? undefined : { movePatienceMs: move.patience_ms };
}

/** Of an end that is ahead; whoever is cut now has nobody to warn. */
async function warnings(
  deps: ActivityDeps,
  row: Selectable<ProcessTable>,
  lifecycle: LifecyclePolicy,
  now: Instant,
): Promise<readonly Warning[]> {
  if (row.effective_at <= now) return [];
  const person = await loadPerson(deps.db, deps.keys, row.identity_id);
  const transition = person.transitions.find((one) => one.id === row.transition_id);
  return transition === undefined ? [] : warningsOf(transition, lifecycle.contractEnd);
}

/** Whether a legal hold is on the person. A statement of its own, behind the one that notes what was read: a hold in between is told of once more. */
export async function isHeld(db: Queryable, identityId: IdentityId): Promise<boolean> {
  const row = await db
    .selectFrom('identity')
    .select('held_since')
    .where('identity_id', '=', identityId)
    .executeTakeFirstOrThrow();
  return row.held_since !== null;
}

/** The transition was withdrawn, or a leaver that has already cut was moved into the future: then its retention is over. */
function isGone(row: Selectable<ProcessTable>, now: Instant): boolean {
  const hasCut = row.process_kind === 'leaver' && row.phase !== null && row.phase !== 'notice';
  return row.outcome === 'transition-cancelled' || (hasCut && row.effective_at > now);
}

function deadlines(
  { effective_at: effectiveAt, started_at: startedAt }: Selectable<ProcessTable>,
  lifecycle: LifecyclePolicy,
): Pick<
  ProcessSchedule,
  'graceUntil' | 'archiveAt' | 'deleteAt' | 'visitPatienceMs' | 'recutSettleMs' | 'staysDeadMs'
> {
  // An end that became known late is cut at once, but what it leaves behind is kept for its time all the same.
  const cutAt = startedAt !== null && startedAt > effectiveAt ? startedAt : effectiveAt;
  return {
    graceUntil: plusMs(effectiveAt, lifecycle.moverGraceDays * DAY_MS),
    archiveAt: plusMs(cutAt, lifecycle.archiveAfterDays * DAY_MS),
    deleteAt: plusMs(cutAt, lifecycle.deleteAfterDays * DAY_MS),
    visitPatienceMs: lifecycle.visitPatienceMs,
    recutSettleMs: lifecycle.recutSettleMs,
    staysDeadMs: lifecycle.staysDeadMs,
  };
}

async function isBarred(deps: ActivityDeps, input: ProcessRef): Promise<boolean> {
  const person = await loadPerson(deps.db, deps.keys, input.identityId);
  return person.stateAt(input.now).doNotRehire;
}

async function tailsOf(deps: ActivityDeps, input: ProcessRef): Promise<ProcessSchedule['tails']> {
  const rows = await deps.db
    .selectFrom('process')
    .select(['process_id', 'workflow_id'])
    .where('identity_id', '=', input.identityId)
    .where('process_id', '!=', input.processId)
    .where('state', '=', 'tail')
    .execute();
  return rows.map((row) => ({ processId: row.process_id, workflowId: row.workflow_id }));
}

export interface ProcessMark extends ProcessRef {
  readonly state?: ProcessState;
  readonly phase?: Phase;
  /** Why others may pass: `date`, `grace-period`, `approval`, `operator-task`, `retention`, `legal-hold`; null when it works. */
  readonly blockedOn?: string | null;
  readonly dueAt?: Instant | null;
}

/** Writes where the process stands into its row, the projection that lists and the person's queue read. Safe to repeat. */
export async function markProcess(deps: ActivityDeps, mark: ProcessMark): Promise<void> {
  await deps.db
    .updateTable('process')
    .set({
      ...(mark.state === undefined ? {} : { state: mark.state }),
      ...(mark.phase === undefined ? {} : { phase: mark.phase }),
      ...(mark.blockedOn === undefined ? {} : { blocked_on: mark.blockedOn }),
      ...(mark.dueAt === undefined ? {} : { due_at: mark.dueAt }),
    })
    .where('process_id', '=', mark.processId)
    .where('state', 'in', ['running', 'tail'])
    .execute();
}

/**
 * Enters a cut that this process begins at its own instant: raises the generation, gives the process the new one and closes the rows of the person's other
 * processes, whose workflows the caller then cancels. What this process still asked of people before is withdrawn: the cut asks anew. Repeating it raises once more,
 * which only stops older visits again.
 */
export async function enterCut(deps: ActivityDeps, input: ProcessRef): Promise<{ readonly cancel: readonly string[] }> {
  deps.cutsFirst.expect();
  return deps.db.transaction().execute(async (trx) => {
    const generation = await raiseGeneration(trx, input.identityId);
    await trx
      .updateTable('process')
      .set({ generation, phase: 'cut' })
      .where('process_id', '=', input.processId)
      .execute();
    const { effective_at: cutAt } = await trx
      .selectFrom('process')
      .select('effective_at')
      .where('process_id', '=', input.processId)
      .executeTakeFirstOrThrow();
    const others = await trx
      .selectFrom('process')
      .select(['process_id', 'effective_at'])
      .where('identity_id', '=', input.identityId)
      .where('process_id', '!=', input.processId)
      .where('state', '=', 'running')
      .where('process_kind', '!=', 'leaver')
      .execute();
    // What a later transition is about (a rehire being prepared) is taken up again when the cutting is done (edge case 41).
    for (const other of others)
      await cancelRow(trx, {
        processId: other.process_id,
        why: 'cut',
        reopen: other.effective_at > cutAt,
        now: input.now,
      });
    await withdrawOpenItems(trx, input.processId, input.now);
    // Its record holds the chain: behind everything that is locked.
    await revokeOwnTokens(trx, deps.keys, { identityId: input.identityId, at: input.now });
    await appendAudit(trx, deps.keys, {
      identityId: input.identityId,
      at: input.now,
      actor: 'system',
      action: 'access.cut',
      body: { processId: input.processId, generation, cancelled: others.map((other) => other.process_id) },
    });
    return { cancel: await workflowsToCancel(trx, input.identityId) };
  });
}

export interface ProcessEnd extends ProcessRef {
  readonly state: 'completed' | 'cancelled' | 'superseded';
  readonly outcome: string;
  /** The transition shall be looked at again: its row no longer answers for the ledger's present word. */
  readonly reopen?: boolean;
  /** The amendments that the process took into account; one that came later is looked at by the next revision. */
  readonly amendments: number;
}

/**
 * Ends the process row with its counts, withdraws what is still asked of people, and writes the audit record, all of it at once. Safe to repeat: the counts of an
 * ended process are given again.
 */
export async function endProcess(deps: ActivityDeps, input: ProcessEnd): Promise<Counts> {
  for (;;) {
    const counts = await tryToEnd(deps, input);
    if (counts !== undefined) return counts;
  }
}

interface Counts {
  readonly proven: number;
  readonly open: number;
}

/** Undefined when the process was amended, or closed, between the look and the end: it is looked at again. */
async function tryToEnd(deps: ActivityDeps, input: ProcessEnd): Promise<Counts | undefined> {
  const row = await deps.db
    .selectFrom('process')
    .select((eb) => {
      const evidence = eb.selectFrom('evidence').whereRef('evidence.process_id', '=', 'process.process_id');
      const count = (is: '=' | '!=') =>
        evidence.where('verdict', is, 'proven').select((of) => of.fn.countAll<string>().as('count'));
      return ['detail', 'state', count('=').as('proven'), count('!=').as('open')];
    })
    .where('process_id', '=', input.processId)
    .executeTakeFirstOrThrow();
  const counts = { proven: Number(row.proven), open: Number(row.open) };
  if (row.state !== 'running' && row.state !== 'tail') {
    await noteStopped(deps.db, input.processId);
    return counts;
  }
  const amendments = row.detail.amendments ?? 0;
  const isOutrun = amendments > input.amendments && input.state !== 'superseded';
  const reopens = input.reopen === true || isOutrun;
  if (!reopens && input.outcome !== 'undone')
    return (await closeRow(deps.db, deps, { input, counts, amendments, reopens })) ? counts : undefined;
  return deps.db.transaction().execute(async (trx) => {
    // What follows the record changes these rows: they are taken before the chain.
    await lockIdentity(trx, input.identityId);
    await lockProcesses(trx, input.identityId);
    if (!(await closeRow(trx, deps, { input, counts, amendments, reopens }))) return undefined;
    if (reopens) await lookAgainSoon(trx, input);
    if (input.outcome === 'undone') await takeRetentionUpAgain(trx, deps, input);
    return counts;
  });
}

/** One statement; false, and nothing done, when the row is not as it was seen. */
async function closeRow(
  db: Queryable,
  deps: ActivityDeps,
  end: { readonly input: ProcessEnd; readonly counts: Counts; readonly amendments: number; readonly reopens: boolean },
): Promise<boolean> {
  const { input, counts } = end;
  const detail: Partial<ProcessDetail> = { ...counts, stopped: true };
  const record = await sealAudit(db, deps.keys, {
    identityId: input.identityId,
    at: input.now,
    actor: 'system',
    action: 'process.ended',
    body: { processId: input.processId, outcome: input.outcome, ...counts },
  });
  const rows = await db
    .with('closed', (cte) =>
      cte
        .updateTable('process')
        .set({
          state: input.state,
          outcome: input.outcome,
          ended_at: input.now,
          blocked_on: null,
          due_at: null,
          detail: sql<string>`detail || ${JSON.stringify(detail)}::jsonb`,
          ...(end.reopens ? { digest: REOPEN } : {}),
        })
        .where('process_id', '=', input.processId)
        .where('state', 'in', ['running', 'tail'])
        .where(sql<number>`coalesce((detail->>'amendments')::integer, 0)`, '=', end.amendments)
        .returning('process_id'),
    )
    .with('task', (cte) =>
      cte
        .updateTable('operator_task')
        .set({ status: 'withdrawn', resolved_at: input.now })
        .where('process_id', 'in', (eb) => eb.selectFrom('closed').select('process_id'))
        .where('status', '=', 'open')
        .returning('task_id'),
    )
    .with('approval_asked', (cte) =>
      cte
        .updateTable('approval')
        .set({ status: 'withdrawn', decided_at: input.now })
        .where('process_id', 'in', (eb) => eb.selectFrom('closed').select('process_id'))
        .where('status', '=', 'pending')
        .returning('approval_id'),
    )
    .selectFrom('closed')
    .select(appending(input.identityId, record).as('audit'))
    .where(behind('task', 'approval_asked'))
    .execute();
  return rows.length > 0;
}

/** The person's queue is told, but may have completed a moment before: then the schedule wakes it. The queue's next look puts the instant right. */
async function lookAgainSoon(trx: Queryable, input: ProcessRef): Promise<void> {
  await trx
    .updateTable('identity')
    .set({ next_due_at: sql<Instant>`least(next_due_at, ${input.now}::timestamptz)` })
    .where('identity_id', '=', input.identityId)
    .execute();
}

/** The workflow of a closed row has ended: nobody has to tell it any more. Safe to repeat. */
export async function markStopped(deps: ActivityDeps, input: ProcessRef): Promise<void> {
  await noteStopped(deps.db, input.processId);
}

async function noteStopped(db: Queryable, processId: ProcessId): Promise<void> {
  await db
    .updateTable('process')
    .set({ detail: sql<string>`detail || '{"stopped": true}'::jsonb` })
    .where('process_id', '=', processId)
    .execute();
}

/** A rehire that never came about had ended the former leaver's retention: its accounts must still be archived and deleted one day. */
async function takeRetentionUpAgain(trx: Queryable, deps: ActivityDeps, input: ProcessRef): Promise<void> {
  const person = await loadPerson(trx, deps.keys, input.identityId);
  if (isWorking(person.stateAt(input.now))) return;
  const last = await trx
    .selectFrom('process')
    .select(['process_id', 'outcome'])
    .where('identity_id', '=', input.identityId)
    .where('kind', '=', 'leaver')
    .orderBy('effective_at', 'desc')
    .orderBy('revision', 'desc')
    .executeTakeFirst();
  if (last?.outcome !== 'rehired') return;
  await trx.updateTable('process').set({ digest: REOPEN }).where('process_id', '=', last.process_id).execute();
}
