import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  CorrelationKey,
  ListQuery,
  MutationResult,
  ObservedAccount,
  OperationContext,
  Page,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { effectiveDeltas } from '../shared/attributes.js';
import { sameValue } from '../shared/compare.js';
import type { Row, Session, SqlContext } from './client.js';
import type { SqlHook } from './config.js';
import type { LoginOptions } from './dialect.js';
import { observeRow } from './statements.js';

/** Refuses every object class but accounts, as UNSUPPORTED. */
export function requireAccount(objectClass: string, operation: string): void {
  if (objectClass !== 'account') {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false });
  }
}

/** One page by key, so rows that come or go between pages disturb nothing. */
export async function listAccounts(
  sql: SqlContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const { firstPage, page } = sql.statements;
  const limit = query.pageSize + 1;
  const rows = await sql.database.reading('list', ctx, (session) =>
    query.cursor === undefined ? session.read(firstPage, [limit]) : session.read(page, [query.cursor, limit]),
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
  return rows.map((row) => observeRow(sql.application, sql.config, row));
}

/**
 * Inserts the row and makes the log-in, in one transaction. A row that already carries the same adoption key is
 * adopted; the same login with another key is ALREADY_EXISTS.
 */
export async function createAccount(
  sql: SqlContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  requireLogin(sql, spec.login, 'create');
  const attributes: Attributes = { [sql.config.adoptionKey]: ctx.idempotencyKey, ...spec.attributes };
  requireAttributes(sql, attributes, 'create');
  return sql.database.transaction('create', ctx, async (session) => {
    const adopted = await byAdoptionKey(sql, session, attributes);
    if (adopted !== undefined) {
      return { outcome: 'already-in-state', ref: adopted.ref, changed: [] };
    }
    const key = await insertRow(sql, session, spec, attributes);
    if (key === undefined) {
      // Another try of this step committed between the read and the insert: its row is ours.
      const winner = await byAdoptionKey(sql, session, attributes);
      if (winner !== undefined) {
        return { outcome: 'already-in-state', ref: winner.ref, changed: [] };
      }
      throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: true, attribute: 'login' });
    }
    if (sql.config.logins !== undefined) {
      await session.write(sql.dialect.statements.createLogin(spec.login, spec.enabled));
      if (sql.config.logins.grant !== undefined) {
        await session.write(sql.dialect.statements.grantRole(sql.config.logins.grant, spec.login));
      }
    }
    const ref: AccountRef = { application: sql.application, objectClass: 'account', nativeId: key };
    await runHooks(sql, session, 'create', { ...attributes, login: spec.login, nativeId: key }, ctx);
    return { outcome: 'applied', ref, changed: createdDeltas(spec) };
  });
}

async function byAdoptionKey(
  sql: SqlContext,
  session: Session,
  attributes: Attributes,
): Promise<ObservedAccount | undefined> {
  const text = sql.statements.by(sql.config.adoptionKey) ?? '';
  const rows = await session.read(text, [attributes[sql.config.adoptionKey]]);
  return rows[0] === undefined ? undefined : observeRow(sql.application, sql.config, rows[0]);
}

async function insertRow(
  sql: SqlContext,
  session: Session,
  spec: AccountSpec,
  attributes: Attributes,
): Promise<string | undefined> {
  const { accounts } = sql.config;
  const cells = new Map<string, unknown>([
    [accounts.login, spec.login],
    [accounts.enabled, spec.enabled],
  ]);
  for (const [name, value] of Object.entries(attributes)) {
    cells.set(sql.config.attributes[name]?.column ?? '', value);
  }
  const columns = [...cells.keys()].map(sql.statements.column).join(', ');
  const places = [...cells.keys()].map((_column, index) => sql.dialect.placeholder(index + 1)).join(', ');
  const text =
    `insert into ${sql.statements.table} (${columns}) values (${places}) on conflict do nothing` +
    ` returning ${sql.statements.column(accounts.key)}::text as native_id`;
  const rows = await session.write(text, [...cells.values()]);
  return rows[0] === undefined ? undefined : String(rows[0]['native_id']);
}

function createdDeltas(spec: AccountSpec): readonly AttributeDelta[] {
  const attributes = Object.entries(spec.attributes).map(([attribute, value]) => ({
    attribute,
    op: 'replace' as const,
    value,
  }));
  return [{ attribute: 'login', op: 'replace', value: spec.login }, ...attributes];
}

/** Writes what really changes of the deltas; `login` renames the row's login and the log-in together. */
export async function updateAccount(
  sql: SqlContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'update');
  return sql.database.transaction('update', ctx, async (session) => {
    const row = await requireRow(sql, session, ref, 'update');
    const current = observeRow(sql.application, sql.config, row);
    const changes = effectiveDeltas({ ...current.attributes, login: current.login }, deltas);
    if (changes.length === 0) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const changed: Attributes = Object.fromEntries(changes.map(({ attribute, value }) => [attribute, value]));
    const { login, ...attributes } = changed;
    requireAttributes(sql, attributes, 'update');
    const cells = Object.entries(attributes).map(([name, value]) => [sql.config.attributes[name]?.column ?? '', value]);
    if (login !== undefined) {
      cells.unshift([sql.config.accounts.login, requireLogin(sql, login, 'update')]);
    }
    await updateRow(sql, session, ref, cells as [string, unknown][]);
    if (login !== undefined && row['has_login'] === true) {
      await session.write(sql.dialect.statements.renameLogin(current.login, String(login)));
    }
    return { outcome: 'applied', ref, changed: changes };
  });
}

/** Flag and log-in together, in one transaction; a password too when a verifier is given (that always writes). */
export async function setEnabled(
  sql: SqlContext,
  ref: AccountRef,
  enabled: boolean,
  operation: string,
  ctx: OperationContext,
  verifier?: string,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  return sql.database.transaction(operation, ctx, async (session) => {
    const row = await requireRow(sql, session, ref, operation);
    const loginFits = row['has_login'] !== true || (row['can_login'] === true) === enabled;
    if (row['flag'] === enabled && loginFits && verifier === undefined) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    await updateRow(sql, session, ref, [[sql.config.accounts.enabled, enabled]]);
    const options: LoginOptions = { enabled, ...(verifier === undefined ? {} : { verifier }) };
    await alterLogin(sql, session, row, options, operation);
    const hook: SqlHook = enabled ? 'enable' : 'disable';
    await runHooks(sql, session, hook, { login: String(row['login']), nativeId: ref.nativeId }, ctx);
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** Sets the log-in's password; `before` runs inside the transaction, so that a failing hand-over changes nothing. */
export async function setVerifier(
  sql: SqlContext,
  ref: AccountRef,
  verifier: string,
  operation: string,
  ctx: OperationContext,
  beforeCommit: () => Promise<void> = () => Promise.resolve(),
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  return sql.database.transaction(operation, ctx, async (session) => {
    const row = await requireRow(sql, session, ref, operation);
    if (row['has_login'] !== true) {
      throw new ConnectorError({ code: 'CONFLICT', operation, sent: false, ref, targetCode: 'no-log-in' });
    }
    await alterLogin(sql, session, row, { verifier }, operation);
    await beforeCommit();
    return { outcome: 'applied', ref, changed: [] };
  });
}

async function alterLogin(
  sql: SqlContext,
  session: Session,
  row: Row,
  options: LoginOptions,
  operation: string,
): Promise<void> {
  if (row['has_login'] !== true) {
    // An account whose log-in was dropped by hand can be cut, but not opened.
    if (sql.config.logins !== undefined && options.enabled === true) {
      throw new ConnectorError({
        code: 'CONFLICT',
        operation,
        sent: true,
        attribute: 'login',
        targetCode: 'no-log-in',
      });
    }
    return;
  }
  const login = requireLogin(sql, String(row['login']), operation);
  await session.write(sql.dialect.statements.alterLogin(login, options));
}

export async function archiveAccount(
  sql: SqlContext,
  column: string,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'archive');
  const at = sql.statements.column(column);
  return sql.database.transaction('archive', ctx, async (session) => {
    const row = await requireRow(sql, session, ref, 'archive');
    const key = sql.statements.column(sql.config.accounts.key);
    const marked = `select ${at} as archived from ${sql.statements.table} where ${key} = ${sql.dialect.placeholder(1)}`;
    if ((await session.read(marked, [ref.nativeId]))[0]?.['archived'] === true) {
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

async function updateRow(
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

async function runHooks(
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

async function requireRow(sql: SqlContext, session: Session, ref: AccountRef, operation: string): Promise<Row> {
  const row = await rowByKey(sql, session, ref, sql.statements.byKeyLocked);
  if (row === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return row;
}

function requireLogin(sql: SqlContext, login: unknown, operation: string): string {
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

function requireAttributes(sql: SqlContext, attributes: Attributes, operation: string): void {
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
