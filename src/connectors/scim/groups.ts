import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { HttpCall } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { JsonObject } from '../shared/http/json.js';
import { resourceRead, writtenResource } from './answers.js';
import type { BulkStep } from './bulk.js';
import type { Current, ScimContext } from './client.js';
import { currentOf, ifMatch, readUser, refOf, search } from './client.js';
import { isMember } from './memberships.js';
import { decodeCursor, encodeCursor } from './paging.js';
import { patchBody } from './patch.js';
import { asArray, asText, groupUrn } from './paths.js';
import type { QuirkFlags } from './quirks.js';
import { requireAccount } from '../shared/object-class.js';

/** A group by display name, or by id when no group has that name. Missing = INVALID (NOT_FOUND is for accounts). */
async function requireGroup(
  scim: ScimContext,
  group: EntitlementRef,
  operation: string,
  ctx: OperationContext,
): Promise<string> {
  const filter = `displayName eq ${JSON.stringify(group.name)}`;
  const options = { operation, count: 2, excluded: 'members' };
  const found = (await search(scim, 'Groups', filter, options, ctx)).filter(
    ({ displayName }) => asText(displayName).toLowerCase() === group.name.toLowerCase(),
  );
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
  const way = await groupWriteOf(scim, ctx);
  const whole = way === 'put' || scim.quirks.memberFilter === false;
  // The version is read before the membership, so that whoever writes in between makes the write below a CONFLICT.
  const versioned = whole || (await scim.features(ctx)).etag;
  const current: Current = versioned
    ? await readGroup(scim, id, whole, operation, ctx)
    : { resource: {}, version: undefined };
  const held = whole ? isMember(current.resource, ref.nativeId) : await holds(scim, id, ref.nativeId, operation, ctx);
  if (held === wanted) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const user = wanted || way === 'user' ? await readUser(scim, ref.nativeId, operation, ctx) : undefined;
  if (wanted && user === undefined) {
    // Some servers take members that do not exist.
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  const step = memberStep(scim, way, id, current, ref.nativeId, wanted);
  const version = way === 'user' ? user?.version : current.version;
  const call: HttpCall = {
    operation,
    method: step.method,
    url: `${scim.baseUrl}${step.path}`,
    ...(step.data === undefined ? {} : { body: step.data }),
    write: true,
    ...(await ifMatch(scim, version, ctx)),
  };
  writtenResource(call, await scim.http.send(call, ctx));
  const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [group.name] } as const;
  return { outcome: 'applied', ref, changed: [change] };
}

async function holds(
  scim: ScimContext,
  id: string,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
): Promise<boolean> {
  const filter = `id eq ${JSON.stringify(id)} and members.value eq ${JSON.stringify(nativeId)}`;
  const held = await search(scim, 'Groups', filter, { operation, count: 1, excluded: 'members' }, ctx);
  return held.some((group) => group['id'] === id);
}

type GroupWrite = NonNullable<QuirkFlags['groupWrite']>;

export async function groupWriteOf(scim: ScimContext, ctx: OperationContext): Promise<GroupWrite> {
  return scim.quirks.groupWrite ?? ((await scim.features(ctx)).patch ? 'patch' : 'put');
}

/** The one write that changes a membership; `current` is the whole group when the way is PUT. */
export function memberStep(
  scim: ScimContext,
  way: GroupWrite,
  groupId: string,
  current: Current,
  nativeId: string,
  wanted: boolean,
): BulkStep {
  const path = `/Groups/${encodeURIComponent(groupId)}`;
  const remove = (list: string, value: string) =>
    ({ op: 'remove', path: `${list}[value eq ${JSON.stringify(value)}]` }) as const;
  switch (way) {
    case 'put':
      return { method: 'PUT', path, data: withMember(current.resource, nativeId, wanted), version: current.version };
    case 'user': {
      const change = wanted
        ? ({ op: 'add', path: 'groups', value: [{ value: groupId }] } as const)
        : remove('groups', groupId);
      return {
        method: 'PATCH',
        path: `/Users/${encodeURIComponent(nativeId)}`,
        data: patchBody(scim.quirks, [change]),
      };
    }
    case 'patch': {
      const change = wanted
        ? ({ op: 'add', path: 'members', value: [{ value: nativeId }] } as const)
        : remove('members', nativeId);
      return { method: 'PATCH', path, data: patchBody(scim.quirks, [change]), version: current.version };
    }
  }
}

function withMember(group: JsonObject, nativeId: string, wanted: boolean): JsonObject {
  const others = asArray(group['members']).filter((member) => asObject(member)['value'] !== nativeId);
  const { meta: _meta, ...rest } = group;
  return { ...rest, schemas: [groupUrn], members: wanted ? [...others, { value: nativeId }] : others };
}

/** A group with its version; `whole`: with all its members, asked for by name where the server shows them on request only (RFC 7643, 7, `returned`). */
export async function readGroup(
  scim: ScimContext,
  id: string,
  whole: boolean,
  operation: string,
  ctx: OperationContext,
): Promise<Current> {
  const get = async (query: string): Promise<Current> => {
    const call: HttpCall = { operation, method: 'GET', url: `${groupUrl(scim, id)}${query}`, write: false };
    const answer = await scim.http.send(call, ctx);
    return currentOf(resourceRead(call, answer, id), answer);
  };
  if (!whole) {
    return get('?excludedAttributes=members');
  }
  const current = await get('');
  if (current.resource['members'] !== undefined) {
    return current;
  }
  const { members } = (await get('?attributes=members')).resource;
  return members === undefined ? current : { ...current, resource: { ...current.resource, members } };
}

/** Members of a group, 200 at a time. The server gives them all at once, so a change between pages is noticed by count. */
export async function listMembers(
  scim: ScimContext,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const id = await requireGroup(scim, group, 'listMembers', ctx);
  const { resource } = await readGroup(scim, id, true, 'listMembers', ctx);
  const members = asArray(resource['members']).map((member) => asText(asObject(member)['value']));
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
