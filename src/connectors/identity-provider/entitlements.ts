import type { AccountRef, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { Json } from '../shared/http/json.js';
import type { AdminCall, RealmContext } from './client.js';
import { admin, asList, refOf, requireUser, textOf, userPath } from './client.js';

const PAGE = 100;

type Entitlement =
  | { readonly kind: 'group'; readonly path: string }
  | { readonly kind: 'realm-role'; readonly role: string }
  | { readonly kind: 'client-role'; readonly client: string; readonly role: string };

/** Where a found entitlement is at the server: how it is given, taken, and who has it. */
interface Place {
  readonly give: (nativeId: string) => Omit<AdminCall, 'operation'>;
  readonly take: (nativeId: string) => Omit<AdminCall, 'operation'>;
  readonly holders: string;
}

/** `group:/staff/it`, `realm-role:auditor`, `client-role:CLIENT/ROLE`; whatever is not configured is INVALID. */
function parse(realm: RealmContext, name: string, operation: string): Entitlement {
  const { groups, realmRoles, clientRoles } = realm.config.entitlements;
  const [, kind, rest = ''] = /^(group|realm-role|client-role):(.+)$/s.exec(name) ?? [];
  if (kind === 'group' && groups && rest.startsWith('/')) return { kind, path: rest };
  if (kind === 'realm-role' && realmRoles) return { kind, role: rest };
  const client = clientRoles.find((candidate) => rest.startsWith(`${candidate}/`));
  if (kind === 'client-role' && client !== undefined) return { kind, client, role: rest.slice(client.length + 1) };
  throw new ConnectorError({ code: 'INVALID', operation, sent: false, targetCode: 'no-such-entitlement' });
}

async function place(realm: RealmContext, name: string, operation: string, ctx: OperationContext): Promise<Place> {
  const wanted = parse(realm, name, operation);
  switch (wanted.kind) {
    case 'group': {
      const id = encodeURIComponent(await found(realm, `/group-by-path${encodePath(wanted.path)}`, operation, ctx));
      const path = (nativeId: string): string => userPath(nativeId, `/groups/${id}`);
      return {
        give: (nativeId) => ({ method: 'PUT', path: path(nativeId) }),
        take: (nativeId) => ({ method: 'DELETE', path: path(nativeId) }),
        holders: `/groups/${id}/members`,
      };
    }
    case 'realm-role': {
      const path = `/roles/${encodeURIComponent(wanted.role)}`;
      const id = await found(realm, path, operation, ctx);
      return rolePlace('/role-mappings/realm', [{ id, name: wanted.role }], `${path}/users`);
    }
    case 'client-role': {
      const client = await clientUuid(realm, wanted.client, operation, ctx);
      const path = `/clients/${client}/roles/${encodeURIComponent(wanted.role)}`;
      const id = await found(realm, path, operation, ctx);
      return rolePlace(`/role-mappings/clients/${client}`, [{ id, name: wanted.role }], `${path}/users`);
    }
  }
}

function rolePlace(mappings: string, body: Json, holders: string): Place {
  return {
    give: (nativeId) => ({ method: 'POST', path: userPath(nativeId, mappings), body }),
    take: (nativeId) => ({ method: 'DELETE', path: userPath(nativeId, mappings), body }),
    holders,
  };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The id of what is at this path; nothing there is INVALID: policy names what the server does not have. */
async function found(realm: RealmContext, path: string, operation: string, ctx: OperationContext): Promise<string> {
  const answer = await admin(realm, { operation, path }, ctx, { accept: [404] });
  const id = asObject(answer.body)['id'];
  if (answer.status === 404 || typeof id !== 'string') {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, targetCode: 'no-such-entitlement' });
  }
  return id;
}

async function clientUuid(
  realm: RealmContext,
  clientId: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<string> {
  const options = send === undefined ? {} : { send };
  const answer = await admin(realm, { operation, path: '/clients', query: { clientId } }, ctx, options);
  const id = asList(answer.body).find((client) => client['clientId'] === clientId)?.['id'];
  if (typeof id !== 'string') {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, targetCode: 'no-such-client' });
  }
  return id;
}

/**
 * What an account holds of the configured kinds, given to itself: what a group or a composite role brings along is that
 * one's affair. Each kind is asked for at an address that refuses who may not see it: the combined list would leave it out.
 */
export async function entitlementsOf(
  realm: RealmContext,
  nativeId: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<readonly string[] | undefined> {
  const { groups, realmRoles, clientRoles } = realm.config.entitlements;
  if (!groups && !realmRoles && clientRoles.length === 0) return undefined;
  const options = { accept: [404], ...(send === undefined ? {} : { send }) };
  const names: string[] = [];
  for (let first = 0; groups; first += PAGE) {
    const query = { first: String(first), max: String(PAGE), briefRepresentation: 'true' };
    const answer = await admin(realm, { operation, path: userPath(nativeId, '/groups'), query }, ctx, options);
    const page = asList(answer.body);
    names.push(...page.map((group) => `group:${textOf(group['path'])}`));
    if (page.length < PAGE) break;
  }
  if (realmRoles) {
    const answer = await admin(realm, { operation, path: userPath(nativeId, '/role-mappings/realm') }, ctx, options);
    names.push(...asList(answer.body).map((role) => `realm-role:${textOf(role['name'])}`));
  }
  for (const client of clientRoles) {
    const uuid = await clientUuid(realm, client, operation, ctx, send);
    const path = userPath(nativeId, `/role-mappings/clients/${uuid}`);
    const answer = await admin(realm, { operation, path }, ctx, options);
    names.push(...asList(answer.body).map((role) => `client-role:${client}/${textOf(role['name'])}`));
  }
  return names;
}

export async function listMembers(
  realm: RealmContext,
  group: EntitlementRef,
  cursor: string | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const operation = 'listMembers';
  const { holders } = await place(realm, group.name, operation, ctx);
  const first = Number(cursor ?? '0');
  if (!Number.isSafeInteger(first) || first < 0) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, targetCode: 'cursor' });
  }
  const query = { first: String(first), max: String(PAGE), briefRepresentation: 'true' };
  const page = asList((await admin(realm, { operation, path: holders, query }, ctx)).body);
  const items = page.map((user) => refOf(realm, textOf(user['id'])));
  if (page.length === PAGE) return { items, next: String(first + PAGE), complete: false };
  // Positions move while people come and go: only a list of one page is known to miss nobody.
  return { items, complete: first === 0 };
}

/** Gives (`held`) or takes an entitlement in one request; the server accepts both twice. */
export async function setMember(
  realm: RealmContext,
  group: EntitlementRef,
  ref: AccountRef,
  held: boolean,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  const target = await place(realm, group.name, operation, ctx);
  await requireUser(realm, ref, operation, ctx);
  const holds = (await entitlementsOf(realm, ref.nativeId, operation, ctx))?.includes(group.name) === true;
  if (holds === held) return { outcome: 'already-in-state', ref, changed: [] };
  const call = held ? target.give(ref.nativeId) : target.take(ref.nativeId);
  await admin(realm, { ...call, operation }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}
