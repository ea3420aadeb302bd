import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  MutationResult,
  ObservedAccount,
  OperationContext,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { Secret } from '../secret.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import { codeOfState, place } from '../shared/sql/dialect.js';
import { ServerFault } from '../shared/sql/driver.js';
import { exactly } from './reads.js';
import {
  callProcedure,
  cellOf,
  lockLogin,
  requireAttributes,
  requireLogin,
  rowByKey,
  runHooks,
  writeLogin,
} from './rows.js';
import { truthOf } from '../shared/sql/dialect.js';
import { requireAccount } from '../shared/object-class.js';

/**
 * Inserts the row and makes the log-in. A row that already carries the same adoption key is adopted; the same login
 * with another key is ALREADY_EXISTS. Where log-ins are outside transactions the row comes first and the log-in is
 * opened last: an interruption lets nobody in, and the repeat, which adopts the row, makes what is missing.
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
    await lockLogin(sql, session, spec.login, 'create');
    const adopted = await byAdoptionKey(sql, session, attributes);
    if (adopted !== undefined) {
      return adopt(sql, session, adopted);
    }
    await refuseForeignLogin(sql, session, spec.login);
    const verifier = await firstVerifier(sql);
    const given = { ...attributes, login: spec.login, enabled: spec.enabled, verifier };
    if (await callProcedure(sql, session, 'create', given, ctx)) {
      return applied(await madeByProcedure(sql, session, attributes), spec);
    }
    const key = await insertRow(sql, session, spec, attributes);
    if (key === undefined) {
      // Another try of this step committed between the read and the insert: its row is ours.
      const winner = await byAdoptionKey(sql, session, attributes);
      if (winner !== undefined) {
        return adopt(sql, session, winner);
      }
      throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: true, attribute: 'login' });
    }
    const ref: AccountRef = { application: sql.application, objectClass: 'account', nativeId: key };
    const runs = (): Promise<void> =>
      runHooks(sql, session, 'create', { ...attributes, login: spec.login, nativeId: key }, ctx);
    // The statements of the configuration belong to the row; where a log-in is part of the transaction they may use it.
    const isLast = sql.logins?.dialect.transactional === true;
    await (isLast ? undefined : runs());
    await createLogin(sql, session, spec.login, spec.enabled, verifier);
    await (isLast ? runs() : undefined);
    return applied(ref, spec);
  });
}

async function createLogin(
  sql: SqlContext,
  session: Session,
  login: string,
  enabled: boolean,
  verifier: string,
): Promise<void> {
  if (sql.logins !== undefined) {
    for (const text of sql.logins.dialect.create(login, enabled, verifier, sql.logins.settings)) {
      await writeLogin(sql, session, text);
    }
  }
}

/** Of a password that nobody knows, where an account is made with one; else empty: Postgres makes a role without, and hashing would be most of a create. */
async function firstVerifier({ logins, statements }: SqlContext): Promise<string> {
  const isWanted =
    logins?.dialect.createsWithPassword === true ||
    statements.procedure('create')?.parameters.includes('verifier') === true;
  return isWanted ? ((await logins?.dialect.verifier(Secret.random().reveal())) ?? '') : '';
}

/** Completes what an interruption left: a row that should be usable, whose log-in is missing or was never opened. */
async function adopt(sql: SqlContext, session: Session, found: ObservedAccount): Promise<MutationResult> {
  const done: MutationResult = { outcome: 'already-in-state', ref: found.ref, changed: [] };
  if (sql.logins === undefined || sql.logins.dialect.transactional) {
    return done;
  }
  await lockLogin(sql, session, found.login, 'create');
  const row = await rowByKey(sql, session, found.ref, sql.statements.byKey);
  const enabled = truthOf(row?.['flag']);
  const hasLogin = truthOf(row?.['has_login']) === true;
  if (row === undefined || row['login'] !== found.login || (hasLogin && truthOf(row['can_login']) === enabled)) {
    return done;
  }
  const { dialect, settings } = sql.logins;
  const verifier = await firstVerifier(sql);
  const steps = dialect.create(requireLogin(sql, found.login, 'create'), enabled === true, verifier, settings);
  // The first step makes the log-in; the others may be repeated. One that is open while its row is not stays untouched.
  const missing = hasLogin ? (enabled === true ? steps.slice(1) : []) : steps;
  for (const text of missing) {
    await writeLogin(sql, session, text);
  }
  return missing.length === 0 ? done : { ...done, outcome: 'applied' };
}

/** A log-in that is there before its row belongs to somebody else; where creating it cannot be undone, look first. */
async function refuseForeignLogin(sql: SqlContext, session: Session, login: string): Promise<void> {
  if (sql.logins === undefined || sql.logins.dialect.transactional) {
    return;
  }
  const [row] = await session.read(sql.logins.dialect.exists(sql.logins.settings), [login]);
  if (truthOf(row?.['has_login']) !== false) {
    throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: false, attribute: 'login' });
  }
}

async function byAdoptionKey(
  sql: SqlContext,
  session: Session,
  attributes: Attributes,
): Promise<ObservedAccount | undefined> {
  const attribute = sql.config.adoptionKey;
  const value = attributes[attribute];
  const rows = await session.read(sql.statements.by(attribute) ?? '', [value]);
  return exactly(sql, rows, { attribute, value: String(value) })[0];
}

async function madeByProcedure(sql: SqlContext, session: Session, attributes: Attributes): Promise<AccountRef> {
  const made = await byAdoptionKey(sql, session, attributes);
  if (made === undefined) {
    const targetCode = 'procedure-made-no-row';
    throw new ConnectorError({ code: 'INVALID', operation: 'create', sent: true, targetCode });
  }
  return made.ref;
}

async function insertRow(
  sql: SqlContext,
  session: Session,
  spec: AccountSpec,
  attributes: Attributes,
): Promise<string | undefined> {
  const { accounts } = sql.config;
  const { column, table } = sql.statements;
  const cells = new Map<string, unknown>([
    [accounts.login, spec.login],
    [accounts.enabled, sql.dialect.write('boolean', spec.enabled)],
  ]);
  for (const [name, value] of Object.entries(attributes)) {
    cells.set(sql.config.attributes[name]?.column ?? '', cellOf(sql, name, value));
  }
  const columns = [...cells.keys()].map(column);
  const places = columns.map((_column, index) => place(index + 1));
  const text = sql.dialect.insert({ table, columns, places, key: column(accounts.key) });
  try {
    const rows = await session.write(text, [...cells.values()]);
    if (rows[0] !== undefined) {
      return String(rows[0]['native_id']);
    }
  } catch (error) {
    if (error instanceof ServerFault && codeOfState(sql.dialect, error.code) === 'ALREADY_EXISTS') {
      return undefined;
    }
    throw error;
  }
  // Where an insert answers nothing, the key is read; in Postgres nothing means that the row was there already.
  return sql.dialect.name === 'postgres' ? undefined : (await madeByProcedure(sql, session, attributes)).nativeId;
}

function applied(ref: AccountRef, spec: AccountSpec): MutationResult {
  const changed: AttributeDelta[] = Object.entries({ login: spec.login, ...spec.attributes }).map(
    ([attribute, value]) => ({ attribute, op: 'replace', value }),
  );
  return { outcome: 'applied', ref, changed };
}
