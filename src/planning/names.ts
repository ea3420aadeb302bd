import type { Queryable } from '../db/database.js';
import type { IdentityId } from '../domain/process/ids.js';

/** The user name and mail address that a person holds now; empty texts while none is reserved. */
export async function loadNames(
  db: Queryable,
  identityId: IdentityId,
): Promise<{ readonly userName: string; readonly mail: string }> {
  const rows = await db
    .selectFrom('name_reservation')
    .select(['scope', 'name'])
    .where('identity_id', '=', identityId)
    .where('released_at', 'is', null)
    .orderBy('reserved_at', 'desc')
    .execute();
  const of = (scope: 'user-name' | 'mail'): string => rows.find((row) => row.scope === scope)?.name ?? '';
  return { userName: of('user-name'), mail: of('mail') };
}
