import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { HandoverInput, HeirInput } from '../domain/plan/handover.js';
import type { IdentityId, Instant } from '../domain/process/ids.js';
import { managerIdentity } from './manager.js';
import { isWorking, loadPerson } from './person.js';
import type { Person } from './person.js';

/** No line of managers is longer; whoever is behind a circle is nobody. */
const LONGEST_LINE = 20;

/** Who takes over from a person at an instant, as far as known: decrypted names and addresses, for a plan and nothing else. */
export async function handoverInput(db: Queryable, keys: KeyRing, person: Person, at: Instant): Promise<HandoverInput> {
  const profile = await profileOf(db, person.identityId);
  const heirId = await heirOf(db, keys, person, at);
  return { name: profile?.display_name ?? '', heir: heirId === undefined ? undefined : await heirInput(db, heirId) };
}

/**
 * The nearest manager up the line who works here at that instant: one who leaves as well takes nothing over (edge case 21). `placedAt`: when the person's own place
 * in the line is read, for somebody who is yet to start there.
 */
export async function heirOf(
  db: Queryable,
  keys: KeyRing,
  leaver: Person,
  at: Instant,
  placedAt: Instant = at,
): Promise<IdentityId | undefined> {
  const seen = new Set<IdentityId>([leaver.identityId]);
  let person = leaver;
  let state = leaver.stateAt(placedAt);
  while (seen.size <= LONGEST_LINE) {
    const managerId = await managerIdentity(db, keys, person, state);
    if (managerId === undefined || seen.has(managerId)) return undefined;
    seen.add(managerId);
    person = await loadPerson(db, keys, managerId);
    state = person.stateAt(at);
    if (isWorking(state)) return managerId;
  }
  return undefined;
}

async function heirInput(db: Queryable, identityId: IdentityId): Promise<HeirInput> {
  const profile = await profileOf(db, identityId);
  const accounts = await db
    .selectFrom('account')
    .select(['application', 'native_id', 'login'])
    .where('identity_id', '=', identityId)
    .where('unlinked_at', 'is', null)
    .where('status', '=', 'enabled')
    .orderBy('linked_at', 'desc')
    .execute();
  return {
    mail: profile?.mail ?? '',
    accounts: new Map(accounts.map((one) => [one.application, { nativeId: one.native_id, login: one.login }])),
  };
}

async function profileOf(db: Queryable, identityId: IdentityId) {
  return db
    .selectFrom('identity_profile')
    .select(['display_name', 'mail'])
    .where('identity_id', '=', identityId)
    .executeTakeFirst();
}
