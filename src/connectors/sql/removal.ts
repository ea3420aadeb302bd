import type { AccountRef, MutationResult, OperationContext } from '../connector.js';
import type { SqlContext } from './client.js';
import { isArchived, requireAccount, requireLogin, requireRow, rowByKey, runHooks, updateRow } from './rows.js';

/** Marks the row as archived; the account's other state stays as it is. */
export async function archiveAccount(
  sql: SqlContext,
  column: string,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'archive');
  return sql.database.transaction('archive', ctx, async (session) => {
    const row = await requireRow(sql, session, ref, 'archive');
    if (await isArchived(sql, session, column, ref)) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    await updateRow(sql, session, ref, [[column, true]]);
    await runHooks(sql, session, 'archive', { login: String(row['login']), nativeId: ref.nativeId }, ctx);
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** Removes role rows, the row and the log-in. A log-in that still owns objects is a CONFLICT for a person. */
export async function deleteAccount(sql: SqlContext, ref: AccountRef, ctx: OperationContext): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'delete');
  const { entitlements, accounts } = sql.config;
  const q = sql.statements.column;
  const place = sql.dialect.placeholder(1);
  return sql.database.transaction('delete', ctx, async (session) => {
    const row = await rowByKey(sql, session, ref, sql.statements.byKeyLocked);
    if (row === undefined) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    await runHooks(sql, session, 'delete', { login: String(row['login']), nativeId: ref.nativeId }, ctx);
    if (entitlements !== undefined) {
      const table = `${q(entitlements.table.schema)}.${q(entitlements.table.name)}`;
      await session.write(`delete from ${table} where ${q(entitlements.account)} = ${place}`, [ref.nativeId]);
    }
    await session.write(`delete from ${sql.statements.table} where ${q(accounts.key)} = ${place}`, [ref.nativeId]);
    if (row['has_login'] === true) {
      await session.write(sql.dialect.statements.dropLogin(requireLogin(sql, String(row['login']), 'delete')));
    }
    const held = (row['roles'] as string[] | null) ?? [];
    return { outcome: 'applied', ref, changed: [{ attribute: 'entitlements', op: 'remove', value: held }] };
  });
}
