import type { Selectable, SqlBool } from 'kysely';
import type { Queryable } from '../db/database.js';
import { amendedDetail } from '../db/process-detail.js';
import type { IdentityTable, ProcessTable } from '../db/schema.js';
import { appendAudit, appending, sealAudit } from '../db/audit.js';
import type { AuditEntry } from '../db/audit.js';
import { REOPEN, nextSteps } from '../domain/lifecycle/next-step.js';
import type { NextSteps, ProcessRow, Step } from '../domain/lifecycle/next-step.js';
import type { Transition } from '../domain/ledger/types.js';
import { warningsOf } from '../domain/lifecycle/contract-end.js';
import { suspendsAt } from '../domain/lifecycle/leave.js';
import { earlierOf } from '../domain/time/instants.js';
import type { CompiledPolicy, LifecyclePolicy } from '../domain/policy/types.js';
import { processIdOf, processWorkflowId } from '../domain/process/ids.js';
import type { IdentityId, Instant, PolicyVersion, ProcessId, TransitionId } from '../domain/process/ids.js';
import type { Phase, ProcessKind, TransitionKind } from '../domain/process/kinds.js';
import { revokeOwnTokens } from '../planning/own-access.js';
import { queuedTransitions } from '../planning/moves.js';
import type { ProcessInput } from '../workflows/messages.js';
import type { ActivityDeps } from './deps.js';
import { plusMs } from './lib/clock.js';

export interface QueueAdvance {
  /** Children to start; a process stays in this list until it has started, so a lost start is repeated. */
  readonly open: readonly (ProcessInput & {
    readonly workflowId: string;
    readonly cut: boolean;
    readonly effectiveAt: Instant;
  })[];
  readonly amend: readonly string[];
  readonly cancel: readonly string[];
  readonly nextDueAt?: Instant;
  /** Whether a process holds the queue or something due waits for one: then there is more to come without being told. */
  readonly isBusy: boolean;
  readonly ledgerVersion: number;
}

const DAY_MS = 86_400_000;
const WAITING = new Set(['date', 'grace-period', 'approval', 'operator-task']);

/**
 * When a transition's process begins: a start is prepared ahead, a leaver's notice and the warnings of a contract's end come before its end, a short leave begins nothing for as long as it is one.
 * Undefined: never, as the ledger is now.
 */
export function beginsAt(transition: Transition, lifecycle: LifecyclePolicy): Instant | undefined {
  switch (transition.kind) {
    case 'joiner':
    case 'rehire':
      return plusMs(transition.effectiveAt, -lifecycle.leadTimeDays * DAY_MS);
    case 'leaver':
      return [transition.noticeAt, warningsOf(transition, lifecycle.contractEnd)[0]?.at]
        .filter((at) => at !== undefined)
        .reduce(earlierOf, transition.effectiveAt);
    case 'mover':
    case 'name-change':
    case 'conversion':
    case 'rescinded-hire':
    case 'leave-end':
    case 'migration':
      return transition.effectiveAt;
    case 'leave-start':
      return suspendsAt(transition, lifecycle.leave);
  }
}

export interface QueueLook {
  readonly identityId: IdentityId;
  readonly now: Instant;
  /** False: no more than a process's end or pause led to this look. */
  readonly hasNews?: boolean;
}

/**
 * One look at a person's queue, in one transaction under the identity's row lock: derives the transitions, opens process rows, raises the generation
 * for a cut, and says what the identity workflow has to start, tell or cancel. Repeating it gives the same rows and the same answer. Without news there is
 * mostly nothing to write, and then nothing is locked: one statement sees it all, and whoever changes it a moment later tells the queue.
 */
export async function advanceQueue(deps: ActivityDeps, input: QueueLook): Promise<QueueAdvance> {
  if (input.hasNews === false) {
    const seen = await see(deps.db, input.identityId);
    if (!seen.isMoving) {
      const look = await decide(deps, deps.db, seen, input);
      if (leavesAlone(look)) return answer(look, seen.found, input.now);
    }
  }
  return deps.db.transaction().execute(async (trx) => {
    await lockIdentity(trx, input.identityId);
    const look = await decide(deps, trx, await see(trx, input.identityId), input);
    const { found, decision, identity, policy } = look;
    // The first record of a step holds the chain; the rows of those who run are taken before it.
    if (decision.steps.length > 0 && found.some(isAlive)) await lockProcesses(trx, input.identityId);
    let generation = identity.generation;
    const opened: Row[] = [];
    for (const step of decision.steps) {
      if (step.do === 'open' && step.cut) {
        deps.cutsFirst.expect();
        generation = await raiseGeneration(trx, input.identityId);
        await revokeOwnTokens(trx, deps.keys, { identityId: input.identityId, at: input.now });
      }
      opened.push(...(await take(trx, deps, { step, generation, policyVersion: policy.version, ...input })));
    }
    const carriesOver = generation > identity.generation || hasOlder(found, generation);
    if (carriesOver) await carryGenerationOver(trx, input.identityId, generation);
    if (movesNextDue(look))
      await trx
        .updateTable('identity')
        .set({ next_due_at: decision.nextDueAt ?? null })
        .where('identity_id', '=', input.identityId)
        .execute();
    const isUntouched = decision.steps.every(addsOnly) && !carriesOver;
    return answer(look, isUntouched ? [...found, ...opened] : await rowsOf(trx, input.identityId), input.now);
  });
}

/** Not FOR UPDATE: rows that only refer to the person are written meanwhile; the fence's share lock waits for this one all the same. */
export async function lockIdentity(db: Queryable, identityId: IdentityId): Promise<void> {
  await db
    .selectFrom('identity')
    .select('identity_id')
    .where('identity_id', '=', identityId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
}

interface Look extends Seen {
  readonly policy: CompiledPolicy;
  readonly decision: NextSteps;
}

async function decide(deps: ActivityDeps, db: Queryable, seen: Seen, { identityId, now }: QueueLook): Promise<Look> {
  const { identity, found, isMoving } = seen;
  if (identity.policy_version === null) throw new Error('no policy was published');
  const policy = await deps.policies.get(db, identity.policy_version);
  const person = await deps.people.at(db, identityId, identity.ledger_version);
  const decision = nextSteps({
    transitions: isMoving ? await queuedTransitions(db, person, now, policy.lifecycle) : person.transitions,
    processes: found.map(processRow),
    now,
    beginsAt: (transition) => beginsAt(transition, policy.lifecycle),
  });
  return { ...seen, policy, decision };
}

function leavesAlone(look: Look): boolean {
  return look.decision.steps.length === 0 && !hasOlder(look.found, look.identity.generation) && !movesNextDue(look);
}

function hasOlder(rows: readonly Row[], generation: number): boolean {
  return rows.some((row) => row.state === 'running' && row.generation < generation);
}

function movesNextDue({ identity, decision }: Look): boolean {
  return identity.next_due_at !== (decision.nextDueAt ?? null);
}

function answer({ identity, decision }: Look, rows: readonly Row[], now: Instant): QueueAdvance {
  const amend = unread(rows);
  return {
    amend,
    cancel: unstopped(rows),
    open: notStarted(rows),
    isBusy: decision.isBlocked || amend.length > 0 || rows.some((row) => isBusy(row, now)),
    ledgerVersion: identity.ledger_version,
    ...(decision.nextDueAt === undefined ? {} : { nextDueAt: decision.nextDueAt }),
  };
}

/** For whoever changes rows of several processes after the chain was written: the locks that come before the chain's are taken first. */
export async function lockProcesses(db: Queryable, identityId: IdentityId): Promise<void> {
  await db.selectFrom('process').select('process_id').where('identity_id', '=', identityId).forNoKeyUpdate().execute();
}

/** Raises the person's generation: from here on no older visit may write (design D3). Returns the new one. */
export async function raiseGeneration(db: Queryable, identityId: IdentityId): Promise<number> {
  const row = await db
    .updateTable('identity')
    .set((eb) => ({ generation: eb('generation', '+', 1) }))
    .where('identity_id', '=', identityId)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return row.generation;
}

type ActedRow = Row & { readonly has_acted: SqlBool };

interface Seen {
  readonly identity: Pick<Selectable<IdentityTable>, 'ledger_version' | 'generation' | 'next_due_at'> & {
    readonly policy_version: PolicyVersion | null;
  };
  /** The person's processes. */
  readonly found: readonly ActedRow[];
  /** Whether a migration has anything to do with the person. */
  readonly isMoving: boolean;
}

/** Everything that a look depends on but the facts, in one statement. Behind the identity's lock it holds for as long as that is held. */
async function see(db: Queryable, identityId: IdentityId): Promise<Seen> {
  const rows = await db
    .selectFrom('identity')
    .leftJoin('process', 'process.identity_id', 'identity.identity_id')
    .selectAll('process')
    .select(['identity.ledger_version', 'identity.generation as present_generation', 'identity.next_due_at'])
    .select((eb) => [
      eb
        .selectFrom('policy_version')
        .select((of) => of.fn.max('policy_version.version').as('version'))
        .as('newest_policy'),
      eb
        .exists(eb.selectFrom('migration_move').select('move_id').whereRef('identity_id', '=', 'identity.identity_id'))
        .as('is_moving'),
      eb
        .exists(
          eb
            .selectFrom('visit')
            .select('visit.visit_id')
            .whereRef('visit.process_id', '=', 'process.process_id')
            .where((visit) =>
              visit.or([visit('visit.first_write_at', 'is not', null), visit('visit.outcome', '=', 'by-hand')]),
            ),
        )
        .as('has_acted'),
    ])
    .where('identity.identity_id', '=', identityId)
    .orderBy('opened_at')
    .execute();
  // Somebody without a process has one row all the same, an empty one.
  const isProcess = (row: (typeof rows)[number]): row is (typeof rows)[number] & ActedRow => row.process_id !== null;
  const [first] = rows;
  if (first === undefined) throw new Error('no such identity');
  return {
    identity: {
      ledger_version: first.ledger_version,
      generation: first.present_generation,
      next_due_at: first.next_due_at,
      policy_version: first.newest_policy,
    },
    found: rows.filter(isProcess),
    isMoving: Boolean(first.is_moving),
  };
}

function processRow(row: ActedRow): ProcessRow {
  return {
    processId: row.process_id,
    transitionId: row.transition_id,
    revision: row.revision,
    transitionKind: transitionKindOf(row.transition_id),
    processKind: row.process_kind,
    state: row.state,
    isWaiting: isWaiting(row),
    digest: row.digest,
    effectiveAt: row.effective_at,
    policyVersion: row.policy_version,
    hasActed: Boolean(row.has_acted),
  };
}

function isAlive(row: Pick<Row, 'state'>): boolean {
  return row.state === 'running' || row.state === 'tail';
}

function isWaiting(row: Pick<Row, 'blocked_on' | 'process_kind' | 'phase'>): boolean {
  return row.blocked_on !== null && WAITING.has(row.blocked_on) && !isCutting(row);
}

/** A cut under way lets nobody pass, whatever it waits for: first finish cutting, then grant (edge case 41). */
function isCutting(row: { readonly process_kind: ProcessKind; readonly phase: Phase | null }): boolean {
  return row.process_kind === 'leaver' && row.phase !== null && row.phase !== 'notice';
}

function transitionKindOf(transitionId: TransitionId): TransitionKind {
  return transitionId.split('/')[1] as TransitionKind;
}

interface Taking {
  readonly step: Step;
  readonly identityId: IdentityId;
  readonly generation: number;
  readonly policyVersion: PolicyVersion;
  readonly now: Instant;
}

type AddingStep = Extract<Step, { do: 'open' | 'coalesce' }>;

/** Leaves the rows alone that are there. */
function addsOnly(step: Step): step is AddingStep {
  return step.do === 'open' || step.do === 'coalesce';
}

/** Gives the rows that are new. */
async function take(trx: Queryable, deps: ActivityDeps, taking: Taking): Promise<readonly Row[]> {
  const { step } = taking;
  if (addsOnly(step)) return insertProcess(trx, deps, taking, step);
  await change(trx, deps, taking, step);
  return [];
}

async function change(
  trx: Queryable,
  deps: ActivityDeps,
  taking: Taking,
  step: Exclude<Step, AddingStep>,
): Promise<void> {
  switch (step.do) {
    case 'amend': {
      const { transition } = step;
      await trx
        .updateTable('process')
        .set({
          digest: transition.digest,
          effective_at: transition.effectiveAt,
          notice_at: transition.noticeAt ?? null,
          outcome: transition.status === 'cancelled' ? 'transition-cancelled' : null,
          detail: amendedDetail,
        })
        .where('process_id', '=', step.processId)
        .execute();
      await audit(trx, deps, taking, 'process.amended', {
        processId: step.processId,
        effectiveAt: transition.effectiveAt,
      });
      return;
    }
    case 'note':
      await trx.updateTable('process').set({ digest: step.digest }).where('process_id', '=', step.processId).execute();
      return;
    case 'cancel': {
      await trx
        .updateTable('process')
        .set({
          state: 'cancelled',
          digest: step.digest,
          outcome: step.why,
          ended_at: taking.now,
          blocked_on: null,
          due_at: null,
        })
        .where('process_id', '=', step.processId)
        .execute();
      await withdrawOpenItems(trx, step.processId, taking.now);
      await audit(trx, deps, taking, 'process.cancelled', { processId: step.processId, why: step.why });
    }
  }
}

/**
 * Closes the row of a process that is about to be cancelled: from now on it holds nobody up. With `reopen` it answers for nothing either, and its transition is
 * taken up again.
 */
export async function cancelRow(
  db: Queryable,
  cancel: { readonly processId: ProcessId; readonly why: string; readonly reopen: boolean; readonly now: Instant },
): Promise<void> {
  const { processId, why, now } = cancel;
  await db
    .updateTable('process')
    .set({
      state: 'cancelled',
      outcome: why,
      ended_at: now,
      blocked_on: null,
      due_at: null,
      ...(cancel.reopen ? { digest: REOPEN } : {}),
    })
    .where('process_id', '=', processId)
    .execute();
  await withdrawOpenItems(db, processId, now);
}

/** Approvals and tasks of a process that ended without them are withdrawn, never left to rot. */
export async function withdrawOpenItems(db: Queryable, processId: ProcessId, now: Instant): Promise<void> {
  await db
    .with('task', (cte) =>
      cte
        .updateTable('operator_task')
        .set({ status: 'withdrawn', resolved_at: now })
        .where('process_id', '=', processId)
        .where('status', '=', 'open'),
    )
    .updateTable('approval')
    .set({ status: 'withdrawn', decided_at: now })
    .where('process_id', '=', processId)
    .where('status', '=', 'pending')
    .execute();
}

async function insertProcess(
  trx: Queryable,
  deps: ActivityDeps,
  taking: Taking,
  step: AddingStep,
): Promise<readonly Row[]> {
  const { transition, revision } = step;
  const processId = processIdOf(transition.id, revision);
  const isOpen = step.do === 'open';
  const processKind: ProcessKind = isOpen ? step.processKind : 'mover';
  const record = await sealAudit(
    trx,
    deps.keys,
    entryOf(taking, isOpen ? 'process.opened' : 'process.coalesced', {
      processId,
      kind: transition.kind,
      effectiveAt: transition.effectiveAt,
      because: transition.because.map(String),
      generation: taking.generation,
    }),
  );
  return trx
    .with('opened', (cte) =>
      cte
        .insertInto('process')
        .values({
          process_id: processId,
          transition_id: transition.id,
          revision,
          identity_id: taking.identityId,
          kind: isOpen ? step.kind : transition.kind,
          process_kind: processKind,
          generation: taking.generation,
          state: isOpen ? 'running' : 'superseded',
          phase: null,
          workflow_id: processWorkflowId(taking.identityId, processId),
          policy_version: taking.policyVersion,
          effective_at: isOpen && step.isRestoration ? taking.now : transition.effectiveAt,
          notice_at: transition.noticeAt ?? null,
          digest: isOpen ? step.digest : transition.digest,
          due_at: null,
          blocked_on: null,
          detail: JSON.stringify(transition.movedFrom.length > 0 ? { movedFrom: transition.movedFrom } : {}),
          started_at: null,
          ended_at: isOpen ? null : taking.now,
          outcome: isOpen ? null : `carried-out-by:${step.into}`,
          opened_at: taking.now,
        })
        .onConflict((conflict) => conflict.column('process_id').doNothing())
        .returningAll(),
    )
    .selectFrom('opened')
    .selectAll()
    .select(appending(taking.identityId, record).as('audit'))
    .execute();
}

async function audit(
  trx: Queryable,
  deps: ActivityDeps,
  taking: Taking,
  action: string,
  body: AuditEntry['body'],
): Promise<void> {
  await appendAudit(trx, deps.keys, entryOf(taking, action, body));
}

function entryOf(taking: Taking, action: string, body: AuditEntry['body']): AuditEntry {
  return { identityId: taking.identityId, at: taking.now, actor: 'system', action, body };
}

type Row = Selectable<ProcessTable>;

function rowsOf(db: Queryable, identityId: IdentityId): Promise<readonly Row[]> {
  return db.selectFrom('process').selectAll().where('identity_id', '=', identityId).orderBy('opened_at').execute();
}

/** Holds the queue, or is a retention about to end because the ledger took the end back: what is to follow then is this queue's to open. */
function isBusy(row: Row, now: Instant): boolean {
  if (row.state === 'running') return !isWaiting(row);
  return row.state === 'tail' && (row.outcome === 'transition-cancelled' || row.effective_at > now);
}

/** Living processes that have not read what the ledger says now. Told again until they have: an answer of ours may be lost with a worker. */
function unread(rows: readonly Row[]): readonly string[] {
  return rows
    .filter((row) => isAlive(row) && row.started_at !== null)
    .filter((row) => (row.detail.amendments ?? 0) > (row.detail.amendmentsRead ?? 0))
    .map((row) => row.workflow_id);
}

/** Workflows whose row was closed under them and that have not ended yet; told again until they have. */
export function unstopped(rows: readonly Row[]): readonly string[] {
  return rows
    .filter((row) => row.state === 'cancelled' && row.started_at !== null && row.detail.stopped !== true)
    .map((row) => row.workflow_id);
}

/** Workflows of the person that still have to hear that their row was closed. */
export async function workflowsToCancel(db: Queryable, identityId: IdentityId): Promise<readonly string[]> {
  return unstopped(await rowsOf(db, identityId));
}

/**
 * What goes on after an end that cut nothing of it (one of two employments) is no older write: it gets the present generation and plans anew, because some of
 * its visits may have stopped meanwhile. While a leaver is under way nothing gets a generation back.
 */
async function carryGenerationOver(db: Queryable, identityId: IdentityId, generation: number): Promise<void> {
  await db
    .updateTable('process')
    .set({ generation, detail: amendedDetail })
    .where('identity_id', '=', identityId)
    .where('state', '=', 'running')
    .where('generation', '<', generation)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('process as leaver')
            .select('leaver.process_id')
            .where('leaver.identity_id', '=', identityId)
            .where('leaver.state', '=', 'running')
            .where('leaver.process_kind', '=', 'leaver'),
        ),
      ),
    )
    .execute();
}

function notStarted(rows: readonly Row[]): QueueAdvance['open'] {
  const fresh = rows.filter((row) => row.state === 'running' && row.started_at === null);
  return fresh.map((row) => ({
    identityId: row.identity_id,
    processId: row.process_id,
    kind: row.kind,
    processKind: row.process_kind,
    generation: row.generation,
    policyVersion: row.policy_version,
    workflowId: row.workflow_id,
    cut: row.process_kind === 'leaver',
    effectiveAt: row.effective_at,
  }));
}
