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
import type { Row, Session, SqlContext } from './client.js';
import type { SqlHook } from './config.js';
import type { LoginOptions } from './dialect.js';
import {
  isArchived,
  requireAccount,
  requireAttributes,
  requireLogin,
  requireRow,
  rowByKey,
  runHooks,
  updateRow,
} from './rows.js';
import { observeRow } from './statements.js';

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

/** Flag and log-in together, in one transaction; a password too when a verifier is given (that always writes). An opened row is not archived any more. */
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
    const archive = enabled ? sql.config.archive?.column : undefined;
    const isMarked = archive !== undefined && (await isArchived(sql, session, archive, ref));
    if (row['flag'] === enabled && loginFits && verifier === undefined && !isMarked) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const unmark = archive !== undefined && isMarked ? [[archive, false] as const] : [];
    await updateRow(sql, session, ref, [[sql.config.accounts.enabled, enabled], ...unmark]);
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
