import type {
  AccountRef,
  CorrelationKey,
  ExpectedState,
  ListQuery,
  ObservedAccount,
  OperationContext,
  Page,
  TargetSchema,
  Verification,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { compareState } from '../shared/compare.js';
import type { Session } from '../shared/sql/client.js';
import { requireAccount } from '../shared/object-class.js';
import { loginsBy } from './accounts.js';
import type { RadiusContext } from './rows.js';
import { isAccount, isLogin, observe, readRows, stateGroups } from './rows.js';

/** One page by user name, so rows that come or go between pages disturb nothing. */
export async function listAccounts(
  radius: RadiusContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  return radius.database.reading('list', ctx, async (session) => {
    const text =
      `select distinct username as login from ${radius.table('userGroups')} where groupname in ($1, $2, $3)` +
      ` and username > $4 order by 1 limit ${Math.trunc(query.pageSize) + 1}`;
    const found = await session.read(text, [...stateGroups(radius.config), query.cursor ?? '']);
    const logins = found.slice(0, query.pageSize).map((row) => String(row['login']));
    const items: ObservedAccount[] = [];
    for (const login of logins) items.push(observe(radius, await readRows(radius, session, login)));
    const last = logins.at(-1);
    return found.length > query.pageSize && last !== undefined
      ? { items, complete: false, next: last }
      : { items, complete: true };
  });
}

export async function getAccount(
  radius: RadiusContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, 'get');
  return radius.database.reading('get', ctx, (session) => accountOf(radius, session, ref.nativeId));
}

async function accountOf(radius: RadiusContext, session: Session, login: string): Promise<ObservedAccount | undefined> {
  if (!isLogin(login)) return undefined;
  const rows = await readRows(radius, session, login);
  return isAccount(radius, rows) ? observe(radius, rows) : undefined;
}

export async function findAccounts(
  radius: RadiusContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  if (by.attribute !== 'login' && radius.config.attributes[by.attribute] === undefined) {
    throw new ConnectorError({ code: 'INVALID', operation: 'find', sent: false, attribute: by.attribute });
  }
  return radius.database.reading('find', ctx, async (session) => {
    const logins = by.attribute === 'login' ? [by.value] : await loginsBy(radius, session, by.attribute, by.value);
    const found: ObservedAccount[] = [];
    for (const login of logins) {
      const account = await accountOf(radius, session, login);
      if (account !== undefined) found.push(account);
    }
    return found;
  });
}

/** Reads on a connection that never writes, the rows that FreeRADIUS itself reads. */
export async function verify(
  radius: RadiusContext,
  expected: ExpectedState,
  ctx: OperationContext,
): Promise<Verification> {
  requireAccount(expected.ref.objectClass, 'verify');
  return radius.database.verifying('verify', ctx, async (session) =>
    compareState(expected, await accountOf(radius, session, expected.ref.nativeId), 'radius:second-connection'),
  );
}

export function schemaOf({ config }: RadiusContext): TargetSchema {
  const text = { type: 'string', writable: true } as const;
  const attributes = Object.entries(config.attributes).map(([name, { required }]) => ({ name, required, ...text }));
  return {
    objectClasses: [
      {
        name: 'account',
        attributes: [{ name: 'login', type: 'string', required: true, writable: false }, ...attributes],
      },
    ],
  };
}
