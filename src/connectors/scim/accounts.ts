import type {
  AccountRef,
  AttributeDelta,
  CorrelationKey,
  MutationResult,
  ObservedAccount,
  OperationContext,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { JsonObject } from '../shared/http/json.js';
import type { Current, ScimContext } from './client.js';
import { readUser, search } from './client.js';
import { entitlementsOf } from './memberships.js';
import { observe } from './observe.js';
import type { AttributePath } from './paths.js';
import { asText, filterOf, flatten, parsePath, writePath } from './paths.js';
import { activeFor, activeOf } from './quirks.js';
import { writeUser } from './write-user.js';
import { requireAccount } from '../shared/object-class.js';

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
  for (const resource of resources.filter((candidate) => carries(candidate, by))) {
    found.push(observe(scim, resource, await entitlementsOf(scim, asText(resource['id']), 'find', ctx)));
  }
  return found;
}

/** False when the resource shows another value than was asked for: the server did not filter. Case is the server's business. */
function carries(resource: JsonObject, by: CorrelationKey): boolean {
  const shown = by.attribute === 'login' ? asText(resource['userName']) : flatten(resource)[by.attribute];
  const values: readonly unknown[] = Array.isArray(shown) ? shown : [shown];
  return shown === undefined || values.some((value) => String(value).toLowerCase() === by.value.toLowerCase());
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
      after = { ...after, userName: newLogin(scim, change, operation) };
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

function newLogin(scim: ScimContext, { value }: AttributeDelta, operation: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'login' });
  }
  if (scim.quirks.rename === false) {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false, attribute: 'login' });
  }
  return value;
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
  const isActive = activeOf(scim.quirks, current.resource['active']);
  if (isActive === active && secret === undefined && marks.length === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const unmarked = marks.reduce((resource, path) => writePath(resource, path, null), current.resource);
  const after = {
    ...unmarked,
    active: activeFor(scim.quirks, active),
    ...(secret === undefined ? {} : { password: secret }),
  };
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

async function requireUser(
  scim: ScimContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<Current> {
  const current = await readUser(scim, ref.nativeId, operation, ctx);
  if (current === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return current;
}
