import type { ListQuery, ObservedAccount, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { RealmContext } from './client.js';
import { admin, asList, textOf } from './client.js';
import { entitlementsOf } from './entitlements.js';
import { observe } from './users.js';
import { requireAccount } from '../shared/object-class.js';

interface Position {
  /** Of the last user of the page before. */
  readonly at: number;
  readonly last: string;
  /** Nobody can have slipped past so far. */
  readonly whole: boolean;
}

/**
 * Keycloak pages by position in the order of user names, and positions move when people come or go. Each page therefore
 * begins with the last user of the one before; when that does not fit, the list ends as not complete.
 */
export async function listAccounts(
  realm: RealmContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const from = query.cursor === undefined ? undefined : parseCursor(query.cursor);
  const overlap = from === undefined ? 0 : 1;
  const first = from?.at ?? 0;
  const paging = { first: String(first), max: String(query.pageSize + overlap + 1), briefRepresentation: 'false' };
  const users = asList((await admin(realm, { operation: 'list', path: '/users', query: paging }, ctx)).body);
  const fits = from === undefined || textOf(users[0]?.['id']) === from.last;
  const whole = (from?.whole ?? true) && fits;
  const page = users.slice(overlap, overlap + query.pageSize);
  const items = await Promise.all(
    page.map(async (user) =>
      observe(realm, user, await entitlementsOf(realm, textOf(user['id']), 'list', ctx), 'list', ctx),
    ),
  );
  if (users.length <= overlap + page.length) return { items, complete: whole };
  const next: Position = { at: first + overlap + page.length - 1, last: textOf(page.at(-1)?.['id']), whole };
  return { items, next: Buffer.from(JSON.stringify(next)).toString('base64url'), complete: false };
}

function parseCursor(cursor: string): Position {
  try {
    const { at, last, whole } = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as Partial<Position>;
    if (Number.isSafeInteger(at) && at !== undefined && typeof last === 'string' && typeof whole === 'boolean') {
      return { at, last, whole };
    }
  } catch {
    // Answered below.
  }
  throw new ConnectorError({ code: 'INVALID', operation: 'list', sent: false, targetCode: 'cursor' });
}
