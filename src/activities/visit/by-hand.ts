import { TenureError } from '../lib/boundary.js';
import { candidatesBy, only, strongKeysOf } from './apply.js';
import type { AccountRow, VisitContext } from './load.js';

/** Native id of an account that a person made and attested: nobody asked the target for its own yet. */
export const BY_HAND = 'by-hand:';

/**
 * Finds at the target what a person's hands made there, before a connector works on it: without its native id a cut would hear "not found" and take that for
 * proof. Raises AccountCollision when more than one fits and VerificationRefuted when none does: then a person has to look.
 */
export async function atTarget(visit: VisitContext, account: AccountRow | undefined): Promise<AccountRow | undefined> {
  if (account === undefined || !account.native_id.startsWith(BY_HAND) || visit.application.mode === 'manual')
    return account;
  const strong = await candidatesBy(visit, strongKeysOf(visit, account.login, account.attributes));
  const found = strong.length > 0 ? strong : await candidatesBy(visit, [{ attribute: 'login', value: account.login }]);
  const observed = await only(visit, found);
  if (observed === undefined) throw new TenureError('VerificationRefuted', 'made-by-hand-not-found');
  return visit.deps.db
    .updateTable('account')
    .set({ native_id: observed.ref.nativeId, login: observed.login, observed_at: visit.clock() })
    .where('account_id', '=', account.account_id)
    .returningAll()
    .executeTakeFirstOrThrow();
}
