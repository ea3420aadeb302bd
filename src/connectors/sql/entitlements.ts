import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import type { SqlConfig } from './config.js';
import { place } from '../shared/sql/dialect.js';
import { callProcedure, lockedRow } from './rows.js';
import { observeRow } from './statements.js';
import { requireAccount } from '../shared/object-class.js';

type Entitlements = NonNullable<SqlConfig['entitlements']>;
const membersPerPage = 500;

/** Adds or removes one role row. The account and the role must exist; a missing role is INVALID. */
export async function changeRole(
  sql: SqlContext,
  entitlements: Entitlements,
  group: EntitlementRef,
  ref: AccountRef,
  wanted: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = wanted ? 'addMember' : 'removeMember';
  requireAccount(ref.objectClass, operation);
  return sql.database.transaction(operation, ctx, async (session) => {
    await requireRole(sql, entitlements, group, session, operation);
    const row = await lockedRow(sql, session, ref, operation);
    if (row === undefined) {
      throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
    }
    const held = observeRow(sql.application, sql.config, row).entitlements?.includes(group.name) === true;
    if (held === wanted) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    const given = { login: String(row['login']), nativeId: ref.nativeId, role: group.name };
    if (!(await callProcedure(sql, session, operation, given, ctx))) {
      const { table, account, role } = names(sql, entitlements);
      // The row is locked, and every change of its roles locks it first: there is nothing to collide with.
      const text = wanted
        ? `insert into ${table} (${account}, ${role}) values (${place(1)}, ${place(2)})`
        : `delete from ${table} where ${account} = ${place(1)} and ${role} = ${place(2)}`;
      await session.write(text, [ref.nativeId, group.name]);
    }
    const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [group.name] } as const;
    return { outcome: 'applied', ref, changed: [change] };
  });
}

async function requireRole(
  sql: SqlContext,
  entitlements: Entitlements,
  group: EntitlementRef,
  session: Session,
  operation: string,
): Promise<void> {
  const { catalog } = entitlements;
  if (catalog === undefined) {
    return;
  }
  const q = sql.dialect.quote;
  const from = sql.statements.qualified(catalog.table);
  const text = `select 1 as known from ${from} where ${q(catalog.role)} = ${place(1)}`;
  if ((await session.read(text, [group.name])).length === 0) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'entitlement' });
  }
}

/** One page of the accounts that have a role, by account key. */
export async function listMembers(
  sql: SqlContext,
  entitlements: Entitlements,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const { table, account, role } = names(sql, entitlements);
  const rows = await sql.database.reading('listMembers', ctx, async (session) => {
    await requireRole(sql, entitlements, group, session, 'listMembers');
    const after = cursor === undefined ? '' : ` and ${account} > ${place(2)}`;
    const text =
      `select ${sql.dialect.read.string(account)} as native_id from ${table} where ${role} = ${place(1)}${after}` +
      ` order by ${account} ${sql.dialect.limit(membersPerPage + 1)}`;
    return session.read(text, [group.name, ...(cursor === undefined ? [] : [cursor])]);
  });
  const items = rows.slice(0, membersPerPage).map((row) => ({
    application: sql.application,
    objectClass: 'account',
    nativeId: String(row['native_id']),
  }));
  const last = items.at(-1);
  return rows.length > membersPerPage && last !== undefined
    ? { items, complete: false, next: last.nativeId }
    : { items, complete: true };
}

/** The roles of an account, from the role table's side. */
export async function rolesOf(
  sql: SqlContext,
  session: Session,
  nativeId: string,
): Promise<readonly string[] | undefined> {
  const text = sql.statements.rolesOfAccount;
  return text === undefined ? undefined : (await session.read(text, [nativeId])).map((row) => String(row['role']));
}

function names(sql: SqlContext, entitlements: Entitlements): { table: string; account: string; role: string } {
  const q = sql.dialect.quote;
  return {
    table: sql.statements.qualified(entitlements.table),
    account: q(entitlements.account),
    role: q(entitlements.role),
  };
}
