import { randomUUID } from 'node:crypto';
import type { Updateable } from 'kysely';
import { appendAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { OperatorTaskTable } from '../db/schema.js';
import type { Operation, PlannedVisit } from '../domain/plan/types.js';
import { brand } from '../domain/process/ids.js';
import type { AccountId, ApplicationSlug, IdentityId, Instant, ProcessId, VisitId } from '../domain/process/ids.js';
import type { ActivityDeps } from './deps.js';
import { pinnedPolicy } from './pinned-policy.js';
import { DESTROYING } from '../domain/process/kinds.js';
import { worksHere } from '../planning/approver.js';
import { LEGAL_HOLD } from '../domain/process/outcome.js';
import { isHeld } from './process.js';
import { lastProof } from './stays-dead.js';
import { taskInstructions } from './instructions.js';
import { TenureError } from './lib/boundary.js';
import { clockFrom } from './lib/clock.js';
import { BY_HAND } from './visit/by-hand.js';
import { loadAccount, loadVisit } from './visit/load.js';
import type { AccountRow, VisitContext } from './visit/load.js';
import { settle } from './visit/record.js';

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

export interface ApprovalRecord extends Ref {
  readonly approvalId: string;
  readonly status: 'approved' | 'denied' | 'expired';
  readonly decidedBy?: IdentityId;
  readonly decisionId?: string;
}

/**
 * Writes a decision that the workflow has accepted into the approval's row, with its audit record. Raises NotYourDecision when the approval is addressed to somebody
 * else by now, or whoever decides has left meanwhile. Safe to repeat: a decided row stays as it is.
 */
export async function recordApproval(deps: ActivityDeps, input: ApprovalRecord): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    if (input.decidedBy !== undefined) await requireTheirs(trx, deps, input, input.decidedBy);
    const row = await trx
      .updateTable('approval')
      .set({ status: input.status, decided_by: input.decidedBy ?? null, decided_at: input.now })
      .where('approval_id', '=', input.approvalId)
      .where('status', '=', 'pending')
      .returning('entitlement_key')
      .executeTakeFirst();
    if (row === undefined) return;
    await appendAudit(trx, deps.keys, {
      identityId: input.identityId,
      at: input.now,
      actor: input.decidedBy === undefined ? 'system' : `identity:${input.decidedBy}`,
      action: `approval.${input.status}`,
      body: { approvalId: input.approvalId, entitlement: row.entitlement_key, decisionId: input.decisionId ?? null },
    });
  });
}

/** The person's row is locked: a cut of theirs came before this decision, or comes after it. */
async function requireTheirs(
  trx: Queryable,
  deps: ActivityDeps,
  { approvalId, now }: ApprovalRecord,
  decidedBy: IdentityId,
): Promise<void> {
  await trx.selectFrom('identity').select('identity_id').where('identity_id', '=', decidedBy).forShare().execute();
  const { status, approver_identity_id: approver } = await trx
    .selectFrom('approval')
    .select(['status', 'approver_identity_id'])
    .where('approval_id', '=', approvalId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (status !== 'pending') return;
  if (approver !== decidedBy) throw new TenureError('NotYourDecision', 'addressed-to-another');
  if (!(await worksHere(trx, deps.keys, decidedBy, now))) throw new TenureError('NotYourDecision', 'has-left');
}

export interface TaskRequest extends Ref {
  readonly kind: OperatorTaskTable['kind'];
  readonly code: string;
  readonly visitId?: VisitId;
  readonly application?: string;
}

/** Opens an operator task, or gives the one that is open for this visit already. The instructions are written from the plan and stay in Postgres. */
export async function openTask(deps: ActivityDeps, input: TaskRequest): Promise<{ readonly taskId: string }> {
  const open = await openTaskOf(deps.db, input);
  if (open !== undefined) return { taskId: open };
  const visit = input.visitId === undefined ? undefined : await contextOf(deps, input.visitId, input.now);
  const account = visit === undefined ? undefined : await loadAccount(visit);
  const text =
    taskInstructions(input.kind, visit, account) +
    (await whatCameBack(deps, input)) +
    (await whatIsAdministered(deps, input));
  const instructions = await deps.keys.encryptFor(deps.db, input.identityId, 'task', text);
  const taskId = randomUUID();
  await deps.db.transaction().execute(async (trx) => {
    await requireAlive(trx, input.processId);
    await trx
      .insertInto('operator_task')
      .values({
        task_id: taskId,
        identity_id: input.identityId,
        process_id: input.processId,
        visit_id: input.visitId ?? null,
        application: visit?.row.application ?? (input.application === undefined ? null : brand(input.application)),
        kind: input.kind,
        code: input.code,
        attribute: null,
        instructions,
        due_at: visit?.row.deadline_at ?? null,
        created_at: input.now,
        resolution: null,
        decision_id: null,
        resolved_at: null,
      })
      .execute();
    await appendAudit(trx, deps.keys, {
      identityId: input.identityId,
      at: input.now,
      actor: 'system',
      action: 'task.opened',
      body: { taskId, kind: input.kind, code: input.code, application: input.application ?? null },
    });
  });
  return { taskId };
}

/** Which application an incident is about, when its account was last proven closed, and when it was seen alive. */
async function whatCameBack(deps: ActivityDeps, input: TaskRequest): Promise<string> {
  if (input.kind !== 'came-back' || input.application === undefined) return '';
  const { lastProvenAt, seenAliveAt } = await lastProof(deps, input.processId, input.application);
  return `\n\n- application: ${input.application}\n- last proven closed: ${lastProvenAt ?? 'never'}\n- seen alive: ${seenAliveAt ?? 'unknown'}`;
}

/** Where nobody is left, and by which entitlements somebody would be. */
async function whatIsAdministered(deps: ActivityDeps, input: TaskRequest): Promise<string> {
  if (input.kind !== 'last-administrator') return '';
  if (input.application === undefined)
    return '\n\n- application: Tenure itself\n- administrative: a token of the role admin';
  const policy = await pinnedPolicy(deps, deps.db, input.processId);
  const names = policy.applications.find((one) => one.slug === input.application)?.administrators ?? [];
  return `\n\n- application: ${input.application}\n- administrative: ${names.join(', ')}`;
}

/** Withdraws the open task about a visit that its target has settled by itself meanwhile. Safe to repeat; a visit without a task is left alone. */
export async function withdrawTask(deps: ActivityDeps, input: Ref & { readonly visitId: VisitId }): Promise<void> {
  await closeTask(deps, input, { visit_id: input.visitId }, { status: 'withdrawn' }, 'system', 'task.withdrawn');
}

/** Ends the open task that `which` names, with its audit record; one that is not open stays as it is. */
async function closeTask(
  deps: ActivityDeps,
  { identityId, now }: Ref,
  which: { readonly task_id: string } | { readonly visit_id: VisitId },
  end: Updateable<OperatorTaskTable>,
  actor: string,
  action: string,
): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .updateTable('operator_task')
      .set({ ...end, resolved_at: now })
      .where((eb) => eb.and(which))
      .where('status', '=', 'open')
      .returning('task_id')
      .executeTakeFirst();
    if (row === undefined) return;
    const decided = typeof end.decision_id === 'string' ? { decisionId: end.decision_id } : {};
    await appendAudit(trx, deps.keys, {
      identityId,
      at: now,
      actor,
      action,
      body: { taskId: row.task_id, ...decided },
    });
  });
}

/** Nobody is asked on behalf of a process whose row was closed (by a cut, while it was still running). Raises EventSuperseded. */
async function requireAlive(trx: Queryable, processId: ProcessId): Promise<void> {
  const process = await trx
    .selectFrom('process')
    .select('state')
    .where('process_id', '=', processId)
    .forShare()
    .executeTakeFirstOrThrow();
  if (process.state !== 'running' && process.state !== 'tail')
    throw new TenureError('EventSuperseded', 'process-ended');
}

async function openTaskOf(db: Queryable, input: TaskRequest): Promise<string | undefined> {
  const row = await db
    .selectFrom('operator_task')
    .select('task_id')
    .where('process_id', '=', input.processId)
    .where('kind', '=', input.kind)
    .where('status', '=', 'open')
    // A question about no visit is its own question, never that of a visit that happens to be in trouble, too.
    .where((eb) =>
      input.visitId === undefined
        ? eb.and([
            eb('visit_id', 'is', null),
            eb('code', '=', input.code),
            input.application === undefined
              ? eb('application', 'is', null)
              : eb('application', '=', brand<ApplicationSlug>(input.application)),
          ])
        : eb('visit_id', '=', input.visitId),
    )
    .executeTakeFirst();
  return row?.task_id;
}

function contextOf(deps: ActivityDeps, visitId: VisitId, now: Instant): Promise<VisitContext> {
  return loadVisit(deps, visitId, {
    clock: clockFrom(now),
    signal: new AbortController().signal,
    progress: () => undefined,
  });
}

export interface TaskRecord extends Ref {
  readonly taskId: string;
  readonly decisionId: string;
  readonly resolution: 'retry' | 'skip' | 'done-by-hand';
}

/**
 * Carries out an operator's word on a task: `retry` lets the visit write again, `skip` settles it as skipped, `done-by-hand` settles it with the operator's
 * proof as attested evidence. Under a legal hold nobody's hands destroy either (GuardTripped). Safe to repeat: a resolved task stays as it is.
 */
export async function recordResolution(deps: ActivityDeps, input: TaskRecord): Promise<void> {
  const task = await deps.db
    .selectFrom('operator_task')
    .selectAll()
    .where('task_id', '=', input.taskId)
    .executeTakeFirstOrThrow();
  if (task.status !== 'open') return;
  if (task.visit_id !== null) await resolveVisit(deps, task.visit_id, task.kind, input);
  const end = { status: 'resolved' as const, resolution: input.resolution, decision_id: input.decisionId };
  await closeTask(deps, input, { task_id: input.taskId }, end, 'operator', `task.${input.resolution}`);
}

async function resolveVisit(
  deps: ActivityDeps,
  visitId: VisitId,
  kind: OperatorTaskTable['kind'],
  input: TaskRecord,
): Promise<void> {
  const visit = await contextOf(deps, visitId, input.now);
  switch (input.resolution) {
    case 'retry':
      await deps.db.updateTable('visit_step').set({ state: 'sent' }).where('visit_id', '=', visitId).execute();
      return;
    case 'skip':
      await settle(visit, 'skipped', []);
      return;
    case 'done-by-hand': {
      if (destroys(visit.planned.operations) && (await isHeld(deps.db, input.identityId)))
        throw new TenureError('GuardTripped', LEGAL_HOLD);
      const account = await attest(visit);
      // What the target did by itself has its own proof already; a visit in trouble is attested as a whole.
      const asked = visit.planned.operations.filter((one) => kind !== 'manual' || one.kind === 'manual');
      const findings = asked.map((operation) => ({
        operationKey: operation.key,
        check: 'attested' as const,
        road: 'operator',
        verdict: 'proven' as const,
        code: 'by-hand',
        seen: { decisionId: input.decisionId },
      }));
      await settle(visit, 'by-hand', findings, { account });
    }
  }
}

function destroys(operations: readonly Operation[]): boolean {
  return operations.flatMap((one) => one.steps ?? [one]).some((step) => DESTROYING.has(step.kind));
}

/** What was done by hand becomes the account as last observed, so that a later leaver finds it. */
async function attest(visit: VisitContext): Promise<AccountRow | undefined> {
  const steps = visit.planned.operations.flatMap((operation) => operation.steps ?? [operation]);
  const existing = await loadAccount(visit);
  const account = existing ?? (await attestCreation(visit, steps));
  if (account === undefined) return undefined;
  return visit.deps.db
    .updateTable('account')
    .set({ ...attestedState(steps, account), observed_at: visit.clock() })
    .where('account_id', '=', account.account_id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function attestCreation(visit: VisitContext, steps: PlannedVisit['operations']): Promise<AccountRow | undefined> {
  const create = steps.find((step) => step.kind === 'create');
  if (create === undefined) return undefined;
  return visit.deps.db
    .insertInto('account')
    .values({
      account_id: brand<AccountId>(randomUUID()),
      identity_id: visit.row.identity_id,
      application: visit.row.application,
      native_id: `${BY_HAND}${visit.row.identity_id}`,
      login: create.login ?? '',
      status: create.enabled === true ? 'enabled' : 'disabled',
      closed_by_tenure: create.enabled !== true,
      attributes: JSON.stringify(create.attributes ?? {}),
      secret: null,
      created_by_process: visit.row.process_id,
      observed_at: visit.clock(),
      unlinked_at: null,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

function attestedState(steps: readonly Operation[], account: AccountRow) {
  const status = steps.findLast((step) => step.enabled !== undefined)?.enabled;
  const login = steps.findLast((step) => step.kind === 'rename')?.login;
  const added = steps.flatMap((step) => (step.kind === 'add-entitlement' ? [step.entitlement ?? ''] : []));
  const removed = new Set(steps.flatMap((step) => (step.kind === 'remove-entitlement' ? [step.entitlement] : [])));
  const attributes = Object.assign(
    {},
    ...steps.map((step) => (step.kind === 'update' ? step.attributes : {})),
  ) as object;
  return {
    ...(status === undefined
      ? {}
      : { status: status ? ('enabled' as const) : ('disabled' as const), closed_by_tenure: !status }),
    ...(login === undefined ? {} : { login }),
    entitlements: [...new Set([...account.entitlements, ...added])].filter((name) => !removed.has(name)),
    attributes: JSON.stringify({ ...account.attributes, ...attributes }),
    ...(steps.some((step) => step.kind === 'archive') ? { archived: true } : {}),
    ...(steps.some((step) => step.kind === 'delete' || step.kind === 'anonymise')
      ? { unlinked_at: account.observed_at }
      : {}),
  };
}
