import { createHash, randomBytes } from 'node:crypto';
import type { AccountRef, AccountStatus, Attributes, AttributeValue, ObservedAccount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { sameValue } from '../shared/compare.js';
import type { Session, SqlDatabase } from '../shared/sql/client.js';
import type { SqlDialect } from '../shared/sql/dialect.js';
import type { Row } from '../shared/sql/driver.js';
import { requireAccount } from '../shared/object-class.js';
import type { Peer } from './client.js';
import type { RadiusConfig } from './config.js';

/** Everything the operations of one application share. */
export interface RadiusContext {
  readonly application: string;
  readonly config: RadiusConfig;
  readonly dialect: SqlDialect;
  readonly database: SqlDatabase;
  readonly server: Peer | undefined;
  readonly gateways: ReadonlyMap<string, Peer>;
  /** The quoted name of a table. */
  table(name: keyof Omit<RadiusConfig['tables'], 'schema'>): string;
}

export interface Cell {
  readonly attribute: string;
  readonly value: string;
}

/** All rows of one user name. */
export interface Rows {
  readonly login: string;
  readonly groups: readonly string[];
  readonly check: readonly Cell[];
  readonly reply: readonly Cell[];
}

/** After every profile: FreeRADIUS stops at the first group that does not say Fall-Through. */
const statePriority = 1_000_000;
const passwordRow = "(lower(attribute) like '%-password' or lower(attribute) = 'password-with-header')";

export function isLogin(login: string): boolean {
  return /^[\w.@+-]{1,128}$/.test(login);
}

export function stateGroups({ groups }: RadiusConfig): readonly string[] {
  return [groups.admitted, groups.denied, groups.sealed];
}

/** The rows of a user name; not an account when none of its groups says how it stands. */
export async function readRows(radius: RadiusContext, session: Session, login: string): Promise<Rows> {
  const select = (columns: string, table: Parameters<RadiusContext['table']>[0]) =>
    session.read(`select ${columns} from ${radius.table(table)} where username = $1 order by id`, [login]);
  const groups = await select('groupname', 'userGroups');
  const check = await select('attribute, value', 'check');
  const reply = await select('attribute, value', 'reply');
  return {
    login,
    groups: groups.map((row) => String(row['groupname'])),
    check: check.map(cell),
    reply: reply.map(cell),
  };
}

function cell(row: Row): Cell {
  return { attribute: String(row['attribute']), value: String(row['value']) };
}

export function isAccount(radius: RadiusContext, rows: Rows): boolean {
  const states = stateGroups(radius.config);
  return rows.groups.some((name) => states.includes(name));
}

export async function lockName(radius: RadiusContext, session: Session, login: string, operation: string) {
  const { dialect, config } = radius;
  const name = createHash('sha256')
    .update(`${radius.table('userGroups')} ${login}`)
    .digest('hex')
    .slice(0, 60);
  const seconds = Math.max(1, Math.ceil(config.requestTimeoutMs / 1000));
  const [row] = await session.read(dialect.nameLock ?? dialect.ping, [name, seconds]);
  if (row?.['locked'] !== true) throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
}

/** The account's rows, with its name locked until the end of the transaction. */
export async function lockedRows(
  radius: RadiusContext,
  session: Session,
  ref: AccountRef,
  operation: string,
): Promise<Rows | undefined> {
  requireAccount(ref.objectClass, operation);
  if (!isLogin(ref.nativeId)) return undefined;
  await lockName(radius, session, ref.nativeId, operation);
  const rows = await readRows(radius, session, ref.nativeId);
  return isAccount(radius, rows) ? rows : undefined;
}

export async function requireRows(
  radius: RadiusContext,
  session: Session,
  ref: AccountRef,
  operation: string,
): Promise<Rows> {
  const rows = await lockedRows(radius, session, ref, operation);
  if (rows === undefined) throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  return rows;
}

export async function writeState(radius: RadiusContext, session: Session, login: string, state: string): Promise<void> {
  const table = radius.table('userGroups');
  const states = stateGroups(radius.config);
  await session.write(`delete from ${table} where username = $1 and groupname in ($2, $3, $4)`, [login, ...states]);
  await session.write(`insert into ${table} (username, groupname, priority) values ($1, $2, ${statePriority})`, [
    login,
    state,
  ]);
}

/** Every password row goes; the new one, if there is one, is a salted hash. */
export async function writePassword(
  radius: RadiusContext,
  session: Session,
  login: string,
  secret: Secret | undefined,
): Promise<void> {
  const table = radius.table('check');
  await session.write(`delete from ${table} where username = $1 and ${passwordRow}`, [login]);
  if (secret === undefined) return;
  const salt = randomBytes(16);
  const hash = createHash('sha512').update(secret.reveal()).update(salt).digest();
  await session.write(
    `insert into ${table} (username, attribute, op, value) values ($1, 'SSHA2-512-Password', ':=', $2)`,
    [login, Buffer.concat([hash, salt]).toString('base64')],
  );
}

export async function writeAttribute(
  radius: RadiusContext,
  session: Session,
  login: string,
  name: string,
  value: AttributeValue,
): Promise<void> {
  const known = radius.config.attributes[name];
  if (known === undefined) return;
  const table = radius.table(known.table);
  await session.write(`delete from ${table} where username = $1 and attribute = $2`, [login, known.attribute]);
  if (!sameValue(value, null)) {
    await session.write(`insert into ${table} (username, attribute, op, value) values ($1, $2, ':=', $3)`, [
      login,
      known.attribute,
      String(value),
    ]);
  }
}

/**
 * Refuses what is not mapped, what is required and empty, and values that FreeRADIUS would not take as they are: it runs a
 * value in back quotes as a program, expands one in quotes, reads a backslash as an escape, and holds 253 octets.
 */
export function requireAttributes(radius: RadiusContext, attributes: Attributes, operation: string): void {
  for (const [attribute, value] of Object.entries(attributes)) {
    const known = radius.config.attributes[attribute];
    const isEmpty = sameValue(value, null);
    const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    const fits =
      isEmpty || (text !== '' && !/^["'`]|[\\\u0000-\u001f\u007f]/.test(text) && Buffer.byteLength(text) <= 253);
    if (known === undefined || !fits || (isEmpty && known.required)) {
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
    }
  }
  const missing = Object.entries(radius.config.attributes).find(
    ([name, { required }]) => operation === 'create' && required && sameValue(attributes[name], null),
  );
  if (missing !== undefined) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: missing[0] });
  }
}

/** Two state rows that differ are half a cut: unknown. */
export function statusOf({ config }: RadiusContext, rows: Rows): AccountStatus {
  const held = new Set(rows.groups.filter((name) => stateGroups(config).includes(name)));
  if (held.size === 0 || (held.has(config.groups.admitted) && held.size > 1)) return 'unknown';
  return held.has(config.groups.admitted) ? 'enabled' : 'disabled';
}

export function observe(radius: RadiusContext, rows: Rows): ObservedAccount {
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, { table, attribute }] of Object.entries(radius.config.attributes)) {
    const values = rows[table].filter((one) => one.attribute === attribute).map((one) => one.value);
    const [first] = values;
    if (first !== undefined) attributes[name] = values.length === 1 ? first : values;
  }
  const states = stateGroups(radius.config);
  return {
    ref: { application: radius.application, objectClass: 'account', nativeId: rows.login },
    login: rows.login,
    status: statusOf(radius, rows),
    attributes,
    entitlements: [...new Set(rows.groups.filter((name) => !states.includes(name)))].sort(),
  };
}
