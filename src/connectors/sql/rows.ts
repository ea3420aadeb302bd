import type { AccountRef, Attributes, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { sameValue } from '../shared/compare.js';
import type { Row, Session, SqlContext } from './client.js';
import type { SqlHook } from './config.js';

/** Refuses every object class but accounts, as UNSUPPORTED. */
export function requireAccount(objectClass: string, operation: string): void {
  if (objectClass !== 'account') {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false });
  }
}

export async function updateRow(
  sql: SqlContext,
  session: Session,
  ref: AccountRef,
  cells: readonly (readonly [string, unknown])[],
): Promise<void> {
  const { column, table } = sql.statements;
  const sets = cells.map(([name], index) => `${column(name)} = ${sql.dialect.placeholder(index + 2)}`).join(', ');
  const where = `${column(sql.config.accounts.key)} = ${sql.dialect.placeholder(1)}`;
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
      parameters.map((name) => values[name] ?? null),
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

export async function requireRow(sql: SqlContext, session: Session, ref: AccountRef, operation: string): Promise<Row> {
  const row = await rowByKey(sql, session, ref, sql.statements.byKeyLocked);
  if (row === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return row;
}

export async function isArchived(
  sql: SqlContext,
  session: Session,
  archiveColumn: string,
  ref: AccountRef,
): Promise<boolean> {
  const { column, table } = sql.statements;
  const where = `${column(sql.config.accounts.key)} = ${sql.dialect.placeholder(1)}`;
  const marked = `select ${column(archiveColumn)} as archived from ${table} where ${where}`;
  return (await session.read(marked, [ref.nativeId]))[0]?.['archived'] === true;
}

export function requireLogin(sql: SqlContext, login: unknown, operation: string): string {
  const { dialect, config } = sql;
  const plain = typeof login === 'string' && login !== '';
  const serviceRole = new URL(sql.url).username;
  const fits =
    plain &&
    (config.logins === undefined ||
      (dialect.isPlausibleLogin(login) &&
        !dialect.isReservedLogin(login) &&
        login !== decodeURIComponent(serviceRole) &&
        login !== config.logins.grant));
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
