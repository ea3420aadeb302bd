import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  MutationResult,
  OperationContext,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { Session } from '../shared/sql/client.js';
import { requireAccount } from '../shared/object-class.js';
import type { RadiusContext } from './rows.js';
import {
  isLogin,
  lockedRows,
  lockName,
  observe,
  readRows,
  isAccount,
  requireAttributes,
  requireRows,
  stateGroups,
  statusOf,
  writeAttribute,
  writePassword,
  writeState,
} from './rows.js';

/**
 * Gives a user name its group row and attributes, in one transaction. The row that carries Tenure's key is adopted; rows of
 * the name that are somebody else's make it ALREADY_EXISTS, so that no leftover password or right is taken over.
 */
export async function createAccount(
  radius: RadiusContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  if (!isLogin(spec.login)) {
    throw new ConnectorError({ code: 'INVALID', operation: 'create', sent: false, attribute: 'login' });
  }
  const { adoptionKey, groups } = radius.config;
  const attributes: Attributes = { [adoptionKey]: ctx.idempotencyKey, ...spec.attributes };
  requireAttributes(radius, attributes, 'create');
  const refOf = (nativeId: string): AccountRef => ({
    application: radius.application,
    objectClass: 'account',
    nativeId,
  });
  return radius.database.transaction('create', ctx, async (session) => {
    await lockName(radius, session, spec.login, 'create');
    const [adopted] = await loginsBy(radius, session, adoptionKey, String(attributes[adoptionKey]));
    if (adopted !== undefined) return { outcome: 'already-in-state', ref: refOf(adopted), changed: [] };
    const rows = await readRows(radius, session, spec.login);
    if (rows.groups.length + rows.check.length + rows.reply.length > 0) {
      const ref = isAccount(radius, rows) ? refOf(spec.login) : undefined;
      throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: false, attribute: 'login', ref });
    }
    await writeState(radius, session, spec.login, spec.enabled ? groups.admitted : groups.denied);
    for (const [name, value] of Object.entries(attributes))
      await writeAttribute(radius, session, spec.login, name, value);
    const changed = Object.entries(attributes).map(([attribute, value]) => ({
      attribute,
      op: 'replace' as const,
      value,
    }));
    return { outcome: 'applied', ref: refOf(spec.login), changed };
  });
}

/** Accounts whose mapped attribute has exactly this value. */
export async function loginsBy(
  radius: RadiusContext,
  session: Session,
  name: string,
  value: string,
): Promise<readonly string[]> {
  const known = radius.config.attributes[name];
  if (known === undefined) return [];
  const text =
    `select distinct g.username as login from ${radius.table('userGroups')} g join ${radius.table(known.table)} a` +
    ` on a.username = g.username where a.attribute = $1 and a.value = $2 and g.groupname in ($3, $4, $5) order by 1 limit 100`;
  const rows = await session.read(text, [known.attribute, value, ...stateGroups(radius.config)]);
  return rows.map((row) => String(row['login']));
}

/** Writes what really changes of the attributes; the user name is the account's identity and stays. */
export async function updateAccount(
  radius: RadiusContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  return radius.database.transaction('update', ctx, async (session) => {
    const rows = await requireRows(radius, session, ref, 'update');
    const changes = effectiveDeltas({ ...observe(radius, rows).attributes, login: rows.login }, deltas);
    if (changes.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
    requireAttributes(radius, Object.fromEntries(changes.map(({ attribute, value }) => [attribute, value])), 'update');
    for (const { attribute, value } of changes) await writeAttribute(radius, session, rows.login, attribute, value);
    return { outcome: 'applied', ref, changed: changes };
  });
}

/**
 * Opens or closes by the group row. Opening a sealed account of the directory takes Tenure's password row away: the
 * directory's password counts again.
 */
export async function setEnabled(
  radius: RadiusContext,
  ref: AccountRef,
  enabled: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = enabled ? 'enable' : 'disable';
  return radius.database.transaction(operation, ctx, async (session) => {
    const rows = await requireRows(radius, session, ref, operation);
    if (statusOf(radius, rows) === (enabled ? 'enabled' : 'disabled')) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const { groups, passwords, localLogins } = radius.config;
    await writeState(radius, session, rows.login, enabled ? groups.admitted : groups.denied);
    const isDirectorys = passwords === 'directory' && !localLogins.includes(rows.login);
    if (enabled && isDirectorys && rows.groups.includes(groups.sealed)) {
      await writePassword(radius, session, rows.login, undefined);
    }
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** A password row that only Tenure knows goes before the directory's, and the account is denied: one transaction. Always writes. */
export async function sealAccount(
  radius: RadiusContext,
  ref: AccountRef,
  secret: Secret,
  ctx: OperationContext,
): Promise<MutationResult & { readonly atomic: boolean }> {
  return radius.database.transaction('seal', ctx, async (session) => {
    const rows = await requireRows(radius, session, ref, 'seal');
    await writeState(radius, session, rows.login, radius.config.groups.sealed);
    await writePassword(radius, session, rows.login, secret);
    return { outcome: 'applied', ref, changed: [], atomic: true };
  });
}

/** Sets the password row; `before` runs first, so that a failing hand-over changes nothing. */
export async function setSecret(
  radius: RadiusContext,
  ref: AccountRef,
  secret: Secret,
  operation: string,
  ctx: OperationContext,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<MutationResult> {
  return radius.database.transaction(operation, ctx, async (session) => {
    const rows = await requireRows(radius, session, ref, operation);
    await before();
    await writePassword(radius, session, rows.login, secret);
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** Removes every row of the user name: nothing is left for a later owner of the name. */
export async function deleteAccount(
  radius: RadiusContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  return radius.database.transaction('delete', ctx, async (session) => {
    const rows = await lockedRows(radius, session, ref, 'delete');
    if (rows === undefined) return { outcome: 'already-in-state', ref, changed: [] };
    for (const table of ['userGroups', 'check', 'reply'] as const) {
      await session.write(`delete from ${radius.table(table)} where username = $1`, [rows.login]);
    }
    const held = observe(radius, rows).entitlements ?? [];
    return { outcome: 'applied', ref, changed: [{ attribute: 'entitlements', op: 'remove', value: held }] };
  });
}
