import { sql } from 'kysely';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { loadPerson } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';
import { identityParam } from '../http/schemas.js';
import type { Caller } from '../http/tokens.js';
import { isOpen } from '../identities/cut.js';

/** What one line of a list means. `index` is its place in the request. */
export type FoundPerson =
  | { readonly index: number; readonly status: 'found' | 'nothing-to-cut'; readonly identityId: IdentityId }
  | { readonly index: number; readonly status: 'not-found' | 'ambiguous' | 'duplicate' | 'own-case' };

const CANDIDATES = 50;

/**
 * Who is meant by each line: id, user name, mail address or employee number, in full. A name is never enough, and nobody is guessed: two people that fit are
 * `ambiguous`; whoever asks is not cut by their own list (`own-case`). Reads only.
 */
export async function findPeople(
  deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>,
  lines: readonly string[],
  caller: Caller,
): Promise<readonly FoundPerson[]> {
  const found: FoundPerson[] = [];
  const seen = new Set<IdentityId>();
  for (const [index, line] of lines.entries()) {
    const [identityId, ...others] = await matches(deps, line);
    if (identityId === undefined) found.push({ index, status: 'not-found' });
    else if (others.length > 0) found.push({ index, status: 'ambiguous' });
    else if (identityId === caller.identityId) found.push({ index, status: 'own-case' });
    else if (seen.has(identityId)) found.push({ index, status: 'duplicate' });
    else found.push({ index, identityId, status: (await hasOpen(deps, identityId)) ? 'found' : 'nothing-to-cut' });
    if (identityId !== undefined && others.length === 0) seen.add(identityId);
  }
  return found;
}

async function matches(deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>, line: string): Promise<readonly IdentityId[]> {
  const { db, keys } = deps;
  const wanted = line.toLowerCase();
  if (identityParam.safeParse(line).success) {
    const id = brand<IdentityId>(wanted);
    const row = await db.selectFrom('identity').select('identity_id').where('identity_id', '=', id).executeTakeFirst();
    return row === undefined ? [] : [row.identity_id];
  }
  const rows = await db
    .selectFrom('identity_profile')
    .select(['identity_id', 'user_name', 'mail'])
    .where(
      sql<boolean>`lower(user_name) = ${wanted} or lower(mail) = ${wanted} or ${wanted} = any(string_to_array(search, ' '))`,
    )
    .limit(CANDIDATES)
    .execute();
  const fits: IdentityId[] = [];
  for (const row of rows) {
    const byName = row.user_name?.toLowerCase() === wanted || row.mail?.toLowerCase() === wanted;
    if (byName || (await hasNumber(row.identity_id))) fits.push(row.identity_id);
  }
  return fits;

  /** The search text holds names, too; only the ledger tells what is the number. */
  async function hasNumber(id: IdentityId): Promise<boolean> {
    const { employments } = (await loadPerson(db, keys, id)).stateAt(deps.now());
    return employments.some((one) => one.attributes.employeeNumber?.toLowerCase() === wanted);
  }
}

async function hasOpen(deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>, id: IdentityId): Promise<boolean> {
  return (await loadPerson(deps.db, deps.keys, id)).stateAt(deps.now()).employments.some(isOpen);
}
