import type { ListQuery, ObservedAccount, OperationContext, Page } from '../connector.js';
import type { ScimContext } from './client.js';
import { listOf } from './answers.js';
import type { HttpAnswer, HttpCall } from '../shared/http/client.js';
import { groupsShown, observe } from './observe.js';
import type { PagePosition } from './paging.js';
import { decodeCursor, encodeCursor } from './paging.js';
import { asObject } from '../shared/http/json.js';
import type { JsonObject } from '../shared/http/json.js';
import { requireAccount } from '../shared/object-class.js';

/** One page of users, by the server's cursors or by position; see Page for what `complete` promises. */
export async function listAccounts(
  scim: ScimContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const from = decodeCursor(query.cursor, 'list');
  if (scim.quirks.startIndex === false) {
    return listWhole(scim, query, from, ctx);
  }
  return (await scim.features(ctx)).cursor ? listByToken(scim, query, from, ctx) : listByIndex(scim, query, from, ctx);
}

async function listByToken(
  scim: ScimContext,
  query: ListQuery,
  from: PagePosition,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  const { answer, resources } = await readPage(scim, { cursor: from.token ?? '', count: String(query.pageSize) }, ctx);
  const items = resources.slice(0, query.pageSize).map((resource) => observe(scim, resource, groupsShown(resource)));
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
  const { answer, resources: all } = await readPage(scim, parameters, ctx);
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

/** How many users a server that knows no position is asked for. */
const WHOLE = 100_000;

/** For servers that ignore positions: the whole list is read for each page, so a change between pages shows in the count only. */
async function listWhole(
  scim: ScimContext,
  query: ListQuery,
  from: PagePosition,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  const { answer, resources } = await readPage(scim, { count: String(WHOLE) }, ctx);
  const announced = asObject(answer.body)['totalResults'];
  const total = resources.length;
  const shifted =
    from.shifted === true ||
    (typeof announced === 'number' && announced > total) ||
    (from.total !== undefined && from.total !== total);
  const items = resources
    .slice(from.index - 1, from.index - 1 + query.pageSize)
    .map((resource) => observe(scim, resource, groupsShown(resource)));
  const index = from.index + items.length;
  return index <= total && items.length > 0
    ? { items, complete: false, next: encodeCursor({ index, total, shifted }) }
    : { items, complete: !shifted };
}

async function readPage(
  scim: ScimContext,
  parameters: Readonly<Record<string, string>>,
  ctx: OperationContext,
): Promise<{ readonly answer: HttpAnswer; readonly resources: readonly JsonObject[] }> {
  const url = `${scim.baseUrl}/Users?${new URLSearchParams(parameters).toString()}`;
  const call: HttpCall = { operation: 'list', method: 'GET', url, write: false };
  const answer = await scim.http.send(call, ctx);
  return { answer, resources: listOf(call, answer) };
}
