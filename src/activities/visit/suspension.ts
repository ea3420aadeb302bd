import type { AccountTable } from '../../db/schema.js';
import { refOf } from './apply.js';
import { operationContext } from './fence.js';
import type { AccountRow, VisitContext } from './load.js';

/**
 * Notes, before the first write, that a leave closes this account and what the target said of it, so that exactly this is opened when the leave ends. False, and
 * nothing noted, when somebody other than Tenure has closed it already. Safe to repeat: a suspension that stands is not noted twice, and a repeat after our own
 * write does not take it for somebody else's.
 */
export async function noteSuspension(visit: VisitContext, account: AccountRow): Promise<boolean> {
  const { db } = visit.deps;
  const standing = await db
    .selectFrom('suspension')
    .select('account_id')
    .where('account_id', '=', account.account_id)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  if (standing !== undefined) return true;
  const found = await statusNow(visit, account);
  if (found === 'disabled' && !account.closed_by_tenure) {
    await db
      .updateTable('account')
      .set({ status: found, observed_at: visit.clock() })
      .where('account_id', '=', account.account_id)
      .execute();
    return false;
  }
  await db
    .insertInto('suspension')
    .values({
      account_id: account.account_id,
      identity_id: account.identity_id,
      process_id: visit.row.process_id,
      found,
      suspended_at: visit.clock(),
      ended_at: null,
      outcome: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return true;
}

/** What nobody but a person's hands reaches is as it was last seen. */
async function statusNow(visit: VisitContext, account: AccountRow): Promise<AccountTable['status']> {
  if (visit.planned.operations.every((one) => one.kind === 'manual')) return account.status;
  const ctx = operationContext(visit, `${visit.row.visit_id}/found`, false);
  return (await visit.connector.get(refOf(account), ctx))?.status ?? account.status;
}
