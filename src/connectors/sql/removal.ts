import type { AccountRef, MutationResult, OperationContext } from '../connector.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import { place, truthOf } from '../shared/sql/dialect.js';
import type { Row } from '../shared/sql/driver.js';
import {
  callProcedure,
  isArchived,
  lockedRow,
  requireLogin,
  requireRow,
  runHooks,
  updateRow,
  writeLogin,
} from './rows.js';
import { observeRow } from './statements.js';
import { requireAccount } from '../shared/object-class.js';

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
    const given = { login: String(row['login']), nativeId: ref.nativeId };
    if (!(await callProcedure(sql, session, 'archive', given, ctx))) {
      await updateRow(sql, session, ref, [[column, sql.dialect.write('boolean', true)]]);
      await runHooks(sql, session, 'archive', given, ctx);
    }
    return { outcome: 'applied', ref, changed: [] };
  });
}

/**
 * Removes role rows, the row (or marks it, with a soft delete) and the log-in. A log-in that still owns objects is a
 * CONFLICT for a person. Where log-ins are outside transactions the log-in goes first: an interruption leaves a row
 * that lets nobody in, and the repeat removes it.
 */
export async function deleteAccount(sql: SqlContext, ref: AccountRef, ctx: OperationContext): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'delete');
  return sql.database.transaction('delete', ctx, async (session) => {
    const row = await lockedRow(sql, session, ref, 'delete');
    if (row === undefined) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const given = { login: String(row['login']), nativeId: ref.nativeId };
    if (!(await callProcedure(sql, session, 'delete', given, ctx))) {
      const loginFirst = sql.logins?.dialect.transactional === false;
      if (loginFirst) {
        await dropLogin(sql, session, row);
      }
      await runHooks(sql, session, 'delete', given, ctx);
      await removeRows(sql, session, ref);
      if (!loginFirst) {
        await dropLogin(sql, session, row);
      }
    }
    const held = observeRow(sql.application, sql.config, row).entitlements ?? [];
    return { outcome: 'applied', ref, changed: [{ attribute: 'entitlements', op: 'remove', value: held }] };
  });
}

async function removeRows(sql: SqlContext, session: Session, ref: AccountRef): Promise<void> {
  const { entitlements, accounts, delete: soft } = sql.config;
  const { column, qualified, table } = sql.statements;
  if (entitlements !== undefined) {
    const where = `${column(entitlements.account)} = ${place(1)}`;
    await session.write(`delete from ${qualified(entitlements.table)} where ${where}`, [ref.nativeId]);
  }
  if (soft === undefined) {
    await session.write(`delete from ${table} where ${column(accounts.key)} = ${place(1)}`, [ref.nativeId]);
    return;
  }
  const cells: (readonly [string, unknown])[] = [[soft.column, sql.dialect.write('string', soft.value)]];
  if (soft.column !== accounts.enabled) {
    cells.push([accounts.enabled, sql.dialect.write('boolean', false)]);
  }
  await updateRow(sql, session, ref, cells);
}

async function dropLogin(sql: SqlContext, session: Session, row: Row): Promise<void> {
  if (sql.logins !== undefined && truthOf(row['has_login']) === true) {
    const { dialect, settings } = sql.logins;
    await writeLogin(sql, session, dialect.drop(requireLogin(sql, String(row['login']), 'delete'), settings));
  }
}
