import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  CorrelationKey,
  MutationResult,
  ObservedAccount,
  OperationContext,
} from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { ScimContext } from './client.js';
import { readUser, refOf, requireAccount, search, userUrl } from './client.js';
import { entitlementsOf } from './groups.js';
import { observe } from './observe.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import type { AttributePath } from './paths.js';
import { asObject } from '../shared/http/json.js';
import { asText, filterOf, flatten, parsePath, userUrn, writePath } from './paths.js';

export async function getAccount(
  scim: ScimContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, 'get');
  const found = await readUser(scim, ref.nativeId, 'get', ctx);
  if (found === undefined) {
    return undefined;
  }
  return observe(scim, found.resource, await entitlementsOf(scim, ref.nativeId, 'get', ctx), found.version);
}

export async function findAccounts(
  scim: ScimContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  const filter = filterOf(by.attribute, by.value, 'find');
  const resources = await search(scim, 'Users', filter, { operation: 'find' }, ctx);
  const found: ObservedAccount[] = [];
  for (const resource of resources) {
    found.push(observe(scim, resource, await entitlementsOf(scim, asText(resource['id']), 'find', ctx)));
  }
  return found;
}

/**
 * Creates a user. The account's `externalId` (from policy, else the idempotency key) finds it again: a user that
 * already carries it is adopted, so that a lost answer never makes a second one.
 */
export async function createAccount(
  scim: ScimContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  const resource = resourceOf(spec, ctx.idempotencyKey);
  const key = asText(resource['externalId']);
  const adopted = await byExternalId(scim, key, ctx);
  if (adopted !== undefined) {
    return { outcome: 'already-in-state', ref: adopted, changed: [] };
  }
  try {
    const call = {
      operation: 'create',
      method: 'POST',
      url: `${scim.baseUrl}/Users`,
      body: resource,
      write: true,
    } as const;
    const answer = await scim.http.send(call, ctx);
    const id = asObject(answer.body)['id'] ?? answer.headers['location']?.split('/').at(-1);
    const ref = typeof id === 'string' && id !== '' ? refOf(scim, id) : await byExternalId(scim, key, ctx);
    if (ref === undefined) {
      throw new ConnectorError({ code: 'AMBIGUOUS', operation: 'create', sent: true, targetCode: 'no-id' });
    }
    return { outcome: 'applied', ref, changed: createdDeltas(spec) };
  } catch (error) {
    // Two tries of one step at the same time: the other one won, and its account is ours.
    const winner =
      isConnectorError(error) && error.code === 'ALREADY_EXISTS' ? await byExternalId(scim, key, ctx) : undefined;
    if (winner === undefined) {
      throw error;
    }
    return { outcome: 'already-in-state', ref: winner, changed: [] };
  }
}

async function byExternalId(scim: ScimContext, key: string, ctx: OperationContext): Promise<AccountRef | undefined> {
  const found = await search(
    scim,
    'Users',
    filterOf('externalId', key, 'create'),
    { operation: 'create', count: 2 },
    ctx,
  );
  const id = found[0]?.['id'];
  return typeof id === 'string' ? refOf(scim, id) : undefined;
}

function createdDeltas(spec: AccountSpec): readonly AttributeDelta[] {
  const attributes = Object.entries(spec.attributes).map(([attribute, value]) => ({
    attribute,
    op: 'replace' as const,
    value,
  }));
  return [{ attribute: 'login', op: 'replace', value: spec.login }, ...attributes];
}

function resourceOf(spec: AccountSpec, idempotencyKey: string): JsonObject {
  let resource: JsonObject = { userName: spec.login, active: spec.enabled, externalId: idempotencyKey };
  for (const [attribute, value] of Object.entries(spec.attributes)) {
    if (value !== null && value !== '') {
      resource = writePath(resource, parsePath(attribute, 'create'), value);
    } else {
      parsePath(attribute, 'create');
    }
  }
  const extensions = Object.keys(resource).filter((key) => key.startsWith('urn:'));
  return { schemas: [userUrn, ...extensions], ...resource };
}

/** Applies what really changes of the deltas, in one request; `login` renames and keeps the id. */
export async function updateAccount(
  scim: ScimContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
  operation = 'update',
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  const current = await requireUser(scim, ref, operation, ctx);
  const before = { ...flatten(current.resource), login: asText(current.resource['userName']) };
  const changes = effectiveDeltas(before, deltas);
  if (changes.length === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  let after = current.resource;
  const tops = new Set<string>();
  for (const change of changes) {
    if (change.attribute === 'login') {
      if (typeof change.value !== 'string' || change.value === '') {
        throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'login' });
      }
      after = { ...after, userName: change.value };
      tops.add('userName');
    } else {
      const path = parsePath(change.attribute, operation);
      after = writePath(after, path, change.value);
      tops.add(topOf(path));
    }
  }
  await writeUser(scim, ref, current, after, [...tops], operation, ctx);
  return { outcome: 'applied', ref, changed: changes };
}

/** Sets `active`, and a secret in the same request when one is given. What `archive` set goes when the account is opened again. */
export async function setActive(
  scim: ScimContext,
  ref: AccountRef,
  active: boolean,
  operation: string,
  ctx: OperationContext,
  secret?: string,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  const current = await requireUser(scim, ref, operation, ctx);
  const marks = active ? archiveMarks(scim, current.resource, operation) : [];
  if (current.resource['active'] === active && secret === undefined && marks.length === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const unmarked = marks.reduce((resource, path) => writePath(resource, path, null), current.resource);
  const after = { ...unmarked, active, ...(secret === undefined ? {} : { password: secret }) };
  const tops = [...marks.map(topOf), ...(secret === undefined ? [] : ['password']), 'active'];
  await writeUser(scim, ref, current, after, tops, operation, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

/** The attributes that stand as `archive` set them. */
function archiveMarks(scim: ScimContext, resource: JsonObject, operation: string): readonly AttributePath[] {
  const present = flatten(resource);
  return Object.entries(scim.config.archive ?? {}).flatMap(([attribute, value]) =>
    value !== null && present[attribute] === value ? [parsePath(attribute, operation)] : [],
  );
}

function topOf(path: AttributePath): string {
  return path.extension === undefined ? path.top : `${path.extension}:${path.top}`;
}

/** Sets the SCIM password attribute. Cannot be read back, so it always writes. */
export async function setPassword(
  scim: ScimContext,
  ref: AccountRef,
  secret: string,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  const current = await requireUser(scim, ref, operation, ctx);
  await writeUser(scim, ref, current, { ...current.resource, password: secret }, ['password'], operation, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

export async function deleteAccount(
  scim: ScimContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'delete');
  if ((await readUser(scim, ref.nativeId, 'delete', ctx)) === undefined) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const call = { operation: 'delete', method: 'DELETE', url: userUrl(scim, ref.nativeId), write: true } as const;
  await scim.http.send(call, ctx, [404, 410]);
  return { outcome: 'applied', ref, changed: [] };
}

type CurrentUser = { readonly resource: JsonObject; readonly version: string | undefined };

async function requireUser(
  scim: ScimContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<CurrentUser> {
  const current = await readUser(scim, ref.nativeId, operation, ctx);
  if (current === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return current;
}

/** One PATCH with an operation per top-level attribute (lists are replaced whole), or one PUT; If-Match where announced. */
async function writeUser(
  scim: ScimContext,
  ref: AccountRef,
  current: CurrentUser,
  after: JsonObject,
  tops: readonly string[],
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  const features = await scim.features(ctx);
  const call = {
    operation,
    url: userUrl(scim, ref.nativeId),
    write: true,
    ...(features.etag && current.version !== undefined ? { headers: { 'if-match': current.version } } : {}),
  } as const;
  if (!features.patch) {
    const { meta: _meta, groups: _groups, ...body } = after;
    const extensions = Object.keys(body).filter((key) => key.startsWith('urn:'));
    const schemas = [...new Set([userUrn, ...extensions])];
    await scim.http.send({ ...call, method: 'PUT', body: { ...withoutNulls(body), schemas } }, ctx);
    return;
  }
  const operations = tops.map((top): Json => {
    const value = valueAt(after, top);
    return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
      ? { op: 'remove', path: top }
      : { op: 'replace', path: top, value: typeof value === 'object' ? withoutNulls(value as JsonObject) : value };
  });
  const body = { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: operations };
  await scim.http.send({ ...call, method: 'PATCH', body }, ctx);
}

function valueAt(resource: JsonObject, top: string): Json | undefined {
  if (!top.startsWith('urn:')) {
    return resource[top];
  }
  const cut = top.lastIndexOf(':');
  return asObject(resource[top.slice(0, cut)])[top.slice(cut + 1)];
}

function withoutNulls(value: JsonObject): JsonObject {
  if (Array.isArray(value)) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null));
}
