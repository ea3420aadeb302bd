import type { AccountRef, MutationResult, OperationContext, OwnedCount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Session } from '../shared/sql/client.js';
import type { OwnershipDialect } from '../shared/sql/dialect.js';
import { truthOf } from '../shared/sql/dialect.js';
import { requireAccount } from '../shared/object-class.js';
import type { SqlContext } from './context.js';
import { callProcedure, loginOf, requireLogin, rowByKey } from './rows.js';

/** How many objects of the server (tables, sequences, views, functions, schemas …) belong to the account's log-in. */
export async function listOwned(
  sql: SqlContext,
  ownership: OwnershipDialect,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<OwnedCount> {
  requireAccount(ref.objectClass, 'listOwned');
  return sql.database.verifying('listOwned', ctx, async (session) => {
    const count = await countOwned(ownership, session, await loginOf(sql, session, ref, 'listOwned'));
    return { count, road: 'sql:owners' };
  });
}

/**
 * Gives everything that the log-in owns in this database to the heir's log-in, in one transaction: all of it or nothing.
 * The account's row is not locked: a cut never waits for a transfer, which may wait for locks on tables. An heir without
 * a log-in is `NOT_FOUND` with attribute `heir`, because nobody could open what it would own.
 */
export async function transferOwned(
  sql: SqlContext,
  ownership: OwnershipDialect,
  ref: AccountRef,
  heirRef: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'transferOwned');
  return sql.database.transaction('transferOwned', ctx, async (session) => {
    const from = requireLogin(sql, await loginOf(sql, session, ref, 'transferOwned'), 'transferOwned');
    const heir = await heirLogin(sql, session, heirRef);
    if ((await countOwned(ownership, session, from)) === 0) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const given = { login: from, nativeId: ref.nativeId, heir };
    if (!(await callProcedure(sql, session, 'transferOwned', given, ctx))) {
      const borrowed = await withoutRights(ownership, session, [from, heir]);
      for (const text of ownership.transfer(from, heir, borrowed)) {
        await session.write(text);
      }
    }
    return { outcome: 'applied', ref, changed: [] };
  });
}

async function heirLogin(sql: SqlContext, session: Session, ref: AccountRef): Promise<string> {
  const row = await rowByKey(sql, session, ref, sql.statements.byKey);
  if (row === undefined || truthOf(row['has_login']) !== true) {
    const targetCode = row === undefined ? undefined : 'no-log-in';
    const operation = 'transferOwned';
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, attribute: 'heir', targetCode });
  }
  return requireLogin(sql, row['login'], 'transferOwned');
}

/** Those of the log-ins whose rights the service role does not have: it takes them for the transaction alone. */
async function withoutRights(
  ownership: OwnershipDialect,
  session: Session,
  logins: readonly string[],
): Promise<readonly string[]> {
  const without: string[] = [];
  for (const login of logins) {
    const [row] = await session.read(ownership.actsFor, [login]);
    if (truthOf(row?.['acts']) !== true) {
      without.push(login);
    }
  }
  return without;
}

async function countOwned(ownership: OwnershipDialect, session: Session, login: string): Promise<number> {
  return Number((await session.read(ownership.count, [login]))[0]?.['count']);
}
