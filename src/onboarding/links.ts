import { randomUUID } from 'node:crypto';
import { appendAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { AccountTable } from '../db/schema.js';
import { brand } from '../domain/process/ids.js';
import type { AccountId, ApplicationSlug, IdentityId, Instant } from '../domain/process/ids.js';
import type { StagedBody } from './staged.js';

export interface LinkInput {
  readonly application: ApplicationSlug;
  readonly nativeId: string;
  readonly identityId: IdentityId;
  readonly status: AccountTable['status'];
  readonly body: StagedBody;
  readonly importId: string;
  /** Keys that decided, or `person` for somebody's own decision. */
  readonly by: readonly string[];
  readonly actor: string;
  readonly now: Instant;
}

/** `linked-elsewhere`: the account is another person's. `has-other-account`: the person has another one here. Neither is ever overwritten. */
export type LinkOutcome = 'linked' | 'already-linked' | 'linked-elsewhere' | 'has-other-account' | 'erased';

/**
 * Links one account to one person: the account row and its audit record in the caller's transaction. Idempotent, and safe against a link made at the same time: the
 * unique index over application and native id decides who was first.
 */
export async function linkAccount(trx: Queryable, keys: KeyRing, input: LinkInput): Promise<LinkOutcome> {
  const { application, nativeId, identityId } = input;
  // Two links of one person at the same moment must see each other.
  const person = await trx
    .selectFrom('identity')
    .innerJoin('identity_key', (join) => join.on('identity_key.identity_id', '=', identityId))
    .select('identity_key.destroyed_at')
    .where('identity.identity_id', '=', identityId)
    .forNoKeyUpdate('identity')
    .executeTakeFirst();
  if (person === undefined || person.destroyed_at !== null) return 'erased';
  const standing = await trx
    .selectFrom('account')
    .select(['identity_id', 'native_id'])
    .where('application', '=', application)
    .where('unlinked_at', 'is', null)
    .where((eb) => eb.or([eb('native_id', '=', nativeId), eb('identity_id', '=', identityId)]))
    .execute();
  const own = standing.find((row) => row.native_id === nativeId);
  if (own !== undefined) return own.identity_id === identityId ? 'already-linked' : 'linked-elsewhere';
  if (standing.length > 0) return 'has-other-account';
  const row = await trx
    .insertInto('account')
    .values({
      account_id: brand<AccountId>(randomUUID()),
      identity_id: identityId,
      application,
      native_id: nativeId,
      login: input.body.login,
      status: input.status,
      attributes: JSON.stringify(input.body.attributes),
      entitlements: [...input.body.entitlements],
      secret: null,
      created_by_process: null,
      observed_at: input.now,
      unlinked_at: null,
    })
    .onConflict((conflict) =>
      conflict.columns(['application', 'native_id']).where('unlinked_at', 'is', null).doNothing(),
    )
    .returning('account_id')
    .executeTakeFirst();
  if (row === undefined) return 'linked-elsewhere';
  await appendAudit(trx, keys, {
    identityId,
    at: input.now,
    actor: input.actor,
    action: 'account.linked',
    body: { application, nativeId, login: input.body.login, by: input.by, importId: input.importId },
  });
  return 'linked';
}

/** `in-use`: a process is at work with the account. `made-by-tenure`: it came about by a process and not by a link, so there is no wrong link to undo. */
export type UnlinkOutcome = 'unlinked' | 'not-linked' | 'in-use' | 'made-by-tenure';

/**
 * Takes a wrong link back: the row is marked and kept, with an audit record of the person it was linked to, in the caller's transaction. The account itself is not
 * touched. Safe to repeat: the second time it is `not-linked`.
 */
export async function unlinkAccount(
  trx: Queryable,
  keys: KeyRing,
  input: Pick<LinkInput, 'application' | 'nativeId' | 'actor' | 'now'> & { readonly reason?: string | undefined },
): Promise<{ readonly outcome: UnlinkOutcome; readonly identityId?: IdentityId }> {
  const { application, nativeId } = input;
  const row = await trx
    .selectFrom('account')
    .select(['account_id', 'identity_id', 'created_by_process'])
    .where('application', '=', application)
    .where('native_id', '=', nativeId)
    .where('unlinked_at', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (row === undefined) return { outcome: 'not-linked' };
  if (row.created_by_process !== null) return { outcome: 'made-by-tenure' };
  const busy = await trx
    .selectFrom('visit')
    .innerJoin('process', 'process.process_id', 'visit.process_id')
    .select('visit.visit_id')
    .where('visit.identity_id', '=', row.identity_id)
    .where('visit.application', '=', application)
    .where('visit.status', '!=', 'settled')
    .where('process.state', 'in', ['running', 'tail'])
    .limit(1)
    .executeTakeFirst();
  if (busy !== undefined) return { outcome: 'in-use' };
  await trx.updateTable('account').set({ unlinked_at: input.now }).where('account_id', '=', row.account_id).execute();
  await appendAudit(trx, keys, {
    identityId: row.identity_id,
    at: input.now,
    actor: input.actor,
    action: 'account.unlinked',
    body: { application, nativeId, reason: input.reason ?? null },
  });
  return { outcome: 'unlinked', identityId: row.identity_id };
}
