import SCIMMY from 'scimmy';
import type { ScimJson, ScimStore, StoredGroup, StoredUser } from './scim-store.js';
import { NameTakenError } from './scim-store.js';

/** What the handlers get with each request; scimmy's resource classes are global, the store is not. */
export interface ScimRequestContext {
  readonly store: ScimStore;
  /** The client excluded members: they are not even read, for groups of thousands. */
  readonly withoutMembers?: boolean;
}

type Handled = { readonly id?: string; readonly filter?: unknown; readonly attributes?: unknown };

/** scimmy answers 404 for any plain error of a handler, so a database failure must be said in its own words. */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SCIMMY.Types.Error) {
      throw error;
    }
    if (error instanceof NameTakenError) {
      throw scimError(409, 'uniqueness', 'the name is taken');
    }
    throw scimError(500, '', 'the store failed');
  }
}

export function scimError(status: number, scimType: string, message: string): Error {
  return new SCIMMY.Types.Error(status, scimType, message);
}

/** The part of scimmy's resource classes used here, without their schema types: the store speaks plain JSON. */
interface ResourceClass {
  ingress(
    handler: (resource: Handled, instance: ScimJson, ctx: ScimRequestContext) => Promise<ScimJson>,
  ): ResourceClass;
  egress(handler: (resource: Handled, ctx: ScimRequestContext) => Promise<ScimJson | ScimJson[]>): ResourceClass;
  degress(handler: (resource: Handled, ctx: ScimRequestContext) => Promise<void>): ResourceClass;
}

/** Declares users and groups at scimmy. Its classes are global to the process; declaring again changes nothing. */
export function declareResources(): void {
  SCIMMY.Config.set({ patch: true, filter: { supported: true, maxResults: 1000 }, changePassword: true });
  if (!SCIMMY.Resources.declared(SCIMMY.Resources.User)) {
    SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false);
    SCIMMY.Resources.declare(SCIMMY.Resources.User, {});
    SCIMMY.Resources.declare(SCIMMY.Resources.Group, {});
  }
  const users = SCIMMY.Resources.User as unknown as ResourceClass;
  users
    .ingress((resource, instance, { store }) => guarded(() => writeUser(store, resource.id, instance)))
    .egress((resource, { store }) => guarded(() => readUsers(store, resource)))
    .degress((resource, { store }) => guarded(async () => found(await store.deleteUser(resource.id ?? ''))));
  const groups = SCIMMY.Resources.Group as unknown as ResourceClass;
  groups
    .ingress((resource, instance, { store }) => guarded(() => writeGroup(store, resource.id, instance)))
    .egress((resource, { store, withoutMembers }) =>
      guarded(() => readGroups(store, resource, withoutMembers !== true)),
    )
    .degress((resource, { store }) => guarded(async () => found(await store.deleteGroup(resource.id ?? ''))));
}

function found(isThere: boolean): void {
  if (!isThere) {
    throw scimError(404, '', 'no such resource');
  }
}

async function writeUser(store: ScimStore, id: string | undefined, instance: ScimJson): Promise<ScimJson> {
  const plain = JSON.parse(JSON.stringify(instance)) as ScimJson;
  const { id: _id, meta: _meta, schemas: _schemas, groups: _groups, active, ...resource } = plain;
  // scimmy never shows a password as JSON, so it is read from the instance.
  const password = instance['password'];
  const user = {
    userName: String(resource['userName']),
    externalId: typeof resource['externalId'] === 'string' ? resource['externalId'] : undefined,
    active: active !== false,
    resource,
  };
  const stored = await store.writeUser(id, user, typeof password === 'string' ? password : undefined);
  if (stored === undefined) {
    throw scimError(404, '', 'no such user');
  }
  return userResource(stored);
}

async function readUsers(store: ScimStore, resource: Handled): Promise<ScimJson | ScimJson[]> {
  if (resource.id !== undefined) {
    const [user] = await store.users({ id: resource.id });
    if (user === undefined) {
      throw scimError(404, '', 'no such user');
    }
    return userResource(user);
  }
  const equal = equalities(resource.filter);
  const users = await store.users({
    ...(equal['id'] === undefined ? {} : { id: equal['id'] }),
    ...(equal['username'] === undefined ? {} : { userName: equal['username'] }),
    ...(equal['externalid'] === undefined ? {} : { externalId: equal['externalid'] }),
  });
  return matching(resource.filter, users.map(userResource));
}

function userResource(user: StoredUser): ScimJson {
  return {
    ...user.resource,
    id: user.id,
    userName: user.userName,
    active: user.active,
    meta: { created: user.created, lastModified: user.modified },
  };
}

async function writeGroup(store: ScimStore, id: string | undefined, instance: ScimJson): Promise<ScimJson> {
  const plain = JSON.parse(JSON.stringify(instance)) as ScimJson;
  const members = Array.isArray(plain['members']) ? (plain['members'] as ScimJson[]) : [];
  const ids = members.map((member) => String(member['value']));
  const stored = await store.writeGroup(id, String(plain['displayName']), ids);
  if (stored === undefined) {
    throw scimError(404, '', 'no such group');
  }
  return groupResource(stored);
}

async function readGroups(store: ScimStore, resource: Handled, withMembers: boolean): Promise<ScimJson | ScimJson[]> {
  if (resource.id !== undefined) {
    const [group] = await store.groups({ id: resource.id }, withMembers);
    if (group === undefined) {
      throw scimError(404, '', 'no such group');
    }
    return groupResource(group);
  }
  const equal = equalities(resource.filter);
  const member = equal['members.value'];
  const by = {
    ...(equal['id'] === undefined ? {} : { id: equal['id'] }),
    ...(equal['displayname'] === undefined ? {} : { displayName: equal['displayname'] }),
    ...(member === undefined ? {} : { member }),
  };
  const groups = await store.groups(by, withMembers);
  // The one member that was asked for is known to be there, and the filter must still see it.
  const shown = withMembers || member === undefined ? groups : groups.map((group) => ({ ...group, members: [member] }));
  return matching(resource.filter, shown.map(groupResource));
}

/**
 * Adds or removes single members without reading the group, when that is all a PATCH asks for; scimmy would read and
 * write all members. Undefined = scimmy's case.
 */
export async function patchMembers(store: ScimStore, groupId: string, patch: ScimJson): Promise<boolean | undefined> {
  const operations = Array.isArray(patch['Operations']) ? (patch['Operations'] as ScimJson[]) : [];
  const changes = operations.map(memberChange);
  return operations.length > 0 && changes.every((change) => change !== undefined)
    ? guarded(() => store.changeMembers(groupId, changes))
    : undefined;
}

function memberChange(operation: ScimJson): { readonly add: boolean; readonly members: readonly string[] } | undefined {
  const { op, path, value } = operation;
  const removed = typeof path === 'string' ? /^members\[value eq "([\w-]+)"\]$/.exec(path)?.[1] : undefined;
  if (op === 'remove' && removed !== undefined) {
    return { add: false, members: [removed] };
  }
  const members = Array.isArray(value) ? (value as ScimJson[]).map((member) => member['value']) : [];
  return op === 'add' && path === 'members' && members.every((member) => typeof member === 'string')
    ? { add: true, members: members }
    : undefined;
}

function groupResource(group: StoredGroup): ScimJson {
  return {
    id: group.id,
    displayName: group.displayName,
    members: group.members.map((value) => ({ value, type: 'User' })),
    meta: { created: group.created, lastModified: group.modified },
  };
}

/**
 * The equalities that a whole filter demands, so that the database narrows the search; what it leaves is still matched
 * by scimmy. Filters with `or` have none.
 */
function equalities(filter: unknown): Record<string, string> {
  const found: Record<string, string> = {};
  if (!Array.isArray(filter) || filter.length !== 1) {
    return found;
  }
  collect(filter[0], '', found);
  return found;
}

function collect(node: unknown, path: string, found: Record<string, string>): void {
  if (Array.isArray(node)) {
    if (node.length === 2 && node[0] === 'eq' && typeof node[1] === 'string') {
      found[path] = node[1];
    }
    return;
  }
  for (const [key, value] of Object.entries(typeof node === 'object' && node !== null ? node : {})) {
    collect(value, path === '' ? key.toLowerCase() : `${path}.${key.toLowerCase()}`, found);
  }
}

/** scimmy takes `urn:…:User:employeeNumber` as one name, and resources hold the extension as an object: the filter is shown both. */
function matching(filter: unknown, resources: ScimJson[]): ScimJson[] {
  if (!(filter instanceof SCIMMY.Types.Filter)) return resources;
  const shown = resources.map((resource) => ({ ...resource, ...extensionAttributes(resource) }));
  const found = new Set(filter.match(shown) as ScimJson[]);
  return resources.filter((_resource, index) => found.has(shown[index] ?? {}));
}

function extensionAttributes(resource: ScimJson): ScimJson {
  const extensions = Object.entries(resource).filter(([name]) => name.startsWith('urn:'));
  return Object.fromEntries(
    extensions.flatMap(([urn, part]) =>
      Object.entries(part as ScimJson).map(([name, value]) => [`${urn}:${name}`, value]),
    ),
  );
}
