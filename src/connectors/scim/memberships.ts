import type { OperationContext } from '../connector.js';
import type { HttpCall, Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { JsonObject } from '../shared/http/json.js';
import { listOf } from './answers.js';
import type { ScimContext } from './client.js';
import { search } from './client.js';
import { asArray, asText } from './paths.js';

/** Groups per request when all of them are read. */
const PAGE = 200;

/** The names of the groups that have this account as a member, read from the groups' side; undefined when that cannot be told. */
export async function entitlementsOf(
  scim: ScimContext,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<readonly string[] | undefined> {
  const groups = await groupsHolding(scim, nativeId, operation, ctx, send);
  return groups?.map((group) => asText(group['displayName'] ?? group['id']));
}

/** The groups themselves: by the filter of RFC 7644, 3.4.2.2, or, where the server has none for members, by reading all groups. */
export async function groupsHolding(
  scim: ScimContext,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<readonly JsonObject[] | undefined> {
  if (!scim.config.groups) {
    return undefined;
  }
  if (scim.quirks.memberFilter !== false) {
    const filter = `members.value eq ${JSON.stringify(nativeId)}`;
    return search(scim, 'Groups', filter, { operation, count: 1000, excluded: 'members' }, ctx, send);
  }
  const all = await allGroups(scim, operation, ctx, send);
  return all?.filter((group) => isMember(group, nativeId));
}

export function isMember(group: JsonObject, nativeId: string): boolean {
  return asArray(group['members']).some((member) => asObject(member)['value'] === nativeId);
}

/** Undefined when pages did not add up: then a group may have been missed, and nobody may conclude that it does not hold the account. */
async function allGroups(
  scim: ScimContext,
  operation: string,
  ctx: OperationContext,
  send: Send = (call, context, accept) => scim.http.send(call, context, accept),
): Promise<readonly JsonObject[] | undefined> {
  const found = new Map<string, JsonObject>();
  for (;;) {
    const query = new URLSearchParams({ startIndex: String(found.size + 1), count: String(PAGE) });
    const url = `${scim.baseUrl}/Groups?${query.toString()}`;
    const call: HttpCall = { operation, method: 'GET', url, write: false };
    const answer = await send(call, ctx);
    const before = found.size;
    for (const group of listOf(call, answer)) found.set(asText(group['id']), group);
    const total = asObject(answer.body)['totalResults'];
    if (typeof total !== 'number' || found.size >= total) return [...found.values()];
    if (found.size === before) return undefined;
  }
}
