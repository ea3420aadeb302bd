import type { AccountRef, CorrelationKey, ListQuery, ObservedAccount, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { SqlContext } from './context.js';
import type { Row } from '../shared/sql/driver.js';
import { rowByKey } from './rows.js';
import { observeRow } from './statements.js';
import { requireAccount } from '../shared/object-class.js';

/** One page by key, so rows that come or go between pages disturb nothing. */
export async function listAccounts(
  sql: SqlContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const { firstPage, page } = sql.statements;
  const limit = Math.trunc(query.pageSize) + 1;
  const rows = await sql.database.reading('list', ctx, (session) =>
    query.cursor === undefined ? session.read(firstPage(limit)) : session.read(page(limit), [query.cursor]),
  );
  const items = rows.slice(0, query.pageSize).map((row) => observeRow(sql.application, sql.config, row));
  const last = items.at(-1);
  return rows.length > query.pageSize && last !== undefined
    ? { items, complete: false, next: last.ref.nativeId }
    : { items, complete: true };
}

export async function getAccount(
  sql: SqlContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, 'get');
  return sql.database.reading('get', ctx, async (session) => {
    const row = await rowByKey(sql, session, ref, sql.statements.byKey);
    return row === undefined ? undefined : observeRow(sql.application, sql.config, row);
  });
}

export async function findAccounts(
  sql: SqlContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  const text = sql.statements.by(by.attribute);
  if (text === undefined) {
    throw new ConnectorError({ code: 'INVALID', operation: 'find', sent: false, attribute: by.attribute });
  }
  const rows = await sql.database.reading('find', ctx, (session) => session.read(text, [by.value]));
  return exactly(sql, rows, by);
}

/** A server that compares without case or trailing blanks finds more than was asked for. */
export function exactly(sql: SqlContext, rows: readonly Row[], by: CorrelationKey): readonly ObservedAccount[] {
  const type = by.attribute === 'login' ? 'string' : sql.config.attributes[by.attribute]?.type;
  return rows
    .map((row) => observeRow(sql.application, sql.config, row))
    .filter((seen) => {
      const value = by.attribute === 'login' ? seen.login : seen.attributes[by.attribute];
      return type !== 'string' || value === by.value;
    });
}
