import type { AccountRef, AttributeDelta, Attributes, MutationResult, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import type { LoginOptions } from '../shared/sql/dialect.js';
import { truthOf } from '../shared/sql/dialect.js';
import type { Row } from '../shared/sql/driver.js';
import { renameAccount } from './rename.js';
import {
  callProcedure,
  cellOf,
  isArchived,
  requireAttributes,
  requireLogin,
  requireRow,
  runHooks,
  updateRow,
  writeLogin,
} from './rows.js';
import { observeRow } from './statements.js';
import { requireAccount } from '../shared/object-class.js';

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
    const cells = Object.entries(attributes).map(
      ([name, value]) => [sql.config.attributes[name]?.column ?? '', cellOf(sql, name, value)] as const,
    );
    const renamed = login === undefined ? undefined : requireLogin(sql, login, 'update');
    const after = { ...current.attributes, ...attributes, login: renamed ?? current.login };
    const given = { ...after, previousLogin: current.login, nativeId: ref.nativeId };
    if (!(await callProcedure(sql, session, 'update', given, ctx))) {
      await (renamed === undefined
        ? updateRow(sql, session, ref, cells)
        : renameAccount(sql, session, ref, row, renamed, cells));
    }
    return { outcome: 'applied', ref, changed: changes };
  });
}

/**
 * Flag and log-in together; a password too when a verifier is given (that always writes). An opened row is not archived
 * any more. Where log-ins are outside transactions, closing begins with the log-in and opening ends with it.
 */
export async function setEnabled(
  sql: SqlContext,
  ref: AccountRef,
  enabled: boolean,
  operation: 'enable' | 'disable' | 'seal',
  ctx: OperationContext,
  verifier?: string,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  return sql.database.transaction(operation, ctx, async (session) => {
    const row = await requireRow(sql, session, ref, operation);
    const hasLogin = truthOf(row['has_login']) === true;
    if (sql.logins !== undefined && enabled && !hasLogin) {
      // An account whose log-in was dropped by hand can be cut, but not opened.
      throw noLogin(operation, ref);
    }
    const loginFits = !hasLogin || (truthOf(row['can_login']) === true) === enabled;
    const archive = enabled ? sql.config.archive?.column : undefined;
    const isMarked = archive !== undefined && (await isArchived(sql, session, archive, ref));
    if (truthOf(row['flag']) === enabled && loginFits && verifier === undefined && !isMarked) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const given = { login: String(row['login']), nativeId: ref.nativeId };
    if (!(await callProcedure(sql, session, operation, { ...given, verifier: verifier ?? null }, ctx))) {
      const options: LoginOptions = { enabled, ...(verifier === undefined ? {} : { verifier }) };
      const flag = [sql.config.accounts.enabled, sql.dialect.write('boolean', enabled)] as const;
      const unmark = isMarked ? [[archive, sql.dialect.write('boolean', false)] as const] : [];
      await (enabled ? undefined : alterLogin(sql, session, row, options, operation));
      await updateRow(sql, session, ref, [flag, ...unmark]);
      await runHooks(sql, session, enabled ? 'enable' : 'disable', given, ctx);
      await (enabled ? alterLogin(sql, session, row, options, operation) : undefined);
    }
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** Sets the log-in's password; `beforeCommit` runs before it can be used, so that a failing hand-over changes nothing. */
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
    if (truthOf(row['has_login']) !== true) {
      throw noLogin(operation, ref);
    }
    const commitsAtOnce = sql.logins?.dialect.transactional === false;
    await (commitsAtOnce ? beforeCommit() : undefined);
    const given = { login: String(row['login']), nativeId: ref.nativeId, verifier };
    if (!(await callProcedure(sql, session, 'setSecret', given, ctx))) {
      await alterLogin(sql, session, row, { verifier }, operation);
    }
    await (commitsAtOnce ? undefined : beforeCommit());
    return { outcome: 'applied', ref, changed: [] };
  });
}

function noLogin(operation: string, ref: AccountRef): ConnectorError {
  return new ConnectorError({
    code: 'CONFLICT',
    operation,
    sent: false,
    ref,
    attribute: 'login',
    targetCode: 'no-log-in',
  });
}

async function alterLogin(
  sql: SqlContext,
  session: Session,
  row: Row,
  options: LoginOptions,
  operation: string,
): Promise<void> {
  if (sql.logins !== undefined && truthOf(row['has_login']) === true) {
    const { dialect, settings } = sql.logins;
    const login = requireLogin(sql, String(row['login']), operation);
    await writeLogin(sql, session, dialect.alter(login, options, settings));
  }
}
