import { appendAudit } from '../db/audit.js';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { IdentityId, Instant } from '../domain/process/ids.js';
import { worksHere } from './approver.js';

/**
 * Ends a leaver's own access to Tenure: every token of theirs is revoked, with one audit record, in the transaction of the cut. Nothing happens to somebody who works on
 * in another employment. Safe to repeat.
 */
export async function revokeOwnTokens(
  trx: Queryable,
  keys: KeyRing,
  { identityId, at }: { readonly identityId: IdentityId; readonly at: Instant },
): Promise<void> {
  const standing = await trx
    .selectFrom('api_token')
    .select('token_id')
    .where('identity_id', '=', identityId)
    .where('revoked_at', 'is', null)
    .executeTakeFirst();
  if (standing === undefined) return;
  if (await worksHere(trx, keys, identityId, at)) return;
  const revoked = await trx
    .updateTable('api_token')
    .set({ revoked_at: at })
    .where('identity_id', '=', identityId)
    .where('revoked_at', 'is', null)
    .returning(['token_id', 'role'])
    .execute();
  await appendAudit(trx, keys, {
    identityId,
    at,
    actor: 'system',
    action: 'tokens.revoked',
    body: { tokens: revoked.map((row) => ({ tokenId: row.token_id, role: row.role })) },
  });
}

/** Whether nobody but this person has a token that administers Tenure. */
export async function isLastAdminOfTenure(db: Queryable, identityId: IdentityId, now: Instant): Promise<boolean> {
  const admins = await db
    .selectFrom('api_token')
    .select(['identity_id', 'revoked_at', 'expires_at'])
    .where('role', '=', 'admin')
    .execute();
  const isTheirs = (row: (typeof admins)[number]): boolean => row.identity_id === identityId;
  const stands = (row: (typeof admins)[number]): boolean =>
    row.revoked_at === null && (row.expires_at === null || row.expires_at > now);
  return admins.some(isTheirs) && !admins.some((row) => !isTheirs(row) && stands(row));
}
