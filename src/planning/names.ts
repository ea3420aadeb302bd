import type { ExpressionBuilder } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Queryable } from '../db/database.js';
import type { Schema } from '../db/schema.js';
import type { KeyRing } from '../db/keys.js';
import type { IdentityId } from '../domain/process/ids.js';

/** The user name and mail address that a person holds now; empty texts while none is reserved. */
export interface Names {
  readonly userName: string;
  readonly mail: string;
}

/** A column for a statement that has the person's row in hand: what `namesFrom` makes names of. */
export function heldNames(eb: ExpressionBuilder<Schema, 'identity'>) {
  return jsonArrayFrom(
    eb
      .selectFrom('name_reservation')
      .select(['scope', 'name'])
      .whereRef('name_reservation.identity_id', '=', 'identity.identity_id')
      .where('released_at', 'is', null)
      .orderBy('reserved_at', 'desc'),
  );
}

export function namesFrom(held: readonly { readonly scope: string; readonly name: string }[]): Names {
  const of = (scope: 'user-name' | 'mail'): string => held.find((row) => row.scope === scope)?.name ?? '';
  return { userName: of('user-name'), mail: of('mail') };
}

/** The same by itself. */
export async function loadNames(db: Queryable, identityId: IdentityId): Promise<Names> {
  const row = await db
    .selectFrom('identity')
    .select((eb) => heldNames(eb).as('held'))
    .where('identity_id', '=', identityId)
    .executeTakeFirst();
  return namesFrom(row?.held ?? []);
}

/** What is left of a reserved name whose person was erased: nobody reads it back, and it still meets the same name. */
export function erasedName(keys: KeyRing, scope: string, folded: string): string {
  return `erased:${keys.blindIndex(`name/${scope}`, folded).toString('hex')}`;
}
