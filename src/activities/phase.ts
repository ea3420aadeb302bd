import { randomUUID } from 'node:crypto';
import { appendAudit, appending, behind, sealAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { ApprovalTable, ProcessDetail, ProcessTable, Schema, VisitTable } from '../db/schema.js';
import { earliestDeadline, withDeadlines } from '../domain/plan/deadlines.js';
import { planPhase } from '../domain/plan/plan.js';
import type { ActualAccount, Operation, Plan, PlannedVisit } from '../domain/plan/types.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import { brand } from '../domain/process/ids.js';
import type { IdentityId, Instant, PlanId, ProcessId, VisitId } from '../domain/process/ids.js';
import { CUTTING_PHASES } from '../domain/process/kinds.js';
import type { Phase } from '../domain/process/kinds.js';
import type { Json } from '../domain/process/json.js';
import { loadActual } from '../planning/accounts.js';
import { approverOf } from '../planning/approver.js';
import { knownSince, loadPerson } from '../planning/person.js';
import type { Person } from '../planning/person.js';
import { computePhase } from '../planning/plan-service.js';
import { heldNames, namesFrom } from '../planning/names.js';
import { sql } from 'kysely';
import type { ExpressionBuilder, Selectable } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { PlannedPhase } from '../workflows/messages.js';
import { applicationOf, capabilitiesOf } from './connector-pool.js';
import type { ActivityDeps } from './deps.js';
import { unseenApplications } from './jit-accounts.js';
import { plusMs } from './lib/clock.js';

const DAY_MS = 86_400_000;

export interface PhaseInput {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly phase: Phase;
  /** Made by the workflow, so that a repeated call finds what the first one stored. */
  readonly planId: PlanId;
  readonly now: Instant;
  /** An operator put the policy right: from here on the process follows the newest one (edge case 65). */
  readonly repin?: boolean;
}

export interface PhasePlan extends PlannedPhase {
  /** What waits for a person's yes; ids only. */
  readonly approvals: readonly PendingApproval[];
  /** A cut only: applications where an account may stand that Tenure has not seen (just-in-time provisioning). */
  readonly unseen: readonly string[];
}

export interface PendingApproval {
  readonly approvalId: string;
  readonly expiresAt: Instant;
}

/**
 * Plans one phase at the instant it runs (level-triggered: the ledger, the accounts and the approvals as they are now), stores the plan with its hash and
 * policy version, its visits, and the approvals it asks for, in one transaction. Repeating it with the same plan id returns what was stored.
 */
export function planPhaseActivity(deps: ActivityDeps, input: PhaseInput): Promise<PhasePlan> {
  const planning = (): Promise<PhasePlan> => planIt(deps, input);
  return CUTTING_PHASES.has(input.phase) ? deps.cutsFirst.during(planning) : planning();
}

async function planIt(deps: ActivityDeps, input: PhaseInput): Promise<PhasePlan> {
  if (input.repin === true) await repin(deps, input);
  const process = await deps.db
    .selectFrom('process')
    .innerJoin('identity', 'identity.identity_id', 'process.identity_id')
    .selectAll('process')
    .select('identity.ledger_version')
    .select((eb) => [
      eb.exists(eb.selectFrom('plan').select('plan_id').where('plan_id', '=', input.planId)).as('isPlanned'),
      eb.exists(linkedAccounts(eb)).as('hasAccounts'),
      eb.exists(eb.selectFrom('migration').select('migration_id').where('state', '=', 'open')).as('isMigrating'),
      heldNames(eb).as('held'),
      approvalsAsked(eb).as('approvals'),
    ])
    .where('process_id', '=', input.processId)
    .executeTakeFirstOrThrow();
  const policy = await deps.policies.get(deps.db, process.policy_version);
  if (Boolean(process.isPlanned)) return storedPlan(deps.db, input, policy);
  if (process.process_kind === 'service-account') return planServiceAccount(deps, input, process, policy);
  const actual = Boolean(process.hasAccounts) ? await loadActual(deps.db, input.identityId, input.processId) : [];
  if (input.phase === 'handover' && !mayHandOver(policy, actual))
    return { planId: input.planId, visits: [], approvals: [], unseen: [] };
  const person = await deps.people.at(deps.db, input.identityId, process.ledger_version);
  const former = await formerApplications(deps, policy, actual);
  const computed = await computePhase(deps.db, deps.keys, {
    person,
    policy,
    phase: input.phase,
    kind: process.kind,
    processId: input.processId,
    names: namesFrom(process.held),
    capabilities: capabilitiesOf(deps.connectors, policy, former),
    former,
    approvals: answers(process.approvals),
    now: input.now,
    desiredAt: desiredAt(input, process),
    actual,
    because: person.transitions.find((one) => one.id === process.transition_id)?.because ?? [],
    ...(Boolean(process.isMigrating) ? {} : { moves: [] }),
  });
  const plan = withDeadlines(computed, policy.lifecycle, {
    effectiveAt: process.effective_at,
    knownAt: knownSince(person, process.transition_id) ?? process.effective_at,
    plannedAt: input.now,
  });
  return store(deps, { input, process, policy, person, plan });
}

/** A service account has no desired state: its process plans what its owners want. Planned under the generation that holds now, see `hearScream`. */
async function planServiceAccount(
  deps: ActivityDeps,
  input: PhaseInput,
  process: Selectable<ProcessTable>,
  policy: CompiledPolicy,
): Promise<PhasePlan> {
  const { generation } = await deps.db
    .updateTable('process')
    .from('identity')
    .whereRef('identity.identity_id', '=', 'process.identity_id')
    .set((eb) => ({ generation: eb.ref('identity.generation') }))
    .where('process.process_id', '=', input.processId)
    .returning('process.generation')
    .executeTakeFirstOrThrow();
  const { was_enabled: wasEnabled } = await deps.db
    .selectFrom('service_account')
    .select('was_enabled')
    .where('identity_id', '=', input.identityId)
    .executeTakeFirstOrThrow();
  const actual = await loadActual(deps.db, input.identityId, input.processId);
  const former = await formerApplications(deps, policy, actual);
  const isUntouched = input.phase === 'restore' && wasEnabled === false;
  const plan = planPhase({
    policy,
    phase: input.phase,
    kind: 'service-account',
    desired: [],
    // What was closed before anybody asked is not opened.
    actual: isUntouched ? [] : actual,
    approvals: new Map(),
    capabilities: capabilitiesOf(deps.connectors, policy, former),
    former,
    now: input.now,
    desiredAt: input.now,
  });
  return store(deps, { input, process: { ...process, generation }, policy, person: undefined, plan });
}

/** Where no policy hands anything over there is nothing to plan; what an application that is gone said is asked of its last policy. */
function mayHandOver(policy: CompiledPolicy, actual: readonly ActualAccount[]): boolean {
  return (
    policy.applications.some((application) => application.handover !== undefined) ||
    actual.some((account) => applicationOf(policy, account.application) === undefined)
  );
}

async function repin(deps: ActivityDeps, input: PhaseInput): Promise<void> {
  const policy = await deps.policies.active(deps.db);
  if (policy === undefined) return;
  await deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .updateTable('process')
      .set({ policy_version: policy.version })
      .where('process_id', '=', input.processId)
      .where('policy_version', '!=', policy.version)
      .returning('process_id')
      .executeTakeFirst();
    if (row === undefined) return;
    await appendAudit(trx, deps.keys, {
      identityId: input.identityId,
      at: input.now,
      actor: 'system',
      action: 'process.repinned',
      body: { processId: input.processId, policyVersion: policy.version },
    });
  });
}

/** What earlier policies said of applications that this one has no more, where the person still has an account. */
async function formerApplications(
  deps: ActivityDeps,
  policy: CompiledPolicy,
  actual: readonly ActualAccount[],
): Promise<readonly ApplicationPolicy[]> {
  const gone = new Set(
    actual.map((account) => account.application).filter((slug) => applicationOf(policy, slug) === undefined),
  );
  const found = await Promise.all(
    [...gone].map(async (slug) => {
      const last = await deps.policies.lastWith(deps.db, slug);
      return last === undefined ? undefined : applicationOf(last, slug);
    }),
  );
  return found.filter((application) => application !== undefined);
}

/** What begins at the effective instant is planned for it or later, never for a moment before; a notice is about now. */
function desiredAt(input: PhaseInput, process: Selectable<ProcessTable>): Instant {
  return input.phase !== 'notice' && process.effective_at > input.now ? process.effective_at : input.now;
}

function linkedAccounts(eb: ExpressionBuilder<Schema, 'identity'>) {
  return eb
    .selectFrom('account')
    .select('account.account_id')
    .whereRef('account.identity_id', '=', 'identity.identity_id')
    .where('account.unlinked_at', 'is', null);
}

/** A column: what was asked for the process's transition, whichever revision asked. */
function approvalsAsked(eb: ExpressionBuilder<Schema, 'process'>) {
  return jsonArrayFrom(
    eb
      .selectFrom('approval')
      .innerJoin('process as asking', 'asking.process_id', 'approval.process_id')
      .select(['approval.entitlement_key', 'approval.status'])
      .whereRef('asking.transition_id', '=', 'process.transition_id')
      // Nobody said no to what was withdrawn with its process: the next revision asks again.
      .where('approval.status', '!=', 'withdrawn')
      .orderBy('approval.requested_at'),
  );
}

function answers(
  asked: readonly Pick<Selectable<ApprovalTable>, 'entitlement_key' | 'status'>[],
): ReadonlyMap<string, 'approved' | 'denied' | 'pending'> {
  return new Map(
    asked.map((row) => [
      row.entitlement_key,
      row.status === 'approved' ? 'approved' : row.status === 'pending' ? 'pending' : 'denied',
    ]),
  );
}

interface Storing {
  readonly input: PhaseInput;
  readonly process: Selectable<ProcessTable>;
  readonly policy: CompiledPolicy;
  /** Undefined: a service account, whose plans ask for nobody's approval. */
  readonly person: Person | undefined;
  readonly plan: Plan;
}

async function store(deps: ActivityDeps, storing: Storing): Promise<PhasePlan> {
  const { input, process, plan, policy } = storing;
  const scope = input.phase === 'revoke' ? new Set(process.detail.revokeScope ?? []) : undefined;
  const visits = plan.visits
    .map((visit) => ({ ...visit, operations: runnable(visit, scope) }))
    .filter((visit) => visit.operations.length > 0);
  const body = await deps.keys.encryptFor(deps.db, input.identityId, 'plan', plan as unknown as Json);
  const bodies = await Promise.all(
    visits.map((visit) => deps.keys.encryptFor(deps.db, input.identityId, 'visit', visit as unknown as Json)),
  );
  const rows = visits.map((visit, index) => visitRow(visit, bodies[index] ?? body));
  const record = await sealAudit(deps.db, deps.keys, {
    identityId: input.identityId,
    at: input.now,
    actor: 'system',
    action: 'plan.stored',
    body: { planId: input.planId, phase: input.phase, hash: plan.hash, visits: visits.length },
  });
  const keep = async (db: Queryable): Promise<void> => {
    const stored = db
      .with('stored', (cte) =>
        cte.insertInto('plan').values({
          plan_id: input.planId,
          identity_id: input.identityId,
          process_id: input.processId,
          phase: input.phase,
          policy_version: policy.version,
          hash: plan.hash,
          body,
          created_at: input.now,
        }),
      )
      .with('marked', (cte) =>
        cte
          .updateTable('process')
          .set({ phase: input.phase, blocked_on: null, due_at: null })
          .where('process_id', '=', input.processId)
          .returning('process_id'),
      );
    const whole = rows.length === 0 ? stored : stored.with('planned', () => insertingVisits(storing, rows));
    await whole.selectNoFrom(appending(input.identityId, record).as('audit')).where(behind('marked')).execute();
  };
  const asked = approvalKeys(plan);
  if (asked.size === 0) await keep(deps.db);
  else
    await deps.db.transaction().execute(async (trx) => {
      await keep(trx);
      await requestApprovals(trx, deps, storing, asked);
    });
  return {
    ...plannedPhase(input.planId, rows),
    approvals: asked.size === 0 ? [] : await pendingApprovals(deps.db, input.processId),
    unseen: await unseenIn(deps.db, input, policy),
  };
}

/** Read anew for a repeated call, too: an account that nobody has seen must be looked for, however often the plan was asked for. */
async function unseenIn(db: Queryable, input: PhaseInput, policy: CompiledPolicy): Promise<readonly string[]> {
  return input.phase === 'cut' ? unseenApplications(db, input.identityId, policy) : [];
}

function runnable(visit: PlannedVisit, scope: ReadonlySet<string> | undefined): readonly Operation[] {
  return visit.operations.filter(
    (operation) => !operation.needsApproval && (scope === undefined || scope.has(operation.key)),
  );
}

function visitRow(visit: PlannedVisit, body: Buffer) {
  return {
    visit_id: brand<VisitId>(randomUUID()),
    application: visit.application,
    tier: visit.tier ?? null,
    deadline_at: earliestDeadline(visit.operations) ?? null,
    account_id: visit.accountId ?? null,
    depends_on: [...visit.dependsOn],
    body,
  };
}

type NewVisit = ReturnType<typeof visitRow>;

/** The same statement for any number of visits. */
function insertingVisits({ input, process }: Storing, rows: readonly NewVisit[]) {
  const column = <T>(of: (row: NewVisit) => T): T[] => rows.map(of);
  return sql<{ visit_id: VisitId }>`(
    insert into visit (plan_id, process_id, identity_id, generation, phase, visit_id, application, tier, deadline_at, account_id, depends_on, body)
    select ${input.planId}::uuid, ${input.processId}, ${input.identityId}::uuid, ${process.generation}::integer, ${input.phase},
      visit_id, application, tier, deadline_at, account_id, array(select jsonb_array_elements_text(depends_on::jsonb)), body
    from unnest(
      ${column((row) => row.visit_id)}::uuid[], ${column((row) => row.application)}::text[], ${column((row) => row.tier)}::text[],
      ${column((row) => row.deadline_at)}::timestamptz[], ${column((row) => row.account_id)}::uuid[],
      ${column((row) => JSON.stringify(row.depends_on))}::text[], ${column((row) => row.body)}::bytea[]
    ) as planned (visit_id, application, tier, deadline_at, account_id, depends_on, body)
    returning visit_id)`;
}

/** What the plan may not do yet. */
function approvalKeys(plan: Plan): ReadonlySet<string> {
  return new Set(
    plan.visits.flatMap((visit) =>
      visit.operations.flatMap((one) => (one.needsApproval && one.approvalKey !== undefined ? [one.approvalKey] : [])),
    ),
  );
}

/** Asks for it: one approval per key and process, addressed to whoever decides as known now. */
async function requestApprovals(
  trx: Queryable,
  deps: ActivityDeps,
  storing: Storing,
  keys: ReadonlySet<string>,
): Promise<void> {
  const { input, plan, person, policy } = storing;
  const approver =
    person && (await approverOf(trx, deps.keys, { person, policy, now: input.now, placedAt: plan.desiredAt }));
  for (const key of keys) {
    await trx
      .insertInto('approval')
      .values({
        approval_id: randomUUID(),
        identity_id: input.identityId,
        process_id: input.processId,
        entitlement_key: key,
        approver_identity_id: approver ?? null,
        requested_at: input.now,
        expires_at: plusMs(input.now, policy.lifecycle.approvals.expiresAfterDays * DAY_MS),
        decided_by: null,
        decided_at: null,
        comment: null,
      })
      .onConflict((conflict) => conflict.columns(['process_id', 'entitlement_key']).doNothing())
      .execute();
  }
}

async function pendingApprovals(db: Queryable, processId: ProcessId): Promise<readonly PendingApproval[]> {
  const rows = await db
    .selectFrom('approval')
    .select(['approval_id', 'expires_at'])
    .where('process_id', '=', processId)
    .where('status', '=', 'pending')
    .orderBy('approval_id')
    .execute();
  return rows.map((row) => ({ approvalId: row.approval_id, expiresAt: row.expires_at }));
}

function plannedPhase(
  planId: PlanId,
  rows: readonly Pick<Selectable<VisitTable>, 'visit_id' | 'application' | 'depends_on'>[],
): PlannedPhase {
  return {
    planId,
    visits: rows.map((row) => ({ visitId: row.visit_id, application: row.application, dependsOn: row.depends_on })),
  };
}

async function storedPlan(db: Queryable, input: PhaseInput, policy: CompiledPolicy): Promise<PhasePlan> {
  const visits = await db
    .selectFrom('visit')
    .select(['visit_id', 'application', 'depends_on'])
    .where('plan_id', '=', input.planId)
    .orderBy('application')
    .execute();
  return {
    ...plannedPhase(input.planId, visits),
    approvals: await pendingApprovals(db, input.processId),
    unseen: await unseenIn(db, input, policy),
  };
}

/**
 * Fixes what a mover may take away when its grace period ends: what the person holds now and policy no longer gives. A later mover's old access is in that
 * mover's scope, not in this one's (edge case 23). Returns whether there is anything.
 */
export async function fixRevokeScope(
  deps: ActivityDeps,
  input: Omit<PhaseInput, 'phase' | 'planId'>,
): Promise<{ readonly any: boolean }> {
  const process = await deps.db
    .selectFrom('process')
    .innerJoin('identity', 'identity.identity_id', 'process.identity_id')
    .selectAll('process')
    .select((eb) => [heldNames(eb).as('held'), approvalsAsked(eb).as('approvals')])
    .where('process_id', '=', input.processId)
    .executeTakeFirstOrThrow();
  const policy = await deps.policies.get(deps.db, process.policy_version);
  const plan = await computePhase(deps.db, deps.keys, {
    person: await loadPerson(deps.db, deps.keys, input.identityId),
    policy,
    phase: 'revoke',
    kind: process.kind,
    processId: input.processId,
    names: namesFrom(process.held),
    capabilities: capabilitiesOf(deps.connectors, policy),
    approvals: answers(process.approvals),
    now: input.now,
    desiredAt: input.now,
    actual: await loadActual(deps.db, input.identityId, input.processId),
  });
  const revokeScope = plan.visits.flatMap((visit) => visit.operations.map((operation) => operation.key));
  const scope: Pick<ProcessDetail, 'revokeScope'> = { revokeScope };
  await deps.db
    .updateTable('process')
    .set({ detail: sql`detail || ${JSON.stringify(scope)}::jsonb` })
    .where('process_id', '=', input.processId)
    .execute();
  return { any: revokeScope.length > 0 };
}
