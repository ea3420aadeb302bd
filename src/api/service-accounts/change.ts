import type { Queryable } from '../../db/database.js';
import type { IdentityId } from '../../domain/process/ids.js';
import {
  declareServiceAccount,
  hearScream,
  isGone,
  nameOwners,
  ownersOf,
  reviewServiceAccount,
} from '../../onboarding/service-accounts.js';
import { applicationNamed } from '../applications/onboarding.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';

/** Declares a service account with its owners and starts its process; one that is known keeps the owners it has. Repeated after a 503 it starts what stands. */
export async function declare(
  deps: ApiDeps,
  input: {
    readonly application: string;
    readonly login: string;
    readonly owners: readonly IdentityId[];
    readonly purpose?: string | undefined;
    readonly actor: string;
  },
): Promise<IdentityId> {
  const { slug } = await applicationNamed(deps, input.application);
  const policyVersion = await versionInForce(deps);
  const now = deps.now();
  const process = await deps.db.transaction().execute(async (trx) => {
    await requirePeople(trx, input.owners);
    const declaration = { ...input, application: slug, origin: 'declared' as const, policyVersion, now };
    const declared = await declareServiceAccount(trx, deps.keys, declaration);
    const { identityId } = declared.process;
    if (declared.isNew && input.owners.length > 0)
      await nameOwners(trx, deps.keys, { identityId, owners: input.owners, actor: input.actor, now });
    return declared.process;
  });
  await deps.lifecycle.startServiceAccount(process);
  return process.identityId;
}

async function versionInForce(deps: ApiDeps) {
  const policy = await deps.policies.active(deps.db);
  if (policy === undefined) throw new ApiProblem(404, 'not-found', 'No policy was published.');
  return policy.version;
}

/** Owners are people: nobody who is unknown, and no service account. */
async function requirePeople(trx: Queryable, owners: readonly IdentityId[]): Promise<void> {
  if (owners.length === 0) return;
  const known = await trx
    .selectFrom('identity_profile')
    .select('identity_id')
    .where('identity_id', 'in', [...owners])
    .execute();
  if (known.length < owners.length) throw notFound('owner');
}

export async function setOwners(
  deps: ApiDeps,
  input: { readonly identityId: IdentityId; readonly owners: readonly IdentityId[]; readonly actor: string },
): Promise<void> {
  const workflowId = await deps.db.transaction().execute(async (trx) => {
    const row = await locked(trx, input.identityId);
    if (isGone(row.state)) throw gone();
    await requirePeople(trx, input.owners);
    await nameOwners(trx, deps.keys, { ...input, now: deps.now() });
    return row.workflow_id;
  });
  await deps.lifecycle.amend(workflowId);
}

/** An owner, or an operator, misses it. Recorded before anybody is told, so that a repeat after a 503 only tells again. */
export async function scream(
  deps: ApiDeps,
  input: { readonly identityId: IdentityId; readonly reason: string; readonly caller: Caller },
): Promise<void> {
  const { identityId, reason, caller } = input;
  const workflowId = await deps.db.transaction().execute(async (trx) => {
    const row = await locked(trx, identityId);
    const isOperator = caller.role === 'operator' || caller.role === 'admin';
    const isOwner = caller.identityId !== undefined && (await ownersOf(trx, identityId)).includes(caller.identityId);
    if (!isOperator && !isOwner)
      throw new ApiProblem(403, 'not-an-owner', 'Only an owner or an operator can say that it is missed.');
    const outcome = await hearScream(trx, deps.keys, {
      account: row,
      reason,
      actor: caller.name,
      actorIdentity: caller.identityId,
      now: deps.now(),
    });
    if (outcome === 'gone') throw gone();
    if (outcome === 'nothing-closed')
      throw new ApiProblem(409, 'not-closed', 'It was not closed by Tenure, or is open again.');
    return row.workflow_id;
  });
  await deps.lifecycle.amend(workflowId);
}

export async function review(
  deps: ApiDeps,
  input: { readonly identityId: IdentityId; readonly actor: string },
): Promise<void> {
  const policyVersion = await versionInForce(deps);
  const process = await deps.db.transaction().execute(async (trx) => {
    const row = await locked(trx, input.identityId);
    if (isGone(row.state)) throw gone();
    return reviewServiceAccount(trx, deps.keys, { ...input, policyVersion, now: deps.now() });
  });
  if (process === undefined) throw new ApiProblem(409, 'under-review', 'Its owners are being asked already.');
  await deps.lifecycle.startServiceAccount(process);
}

async function locked(trx: Queryable, identityId: IdentityId) {
  const row = await trx
    .selectFrom('service_account')
    .innerJoin('process', 'process.process_id', 'service_account.process_id')
    .select(['service_account.identity_id', 'service_account.state', 'process.workflow_id'])
    .where('service_account.identity_id', '=', identityId)
    .forUpdate('service_account')
    .executeTakeFirst();
  if (row === undefined) throw notFound('service account');
  return row;
}

function gone(): ApiProblem {
  return new ApiProblem(409, 'gone', 'The account is gone.');
}
