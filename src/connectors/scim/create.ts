import type { AccountRef, AccountSpec, AttributeDelta, MutationResult, OperationContext } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import { sameValue } from '../shared/compare.js';
import type { HttpCall } from '../shared/http/client.js';
import type { JsonObject } from '../shared/http/json.js';
import { writtenResource } from './answers.js';
import type { ScimContext } from './client.js';
import { refOf, search } from './client.js';
import { asText, filterOf, flatten, parsePath, userUrn, writePath } from './paths.js';
import { activeFor } from './quirks.js';
import { requireAccount } from '../shared/object-class.js';

/**
 * Creates a user. Its adoption key (`externalId`, or what `adoptBy` names; from policy, else the idempotency key) finds it again: a user that already
 * carries it is adopted, so that a lost answer never makes a second one. With `adoptBy: login` the server keeps no key of ours: a user with this login
 * is adopted when every attribute of the account is as it was to be created, and is ALREADY_EXISTS else.
 */
export async function createAccount(
  scim: ScimContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  const resource = resourceOf(scim, spec, ctx.idempotencyKey);
  const adopted = await existing(scim, spec, resource, ctx);
  if (adopted !== undefined) {
    return { outcome: 'already-in-state', ref: adopted, changed: [] };
  }
  try {
    const ref = await post(scim, spec, resource, ctx);
    return { outcome: 'applied', ref, changed: createdDeltas(spec) };
  } catch (error) {
    // Two tries of one step at the same time: the other one won, and its account is ours.
    const lost = isConnectorError(error) && error.code === 'ALREADY_EXISTS' && error.sent;
    const winner = lost ? await existing(scim, spec, resource, ctx) : undefined;
    if (winner === undefined) {
      throw error;
    }
    return { outcome: 'already-in-state', ref: winner, changed: [] };
  }
}

async function post(
  scim: ScimContext,
  spec: AccountSpec,
  resource: JsonObject,
  ctx: OperationContext,
): Promise<AccountRef> {
  const call: HttpCall = {
    operation: 'create',
    method: 'POST',
    url: `${scim.baseUrl}/Users`,
    body: resource,
    write: true,
  };
  const answer = await scim.http.send(call, ctx);
  const made = writtenResource(call, answer);
  const id = made['id'] ?? answer.headers['location']?.split('/').at(-1);
  const ref = typeof id === 'string' && id !== '' ? refOf(scim, id) : await existing(scim, spec, resource, ctx);
  if (ref === undefined) {
    throw new ConnectorError({ code: 'AMBIGUOUS', operation: 'create', sent: true, targetCode: 'no-id' });
  }
  const key = keyAttribute(scim);
  if (key !== undefined && made['id'] !== undefined && flatten(made)[key] === undefined) {
    ctx.logger.warn({ application: scim.application, attribute: key }, 'the server does not show the adoption key');
  }
  return ref;
}

/** The attribute that carries our key; undefined when nothing does. */
export function keyAttribute(scim: Pick<ScimContext, 'quirks'>): string | undefined {
  const { adoptBy = 'externalId' } = scim.quirks;
  return adoptBy === 'login' ? undefined : adoptBy;
}

async function existing(
  scim: ScimContext,
  spec: AccountSpec,
  resource: JsonObject,
  ctx: OperationContext,
): Promise<AccountRef | undefined> {
  const attribute = keyAttribute(scim);
  if (attribute === undefined) {
    return byLogin(scim, spec, ctx);
  }
  const key = String(flatten(resource)[attribute]);
  const found = await search(scim, 'Users', filterOf(attribute, key, 'create'), { operation: 'create', count: 2 }, ctx);
  const ours = found.find((user) => flatten(user)[attribute] === key);
  if (found.length > 0 && ours === undefined) {
    // A server that does not filter shows somebody else's account: neither adopted, nor proof that ours is not there.
    throw new ConnectorError({ code: 'UNSUPPORTED', operation: 'create', sent: false, targetCode: 'filter-ignored' });
  }
  const id = ours?.['id'];
  return typeof id === 'string' ? refOf(scim, id) : undefined;
}

async function byLogin(scim: ScimContext, spec: AccountSpec, ctx: OperationContext): Promise<AccountRef | undefined> {
  const filter = filterOf('login', spec.login, 'create');
  const found = await search(scim, 'Users', filter, { operation: 'create', count: 2 }, ctx);
  const user = found.find(({ userName }) => asText(userName).toLowerCase() === spec.login.toLowerCase());
  if (user === undefined) {
    return undefined;
  }
  const shown = flatten(user);
  const differs = Object.entries(spec.attributes).some(([name, value]) => !sameValue(value, shown[name]));
  const id = user['id'];
  if (differs || typeof id !== 'string') {
    throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: false, attribute: 'login' });
  }
  return refOf(scim, id);
}

function createdDeltas(spec: AccountSpec): readonly AttributeDelta[] {
  const attributes = Object.entries(spec.attributes).map(([attribute, value]) => ({
    attribute,
    op: 'replace' as const,
    value,
  }));
  return [{ attribute: 'login', op: 'replace', value: spec.login }, ...attributes];
}

function resourceOf(scim: ScimContext, spec: AccountSpec, idempotencyKey: string): JsonObject {
  let resource: JsonObject = { userName: spec.login, active: activeFor(scim.quirks, spec.enabled) };
  const key = keyAttribute(scim);
  const own = key === undefined ? {} : { [key]: idempotencyKey };
  for (const [attribute, value] of Object.entries({ ...own, ...spec.attributes })) {
    const path = parsePath(attribute, 'create');
    if (value !== null && value !== '') {
      resource = writePath(resource, path, value);
    }
  }
  const extensions = Object.keys(resource).filter((name) => name.startsWith('urn:'));
  return { schemas: [userUrn, ...extensions], ...resource };
}
