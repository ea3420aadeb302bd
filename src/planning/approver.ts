import { sql } from 'kysely';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { CompiledPolicy } from '../domain/policy/types.js';
import type { IdentityId, Instant } from '../domain/process/ids.js';
import { heirOf } from './heir.js';
import { isWorking, loadPerson } from './person.js';
import type { Person } from './person.js';

/**
 * Who decides about somebody's access: the nearest manager up the line who works here at `now`, else the first of the policy's fallback who does; never the person
 * themselves. `placedAt`: when the person's place in the line is read. Undefined when there is nobody: then nobody can approve, and it expires denied (edge case 62).
 *
 * The answer's row in `identity` is locked against a cut until the transaction ends: a cut of theirs was seen here, or will find what is addressed to them.
 */
export async function approverOf(
  trx: Queryable,
  keys: KeyRing,
  about: {
    readonly person: Person;
    readonly policy: CompiledPolicy;
    readonly now: Instant;
    readonly placedAt: Instant;
  },
): Promise<IdentityId | undefined> {
  const { person, policy, now, placedAt } = about;
  for (;;) {
    const found =
      (await heirOf(trx, keys, person, now, placedAt)) ?? (await fallbackOf(trx, keys, { person, policy, now }));
    if (found === undefined) return undefined;
    await trx.selectFrom('identity').select('identity_id').where('identity_id', '=', found).forShare().execute();
    if (await worksHere(trx, keys, found, now)) return found;
  }
}

/** Whether somebody is employed at an instant, on leave or not. */
export async function worksHere(db: Queryable, keys: KeyRing, identityId: IdentityId, at: Instant): Promise<boolean> {
  return isWorking((await loadPerson(db, keys, identityId)).stateAt(at));
}

async function fallbackOf(
  db: Queryable,
  keys: KeyRing,
  about: { readonly person: Person; readonly policy: CompiledPolicy; readonly now: Instant },
): Promise<IdentityId | undefined> {
  for (const name of about.policy.lifecycle.approvals.fallback) {
    const rows = await db
      .selectFrom('identity_profile')
      .select('identity_id')
      .where(sql<boolean>`lower(user_name) = ${name.toLowerCase()} or lower(mail) = ${name.toLowerCase()}`)
      .where('identity_id', '!=', about.person.identityId)
      .execute();
    // Two people of one name are nobody.
    const [only, ...others] = rows;
    if (only !== undefined && others.length === 0 && (await worksHere(db, keys, only.identity_id, about.now)))
      return only.identity_id;
  }
  return undefined;
}
