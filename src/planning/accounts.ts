import type { Queryable } from '../db/database.js';
import type { ActualAccount } from '../domain/plan/types.js';
import type { IdentityId, ProcessId } from '../domain/process/ids.js';

/** A person's linked accounts as last observed: the planner's "actual". */
export async function loadActual(
  db: Queryable,
  identityId: IdentityId,
  processId: ProcessId | undefined,
): Promise<readonly ActualAccount[]> {
  const rows = await db
    .selectFrom('account')
    .selectAll()
    .select((eb) =>
      eb
        .exists(
          eb
            .selectFrom('suspension')
            .select('suspension.account_id')
            .whereRef('suspension.account_id', '=', 'account.account_id')
            .where('suspension.ended_at', 'is', null),
        )
        .as('suspended'),
    )
    .where('identity_id', '=', identityId)
    .where('unlinked_at', 'is', null)
    .orderBy('application')
    .execute();
  return rows.map((row) => ({
    accountId: row.account_id,
    application: row.application,
    nativeId: row.native_id,
    login: row.login,
    status: row.status,
    attributes: row.attributes,
    entitlements: row.entitlements,
    archived: row.archived,
    sealed: row.sealed,
    disabledByTenure: row.closed_by_tenure,
    suspended: Boolean(row.suspended),
    createdHere: processId !== undefined && sameTransition(row.created_by_process, processId),
  }));
}

/** Steps of a move are one work; a later revision of a transition undoes and hands over what an earlier one made; a rescinded hire undoes what its joiner (or rehire) made. */
function sameTransition(createdBy: string | null, processId: ProcessId): boolean {
  if (createdBy === null) return false;
  const [employment, kind, ordinal] = createdBy.split('/');
  const [ownEmployment, ownKind, ownOrdinal] = processId.split('/');
  if (employment === ownEmployment && kind === 'migration' && ownKind === 'migration') return true;
  if (employment !== ownEmployment || ordinal !== ownOrdinal) return false;
  return kind === ownKind || (ownKind === 'rescinded-hire' && (kind === 'joiner' || kind === 'rehire'));
}
