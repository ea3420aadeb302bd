import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { PersonState } from '../domain/ledger/types.js';
import type { IdentityId } from '../domain/process/ids.js';
import type { Person } from './person.js';

/** Identity of the person's manager at that state; undefined when HR names none or the manager is not known (yet). */
export async function managerIdentity(
  db: Queryable,
  keys: KeyRing,
  person: Person,
  state: PersonState,
): Promise<IdentityId | undefined> {
  const employment = state.primary;
  if (employment === undefined || employment.manager === null) return undefined;
  const source = person.facts.find((fact) => fact.employmentId === employment.employmentId)?.source;
  if (source === undefined) return undefined;
  const row = await db
    .selectFrom('person_key')
    .select('identity_id')
    .where('source', '=', source)
    .where('key_index', '=', keys.blindIndex(`person/${source}`, employment.manager))
    .executeTakeFirst();
  return row?.identity_id === person.identityId ? undefined : row?.identity_id;
}
