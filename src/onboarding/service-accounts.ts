import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { appendAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { ServiceAccountOrigin, ServiceAccountState, ServiceAccountTable } from '../db/schema.js';
import { brand, processIdOf, processWorkflowId } from '../domain/process/ids.js';
import type {
  ApplicationSlug,
  IdentityId,
  Instant,
  PolicyVersion,
  ProcessId,
  TransitionId,
} from '../domain/process/ids.js';

/** States after which there is no account any more; its login may be declared anew (migration 0010's index). */
const GONE: ReadonlySet<ServiceAccountState> = new Set(['removed', 'gone']);

export function isGone(state: ServiceAccountState): boolean {
  return GONE.has(state);
}

/** What a workflow is started with; the row stands before it. */
export interface ServiceAccountProcess {
  readonly workflowId: string;
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly kind: 'service-account';
  readonly processKind: 'service-account';
  readonly generation: number;
  readonly policyVersion: PolicyVersion;
}

export interface Declaration {
  readonly application: ApplicationSlug;
  readonly login: string;
  readonly origin: ServiceAccountOrigin;
  readonly purpose?: string | undefined;
  readonly policyVersion: PolicyVersion;
  readonly actor: string;
  readonly now: Instant;
}

/**
 * Declares a service account: an identity of its own, the row of its process and the audit record, in the caller's transaction. One that is known already stays as
 * it is, and its process is given. Safe to repeat and against the same declaration at the same time.
 */
export async function declareServiceAccount(
  trx: Queryable,
  keys: KeyRing,
  declaration: Declaration,
): Promise<{ readonly isNew: boolean; readonly process: ServiceAccountProcess }> {
  const { application, login, actor, now } = declaration;
  await sql`select pg_advisory_xact_lock(hashtext(${`tenure/service-account/${application}/${login.toLowerCase()}`}))`.execute(
    trx,
  );
  const known = await trx
    .selectFrom('service_account')
    .select('identity_id')
    .where('application', '=', application)
    .where(sql<string>`lower(login)`, '=', login.toLowerCase())
    .where('state', 'not in', [...GONE])
    .executeTakeFirst();
  if (known !== undefined) return { isNew: false, process: await processOf(trx, known.identity_id) };
  const identityId = brand<IdentityId>(randomUUID());
  await trx.insertInto('identity').values({ identity_id: identityId, next_due_at: null }).execute();
  await keys.ensureKey(trx, identityId);
  const processId = await openProcess(trx, { ...declaration, identityId, revision: 1 });
  const purpose =
    declaration.purpose === undefined
      ? null
      : await keys.encryptFor(trx, identityId, 'service-account', declaration.purpose);
  await trx
    .insertInto('service_account')
    .values({
      identity_id: identityId,
      application,
      login,
      origin: declaration.origin,
      purpose,
      declared_by: actor,
      declared_at: now,
      process_id: processId,
      was_enabled: null,
      screamed_at: null,
      attested_at: null,
      given_up_at: null,
    })
    .execute();
  await appendAudit(trx, keys, {
    identityId,
    at: now,
    actor,
    action: `service-account.${declaration.origin}`,
    body: { application, login, processId },
  });
  return { isNew: true, process: await processOf(trx, identityId) };
}

/** Asks about a service account anew, once its last process has ended: whatever was said or done before counts no more. Undefined while one runs, or when it is gone. */
export async function reviewServiceAccount(
  trx: Queryable,
  keys: KeyRing,
  input: {
    readonly identityId: IdentityId;
    readonly policyVersion: PolicyVersion;
    readonly actor: string;
    readonly now: Instant;
  },
): Promise<ServiceAccountProcess | undefined> {
  const { identityId, actor, now } = input;
  const row = await trx
    .selectFrom('service_account')
    .innerJoin('process', 'process.process_id', 'service_account.process_id')
    .select(['service_account.state', 'process.revision', 'process.state as process_state'])
    .where('service_account.identity_id', '=', identityId)
    .forUpdate('service_account')
    .executeTakeFirst();
  if (row === undefined || row.process_state === 'running') return undefined;
  if (isGone(row.state)) return undefined;
  const processId = await openProcess(trx, { ...input, revision: row.revision + 1 });
  await trx
    .updateTable('service_account')
    .set({
      state: 'open',
      process_id: processId,
      round: 1,
      was_enabled: null,
      screamed_at: null,
      attested_at: null,
      given_up_at: null,
    })
    .where('identity_id', '=', identityId)
    .execute();
  await appendAudit(trx, keys, {
    identityId,
    at: now,
    actor,
    action: 'service-account.review',
    body: { processId, after: row.state },
  });
  return processOf(trx, identityId);
}

async function openProcess(
  trx: Queryable,
  input: {
    readonly identityId: IdentityId;
    readonly revision: number;
    readonly policyVersion: PolicyVersion;
    readonly now: Instant;
  },
): Promise<ProcessId> {
  const transitionId = brand<TransitionId>(`${input.identityId}/service-account/1`);
  const processId = processIdOf(transitionId, input.revision);
  await trx
    .insertInto('process')
    .values({
      process_id: processId,
      transition_id: transitionId,
      revision: input.revision,
      identity_id: input.identityId,
      kind: 'service-account',
      process_kind: 'service-account',
      generation: 0,
      state: 'running',
      phase: null,
      workflow_id: processWorkflowId(input.identityId, processId),
      policy_version: input.policyVersion,
      effective_at: input.now,
      notice_at: null,
      digest: '',
      due_at: null,
      blocked_on: null,
      detail: '{}',
      opened_at: input.now,
      started_at: null,
      ended_at: null,
      outcome: null,
    })
    .execute();
  return processId;
}

async function processOf(trx: Queryable, identityId: IdentityId): Promise<ServiceAccountProcess> {
  const row = await trx
    .selectFrom('service_account')
    .innerJoin('process', 'process.process_id', 'service_account.process_id')
    .select(['process.process_id', 'process.workflow_id', 'process.generation', 'process.policy_version'])
    .where('service_account.identity_id', '=', identityId)
    .executeTakeFirstOrThrow();
  return {
    workflowId: row.workflow_id,
    identityId,
    processId: row.process_id,
    kind: 'service-account',
    processKind: 'service-account',
    generation: row.generation,
    policyVersion: row.policy_version,
  };
}

/**
 * Sets who owns a service account. Whoever is not named any more loses their voice: what they were asked is withdrawn, and what they said counts no more. What is
 * on its way to the target is stopped, and the process looks again. In the caller's transaction, with its audit record.
 */
export async function nameOwners(
  trx: Queryable,
  keys: KeyRing,
  input: {
    readonly identityId: IdentityId;
    readonly owners: readonly IdentityId[];
    readonly actor: string;
    readonly now: Instant;
  },
): Promise<void> {
  const { identityId, owners, actor, now } = input;
  const before = await ownersOf(trx, identityId);
  const left = before.filter((owner) => !owners.includes(owner));
  for (const owner of left) await endOwnership(trx, { identityId, owner, now });
  for (const owner of owners.filter((one) => !before.includes(one)))
    await trx
      .insertInto('service_account_owner')
      .values({ identity_id: identityId, owner_identity_id: owner, named_by: actor, named_at: now, ended_at: null })
      .onConflict((conflict) =>
        conflict
          .columns(['identity_id', 'owner_identity_id'])
          .doUpdateSet({ named_by: actor, named_at: now, ended_at: null }),
      )
      .execute();
  await stopWrites(trx, identityId);
  await appendAudit(trx, keys, {
    identityId,
    at: now,
    actor,
    action: 'service-account.owners',
    body: { owners: [...owners], before: [...before] },
  });
}

export async function ownersOf(db: Queryable, identityId: IdentityId): Promise<readonly IdentityId[]> {
  const rows = await db
    .selectFrom('service_account_owner')
    .select('owner_identity_id')
    .where('identity_id', '=', identityId)
    .where('ended_at', 'is', null)
    .orderBy('owner_identity_id')
    .execute();
  return rows.map((row) => row.owner_identity_id);
}

async function endOwnership(
  trx: Queryable,
  end: { readonly identityId: IdentityId; readonly owner: IdentityId; readonly now: Instant },
): Promise<void> {
  await trx
    .updateTable('service_account_owner')
    .set({ ended_at: end.now })
    .where('identity_id', '=', end.identityId)
    .where('owner_identity_id', '=', end.owner)
    .execute();
  // A voice that was given is taken back, too: should the person own it again one day, they are asked again.
  await trx
    .updateTable('approval')
    .set({ status: 'withdrawn' })
    .where('identity_id', '=', end.identityId)
    .where('approver_identity_id', '=', end.owner)
    .where('status', '!=', 'withdrawn')
    .execute();
}

/** Raises the generation: no write that was planned before passes the fence any more (design D3). */
async function stopWrites(trx: Queryable, identityId: IdentityId): Promise<void> {
  await trx
    .updateTable('identity')
    .set((eb) => ({ generation: eb('generation', '+', 1) }))
    .where('identity_id', '=', identityId)
    .execute();
}

export type ScreamOutcome = 'heard' | 'heard-already' | 'nothing-closed' | 'gone';

/**
 * Somebody misses a service account: from the commit on no write that takes it away passes the fence, and its process opens it again. In the caller's transaction,
 * with decision and audit record. Safe to repeat.
 */
export async function hearScream(
  trx: Queryable,
  keys: KeyRing,
  input: {
    readonly account: Pick<Selectable<ServiceAccountTable>, 'identity_id'>;
    readonly reason: string;
    readonly actor: string;
    readonly actorIdentity: IdentityId | undefined;
    readonly now: Instant;
  },
): Promise<ScreamOutcome> {
  const identityId = input.account.identity_id;
  const row = await trx
    .selectFrom('service_account')
    .select(['state', 'screamed_at', 'process_id'])
    .where('identity_id', '=', identityId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (isGone(row.state)) return 'gone';
  if (row.state !== 'open') return 'nothing-closed';
  if (row.screamed_at !== null) return 'heard-already';
  const closed = await trx
    .selectFrom('plan')
    .select('plan_id')
    .where('process_id', '=', row.process_id)
    .where('phase', '=', 'scream-test')
    .limit(1)
    .executeTakeFirst();
  if (closed === undefined) return 'nothing-closed';
  const decisionId = randomUUID();
  await trx
    .insertInto('decision')
    .values({
      decision_id: decisionId,
      identity_id: identityId,
      decided_by: input.actor,
      decided_by_identity: input.actorIdentity ?? null,
      kind: 'scream',
      verdict: 'restore',
      comment: await keys.encryptFor(trx, identityId, `decision/${decisionId}/comment`, input.reason),
      proof: null,
      at: input.now,
    })
    .execute();
  await trx
    .updateTable('service_account')
    .set({ screamed_at: input.now })
    .where('identity_id', '=', identityId)
    .execute();
  await stopWrites(trx, identityId);
  await appendAudit(trx, keys, {
    identityId,
    at: input.now,
    actor: input.actor,
    action: 'service-account.scream',
    body: { decisionId, by: input.actorIdentity ?? null },
  });
  return 'heard';
}
