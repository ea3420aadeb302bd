import type { ListQuery, ObservedAccount, OperationContext, Page } from '../connector.js';
import type { ScimContext } from './client.js';
import { listOf, requireAccount } from './client.js';
import type { HttpAnswer } from '../shared/http/client.js';
import { groupsShown, observe } from './observe.js';
import type { PagePosition } from './paging.js';
import { decodeCursor, encodeCursor } from './paging.js';
import { asObject } from '../shared/http/json.js';

/** One page of users, by the server's cursors or by position; see Page for what `complete` promises. */
export async function listAccounts(
  scim: ScimContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const from = decodeCursor(query.cursor, 'list');
  return (await scim.features(ctx)).cursor ? listByToken(scim, query, from, ctx) : listByIndex(scim, query, from, ctx);
}

async function listByToken(
  scim: ScimContext,
  query: ListQuery,
  from: PagePosition,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  const answer = await readPage(scim, { cursor: from.token ?? '', count: String(query.pageSize) }, ctx);
  const items = listOf(answer)
    .slice(0, query.pageSize)
    .map((resource) => observe(scim, resource, groupsShown(resource)));
  const token = asObject(answer.body)['nextCursor'];
  return typeof token === 'string' && token !== ''
    ? { items, complete: false, next: encodeCursor({ ...from, token }) }
    : { items, complete: true };
}

/**
 * Pages by position move when users come or go. Each page therefore begins with the last user of the one before; when
 * that is not so, users may have been missed, and the list as a whole is not complete.
 */
async function listByIndex(
  scim: ScimContext,
  query: ListQuery,
  from: PagePosition,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  const overlap = from.last === undefined ? 0 : 1;
  const parameters = { startIndex: String(from.index - overlap), count: String(query.pageSize + overlap) };
  const answer = await readPage(scim, parameters, ctx);
  const all = listOf(answer);
  const matches = overlap === 0 || all[0]?.['id'] === from.last;
  const shifted = from.shifted === true || !matches;
  const resources = (matches ? all.slice(overlap) : all).slice(0, query.pageSize);
  const items = resources.map((resource) => observe(scim, resource, groupsShown(resource)));
  const total = asObject(answer.body)['totalResults'];
  const index = from.index + (matches ? resources.length : Math.max(0, resources.length - overlap));
  const last = items.at(-1)?.ref.nativeId;
  if (last !== undefined && last !== from.last && (typeof total !== 'number' || index <= total)) {
    return { items, complete: false, next: encodeCursor({ index, last, shifted }) };
  }
  return { items, complete: !shifted && (typeof total !== 'number' || index > total) };
}

async function readPage(
  scim: ScimContext,
  parameters: Readonly<Record<string, string>>,
  ctx: OperationContext,
): Promise<HttpAnswer> {
  const url = `${scim.baseUrl}/Users?${new URLSearchParams(parameters).toString()}`;
  return scim.http.send({ operation: 'list', method: 'GET', url, write: false }, ctx);
}
