import type { Explanation } from '../../domain/plan/why.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { loadPerson } from '../../planning/person.js';
import { managerIdentity } from '../../planning/manager.js';
import type { ApiDeps } from '../deps.js';
import { displayNameOf, speakingEmployment } from '../hr/projection.js';
import { notFound } from '../http/problem.js';
import { holdsOf } from './legal-hold.js';

type Deps = Pick<ApiDeps, 'db' | 'keys' | 'planner' | 'now'>;

/** One person as of now: state, accounts, entitlements with reasons, processes. Raises 404 for an unknown id. */
export async function identityDetail(deps: Deps, identityId: IdentityId): Promise<object> {
  const { db, keys, planner } = deps;
  const now = deps.now();
  const row = await db
    .selectFrom('identity')
    .leftJoin('identity_profile', 'identity_profile.identity_id', 'identity.identity_id')
    .leftJoin('identity_key', 'identity_key.identity_id', 'identity.identity_id')
    .select([
      'identity.created_at',
      'identity.generation',
      'identity.ledger_version',
      'identity.next_due_at',
      'identity_profile.user_name',
      'identity_profile.mail',
      'identity_key.destroyed_at',
    ])
    .where('identity.identity_id', '=', identityId)
    .executeTakeFirst();
  if (row === undefined) throw notFound('identity');
  const person = await loadPerson(db, keys, identityId);
  const state = person.stateAt(now);
  const explained = await planner.explain({ identityId, facts: person.facts, now });
  return {
    identityId,
    displayName: displayNameOf(speakingEmployment(state)),
    userName: row.user_name,
    mail: row.mail,
    lifecycle: state.lifecycle,
    doNotRehire: state.doNotRehire,
    isErased: row.destroyed_at !== null,
    generation: row.generation,
    ledgerVersion: row.ledger_version,
    createdAt: row.created_at,
    nextDueAt: row.next_due_at,
    manager: await nameOf(deps, await managerIdentity(db, keys, person, state)),
    // The manager's HR key stays inside: the identity above says who it is.
    employments: state.employments.map(({ manager: _, ...employment }) => employment),
    upcoming: person.transitions
      .filter((one) => one.status === 'standing' && one.effectiveAt > now)
      .map(({ id, kind, effectiveAt, noticeAt }) => ({ id, kind, effectiveAt, noticeAt })),
    legalHolds: await holdsOf(deps, identityId),
    accounts: await accountsOf(deps, identityId, explained ?? []),
    access: (explained ?? []).filter((one) => one.account.desired || one.account.held),
    processes: await processesOf(deps, identityId),
  };
}

async function accountsOf(deps: Deps, identityId: IdentityId, explained: readonly Explanation[]): Promise<object[]> {
  const rows = await deps.db
    .selectFrom('account')
    .select([
      'account_id',
      'application',
      'login',
      'status',
      'entitlements',
      'archived',
      'sealed',
      'observed_at',
      'linked_at',
    ])
    .where('identity_id', '=', identityId)
    .where('unlinked_at', 'is', null)
    .orderBy('application')
    .execute();
  return rows.map((row) => {
    const known = explained.find((one) => one.application === row.application);
    return {
      accountId: row.account_id,
      application: row.application,
      login: row.login,
      status: row.status,
      archived: row.archived,
      sealed: row.sealed,
      observedAt: row.observed_at,
      linkedAt: row.linked_at,
      reasons: known?.account.for ?? [],
      entitlements: row.entitlements.map((name) => ({
        name,
        reasons: known?.entitlements.find((one) => one.entitlement === name)?.for ?? [],
      })),
    };
  });
}

async function processesOf(deps: Deps, identityId: IdentityId): Promise<object[]> {
  const rows = await deps.db
    .selectFrom('process')
    .select([
      'process_id',
      'kind',
      'process_kind',
      'state',
      'phase',
      'effective_at',
      'due_at',
      'blocked_on',
      'opened_at',
      'started_at',
      'ended_at',
      'outcome',
      'generation',
      'workflow_id',
    ])
    .where('identity_id', '=', identityId)
    .orderBy('opened_at', 'desc')
    .limit(50)
    .execute();
  return rows.map((row) => ({
    processId: row.process_id,
    kind: row.kind,
    processKind: row.process_kind,
    state: row.state,
    phase: row.phase,
    effectiveAt: row.effective_at,
    dueAt: row.due_at,
    blockedOn: row.blocked_on,
    openedAt: row.opened_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome,
    generation: row.generation,
    workflowId: row.workflow_id,
  }));
}

/** Id and display name of a person for a list; null when there is none. */
export async function nameOf(
  deps: Pick<ApiDeps, 'db'>,
  identityId: string | null | undefined,
): Promise<{ readonly identityId: IdentityId; readonly displayName: string } | null> {
  if (identityId === null || identityId === undefined) return null;
  const row = await deps.db
    .selectFrom('identity_profile')
    .select('display_name')
    .where('identity_id', '=', brand<IdentityId>(identityId))
    .executeTakeFirst();
  return { identityId: brand<IdentityId>(identityId), displayName: row?.display_name ?? '' };
}
