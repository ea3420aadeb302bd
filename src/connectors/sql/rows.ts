import { createHash } from 'node:crypto';
import type { AccountRef, Attributes, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { sameValue } from '../shared/compare.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import type { ProcedureOperation, SqlHook } from './config.js';
import { place, truthOf } from '../shared/sql/dialect.js';
import type { Row } from '../shared/sql/driver.js';

export async function updateRow(
  sql: SqlContext,
  session: Session,
  ref: AccountRef,
  cells: readonly (readonly [string, unknown])[],
): Promise<void> {
  const { column, table } = sql.statements;
  const sets = cells.map(([name], index) => `${column(name)} = ${place(index + 2)}`).join(', ');
  const where = `${column(sql.config.accounts.key)} = ${place(1)}`;
  await session.write(`update ${table} set ${sets} where ${where}`, [ref.nativeId, ...cells.map(([, value]) => value)]);
}

export async function runHooks(
  sql: SqlContext,
  session: Session,
  hook: SqlHook,
  given: Attributes,
  ctx: OperationContext,
): Promise<void> {
  const values: Attributes = { idempotencyKey: ctx.idempotencyKey, ...given };
  for (const { text, parameters } of sql.statements.hooks(hook)) {
    await session.write(
      text,
      parameters.map((name) => cellOf(sql, name, values[name] ?? null)),
    );
  }
}

/** A row by native id; a native id that the key column's type refuses names no account. */
export async function rowByKey(
  sql: SqlContext,
  session: Session,
  ref: AccountRef,
  text: string,
): Promise<Row | undefined> {
  return isPlausibleKey(ref.nativeId) ? (await session.read(text, [ref.nativeId]))[0] : undefined;
}

function isPlausibleKey(nativeId: string): boolean {
  // Numbers and UUIDs are what databases make; anything else would be a type error at the server.
  return /^(\d{1,18}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(nativeId);
}

/** The row, locked until the end of the transaction; undefined when there is none. */
export async function lockedRow(
  sql: SqlContext,
  session: Session,
  ref: AccountRef,
  operation: string,
): Promise<Row | undefined> {
  const { byKey, byKeyLocked, lockRow } = sql.statements;
  if (sql.logins?.dialect.lock !== undefined) {
    const before = await rowByKey(sql, session, ref, byKey);
    if (before === undefined) {
      return undefined;
    }
    await lockLogin(sql, session, String(before['login']), operation);
    const after = await rowByKey(sql, session, ref, byKey);
    if (after !== undefined && after['login'] !== before['login']) {
      throw new ConnectorError({ code: 'CONFLICT', operation, sent: false, ref, attribute: 'login' });
    }
  }
  if (lockRow !== undefined) {
    await rowByKey(sql, session, ref, lockRow);
  }
  return rowByKey(sql, session, ref, byKeyLocked);
}

/**
 * Where statements on log-ins are not part of a transaction, operations on one login wait for each other by a lock of
 * the server, which ends with the connection.
 */
export async function lockLogin(sql: SqlContext, session: Session, login: string, operation: string): Promise<void> {
  const take = sql.logins?.dialect.lock?.take;
  if (take === undefined) {
    return;
  }
  const name = createHash('sha256').update(`${sql.statements.table} ${login}`).digest('hex').slice(0, 60);
  const [row] = await session.read(take, [name, Math.max(1, Math.ceil(sql.config.requestTimeoutMs / 1000))]);
  if (truthOf(row?.['locked']) !== true) {
    throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
  }
}

export async function requireRow(sql: SqlContext, session: Session, ref: AccountRef, operation: string): Promise<Row> {
  const row = await lockedRow(sql, session, ref, operation);
  if (row === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return row;
}

/** The login as its row says, without a lock. */
export async function loginOf(sql: SqlContext, session: Session, ref: AccountRef, operation: string): Promise<string> {
  const row = await rowByKey(sql, session, ref, sql.statements.byKey);
  if (row === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return String(row['login']);
}

/** One statement on a log-in: part of the transaction, or for good where the server knows no other way. */
export async function writeLogin(sql: SqlContext, session: Session, text: string): Promise<void> {
  await (sql.logins?.dialect.transactional === false ? session.writeForGood(text) : session.write(text));
}

/** Calls the procedure that is configured for an operation; false when there is none. A procedure may commit by itself. */
export async function callProcedure(
  sql: SqlContext,
  session: Session,
  operation: ProcedureOperation,
  given: Attributes,
  ctx: OperationContext,
): Promise<boolean> {
  const procedure = sql.statements.procedure(operation);
  if (procedure === undefined) {
    return false;
  }
  const values: Attributes = { idempotencyKey: ctx.idempotencyKey, ...given };
  const bound = procedure.parameters.map((name) => cellOf(sql, name, values[name] ?? null));
  await (sql.logins?.dialect.transactional === false
    ? session.writeForGood(procedure.text, bound)
    : session.write(procedure.text, bound));
  return true;
}

/** A value in the form in which the dialect's driver binds it. */
export function cellOf(sql: SqlContext, attribute: string, value: unknown): unknown {
  return sql.dialect.write(sql.config.attributes[attribute]?.type ?? 'string', value);
}

export async function isArchived(
  sql: SqlContext,
  session: Session,
  archiveColumn: string,
  ref: AccountRef,
): Promise<boolean> {
  const { column, table } = sql.statements;
  const where = `${column(sql.config.accounts.key)} = ${place(1)}`;
  const marked = `select ${column(archiveColumn)} as archived from ${table} where ${where}`;
  return truthOf((await session.read(marked, [ref.nativeId]))[0]?.['archived']) === true;
}

export function requireLogin(sql: SqlContext, login: unknown, operation: string): string {
  const { logins, target } = sql;
  const plain = typeof login === 'string' && login !== '';
  const fits =
    plain &&
    (logins === undefined ||
      (logins.dialect.isPlausible(login) &&
        !logins.dialect.isReserved(login) &&
        login !== target.user &&
        login !== logins.settings.grant));
  if (!fits) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'login' });
  }
  return login;
}

export function requireAttributes(sql: SqlContext, attributes: Attributes, operation: string): void {
  for (const [attribute, value] of Object.entries(attributes)) {
    const known = sql.config.attributes[attribute];
    const emptied = known?.required === true && sameValue(value, null);
    if (known === undefined || !known.writable || emptied) {
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
    }
  }
  const missing = Object.entries(sql.config.attributes).find(
    ([name, { required }]) => operation === 'create' && required && sameValue(attributes[name], null),
  );
  if (missing !== undefined) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: missing[0] });
  }
}
