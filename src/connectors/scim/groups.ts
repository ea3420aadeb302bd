import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Send } from '../shared/http/client.js';
import type { ScimContext } from './client.js';
import { readUser, refOf, requireAccount, search } from './client.js';
import { decodeCursor, encodeCursor } from './paging.js';
import type { JsonObject } from '../shared/http/json.js';
import { asObject } from '../shared/http/json.js';
import { asArray, asText, groupUrn } from './paths.js';

/** The names of the groups that have this account as a member, read from the groups' side; undefined without groups. */
export async function entitlementsOf(
  scim: ScimContext,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<readonly string[] | undefined> {
  if (!scim.config.groups) {
    return undefined;
  }
  const filter = `members.value eq ${JSON.stringify(nativeId)}`;
  const groups = await search(scim, 'Groups', filter, { operation, count: 1000, excluded: 'members' }, ctx, send);
  return groups.map((group) => asText(group['displayName'] ?? group['id']));
}

/** A group by display name, or by id when no group has that name. Missing = INVALID (NOT_FOUND is for accounts). */
async function requireGroup(
  scim: ScimContext,
  group: EntitlementRef,
  operation: string,
  ctx: OperationContext,
): Promise<string> {
  const filter = `displayName eq ${JSON.stringify(group.name)}`;
  const found = await search(scim, 'Groups', filter, { operation, count: 2, excluded: 'members' }, ctx);
  if (found.length > 1) {
    throw new ConnectorError({
      code: 'CONFLICT',
      operation,
      sent: false,
      attribute: 'entitlement',
      targetCode: 'two-groups',
    });
  }
  const id = found[0]?.['id'];
  if (typeof id === 'string') {
    return id;
  }
  const answer = await scim.http.send(
    { operation, method: 'GET', url: `${groupUrl(scim, group.name)}?excludedAttributes=members`, write: false },
    ctx,
    [400, 404, 410],
  );
  if (answer.status >= 400) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'entitlement' });
  }
  return group.name;
}

export async function addMember(
  scim: ScimContext,
  group: EntitlementRef,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  return changeMember(scim, group, ref, true, ctx);
}

export async function removeMember(
  scim: ScimContext,
  group: EntitlementRef,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  return changeMember(scim, group, ref, false, ctx);
}

async function changeMember(
  scim: ScimContext,
  group: EntitlementRef,
  ref: AccountRef,
  wanted: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = wanted ? 'addMember' : 'removeMember';
  requireAccount(ref.objectClass, operation);
  const id = await requireGroup(scim, group, operation, ctx);
  const filter = `id eq ${JSON.stringify(id)} and members.value eq ${JSON.stringify(ref.nativeId)}`;
  const held = await search(scim, 'Groups', filter, { operation, count: 1, excluded: 'members' }, ctx);
  if (held.length > 0 === wanted) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  if (wanted && (await readUser(scim, ref.nativeId, operation, ctx)) === undefined) {
    // Some servers take members that do not exist.
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  await writeMember(scim, id, ref.nativeId, wanted, operation, ctx);
  const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [group.name] } as const;
  return { outcome: 'applied', ref, changed: [change] };
}

async function writeMember(
  scim: ScimContext,
  groupId: string,
  nativeId: string,
  wanted: boolean,
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  const url = groupUrl(scim, groupId);
  if (!(await scim.features(ctx)).patch) {
    const group = asObject((await scim.http.send({ operation, method: 'GET', url, write: false }, ctx)).body);
    await scim.http.send(
      { operation, method: 'PUT', url, body: withMember(group, nativeId, wanted), write: true },
      ctx,
    );
    return;
  }
  const change = wanted
    ? { op: 'add', path: 'members', value: [{ value: nativeId }] }
    : { op: 'remove', path: `members[value eq ${JSON.stringify(nativeId)}]` };
  const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [change] };
  await scim.http.send({ operation, method: 'PATCH', url, body, write: true }, ctx);
}

function withMember(group: JsonObject, nativeId: string, wanted: boolean): JsonObject {
  const others = asArray(group['members']).filter((member) => asObject(member)['value'] !== nativeId);
  const { meta: _meta, ...rest } = group;
  return { ...rest, schemas: [groupUrn], members: wanted ? [...others, { value: nativeId }] : others };
}

/** Members of a group, 200 at a time. The server gives them all at once, so a change between pages is noticed by count. */
export async function listMembers(
  scim: ScimContext,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const id = await requireGroup(scim, group, 'listMembers', ctx);
  const answer = await scim.http.send(
    { operation: 'listMembers', method: 'GET', url: groupUrl(scim, id), write: false },
    ctx,
  );
  const members = asArray(asObject(answer.body)['members']).map((member) => asText(asObject(member)['value']));
  const from = decodeCursor(cursor, 'listMembers');
  const items = members.slice(from.index - 1, from.index - 1 + 200).map((nativeId) => refOf(scim, nativeId));
  const shifted = from.shifted === true || (from.total !== undefined && from.total !== members.length);
  const index = from.index + items.length;
  return index <= members.length
    ? { items, complete: false, next: encodeCursor({ index, total: members.length, shifted }) }
    : { items, complete: !shifted };
}

function groupUrl(scim: ScimContext, id: string): string {
  return `${scim.baseUrl}/Groups/${encodeURIComponent(id)}`;
}
