import { sql } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { KeyRing } from '../../db/keys.js';
import type { EmploymentState, PersonState, Transition } from '../../domain/ledger/types.js';
import type { Instant } from '../../domain/process/ids.js';
import { addDays, earlierOf } from '../../domain/time/instants.js';
import type { Person } from '../../planning/person.js';
import { managerIdentity } from '../../planning/manager.js';

/** The name people know somebody by. */
export function displayNameOf(employment: EmploymentState | undefined): string {
  const { displayName, preferredName, givenName, familyName } = employment?.attributes ?? {};
  const full = [preferredName ?? givenName, familyName]
    .filter((part) => typeof part === 'string' && part !== '')
    .join(' ');
  return displayName ?? full;
}

/** The employment that speaks for a person in lists; someone whose employments never began still has a name. */
export function speakingEmployment(state: PersonState): EmploymentState | undefined {
  return state.primary ?? state.employments[0];
}

/** Brings the row for lists and searches up to date. User name and mail address belong to the register of names and stay. */
export async function updateProfile(trx: Queryable, keys: KeyRing, person: Person, now: Instant): Promise<void> {
  const state = person.stateAt(now);
  const employment = speakingEmployment(state);
  const name = displayNameOf(employment);
  const row = {
    display_name: name,
    department: employment?.attributes.department ?? null,
    title: employment?.attributes.title ?? null,
    lifecycle: state.lifecycle,
    manager_identity_id: (await managerIdentity(trx, keys, person, state)) ?? null,
    search: [name, employment?.attributes.employeeNumber ?? ''].join(' ').trim().toLowerCase(),
  };
  await trx
    .insertInto('identity_profile')
    .values({ identity_id: person.identityId, user_name: null, mail: null, ...row })
    .onConflict((conflict) => conflict.column('identity_id').doUpdateSet({ ...row, updated_at: sql<Instant>`now()` }))
    .execute();
}

/**
 * The next instant at which something of the person begins: starts are prepared `leadTimeDays` ahead, a leaver's notice comes before its end. What has
 * begun already is the identity workflow's, which is told at once. Null when nothing is to come.
 */
export function nextDueAt(transitions: readonly Transition[], leadTimeDays: number, now: Instant): Instant | null {
  const instants = transitions
    .filter((one) => one.status === 'standing')
    .flatMap((one) => {
      const prepared = one.kind === 'joiner' || one.kind === 'rehire' ? [addDays(one.effectiveAt, -leadTimeDays)] : [];
      return [...prepared, ...(one.noticeAt === undefined ? [] : [one.noticeAt]), one.effectiveAt];
    })
    .filter((instant) => instant > now);
  return instants.length === 0 ? null : instants.reduce(earlierOf);
}
