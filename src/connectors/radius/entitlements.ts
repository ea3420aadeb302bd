import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Session } from '../shared/sql/client.js';
import type { RadiusContext } from './rows.js';
import { requireRows, stateGroups } from './rows.js';

const membersPerPage = 500;

/** A profile exists when its group has a check or a reply row; the groups that say how an account stands are none. */
async function requireProfile(radius: RadiusContext, session: Session, name: string, operation: string): Promise<void> {
  const text =
    `select 1 as known where exists (select 1 from ${radius.table('groupCheck')} where groupname = $1)` +
    ` or exists (select 1 from ${radius.table('groupReply')} where groupname = $1)`;
  if (stateGroups(radius.config).includes(name) || (await session.read(text, [name])).length === 0) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'entitlement' });
  }
}

/** Adds or removes one profile row. The account and the profile must exist; a missing profile is INVALID. */
export async function changeProfile(
  radius: RadiusContext,
  group: EntitlementRef,
  ref: AccountRef,
  wanted: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = wanted ? 'addMember' : 'removeMember';
  return radius.database.transaction(operation, ctx, async (session) => {
    await requireProfile(radius, session, group.name, operation);
    const rows = await requireRows(radius, session, ref, operation);
    if (rows.groups.includes(group.name) === wanted) return { outcome: 'already-in-state', ref, changed: [] };
    const table = radius.table('userGroups');
    const text = wanted
      ? `insert into ${table} (username, groupname, priority) values ($1, $2, 1)`
      : `delete from ${table} where username = $1 and groupname = $2`;
    await session.write(text, [rows.login, group.name]);
    const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [group.name] } as const;
    return { outcome: 'applied', ref, changed: [change] };
  });
}

/** One page of the accounts that have a profile, by user name. */
export async function listMembers(
  radius: RadiusContext,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const found = await radius.database.reading('listMembers', ctx, async (session) => {
    await requireProfile(radius, session, group.name, 'listMembers');
    const table = radius.table('userGroups');
    const text =
      `select distinct g.username as login from ${table} g join ${table} s on s.username = g.username` +
      ` where g.groupname = $1 and s.groupname in ($2, $3, $4) and g.username > $5 order by 1 limit ${membersPerPage + 1}`;
    return session.read(text, [group.name, ...stateGroups(radius.config), cursor ?? '']);
  });
  const items = found.slice(0, membersPerPage).map((row) => ({
    application: radius.application,
    objectClass: 'account',
    nativeId: String(row['login']),
  }));
  const last = items.at(-1);
  return found.length > membersPerPage && last !== undefined
    ? { items, complete: false, next: last.nativeId }
    : { items, complete: true };
}
