import type { IdentityId, Instant, ProcessId } from '../../domain/process/ids.js';
import { nameOwners, ownersOf } from '../../onboarding/service-accounts.js';
import { heirOf } from '../../planning/heir.js';
import { loadPerson } from '../../planning/person.js';
import type { ActivityDeps } from '../deps.js';

/**
 * Gives the service accounts of a leaver to the next in line: an heir who owns one already is one owner, not two, and where nobody is in line there is an owner fewer.
 * What the leaver said counts no more; the heir is asked. Each in a transaction of its own with its audit record. Safe to repeat: what has been handed on is not
 * theirs any more. Returns the workflows that ask about them.
 */
export async function handOnServiceAccounts(
  deps: ActivityDeps,
  input: { readonly identityId: IdentityId; readonly processId: ProcessId; readonly now: Instant },
): Promise<{ readonly tell: readonly string[] }> {
  const { db, keys } = deps;
  const { identityId: leaver, now } = input;
  const owned = await db
    .selectFrom('service_account_owner')
    .innerJoin('service_account', 'service_account.identity_id', 'service_account_owner.identity_id')
    .innerJoin('process', 'process.process_id', 'service_account.process_id')
    .select(['service_account.identity_id', 'process.workflow_id'])
    .where('owner_identity_id', '=', leaver)
    .where('service_account_owner.ended_at', 'is', null)
    .orderBy('service_account.identity_id')
    .execute();
  const heir = await heirOf(db, keys, await loadPerson(db, keys, leaver), now);
  for (const { identity_id: identityId } of owned)
    await db.transaction().execute(async (trx) => {
      const rest = (await ownersOf(trx, identityId)).filter((owner) => owner !== leaver);
      const owners = heir === undefined || rest.includes(heir) ? rest : [...rest, heir];
      await nameOwners(trx, keys, { identityId, owners, actor: 'system', now });
    });
  return { tell: owned.map((row) => row.workflow_id) };
}
