import type { AccountStatus, Attributes, AttributeValue, ObservedAccount, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import type { RealmContext } from './client.js';
import { admin, refOf, textOf } from './client.js';
import type { IdentityProviderConfig } from './config.js';

type Mapping = IdentityProviderConfig['attributes'][string];

/** Fields of a user itself; all others are in its `attributes`, as lists of text. */
const fields: ReadonlySet<string> = new Set(['email', 'firstName', 'lastName', 'emailVerified', 'requiredActions']);
/** Fields that Keycloak empties when attributes are written without them. */
const profileFields = ['username', 'email', 'firstName', 'lastName'] as const;

export function mappingOf(realm: RealmContext, name: string, operation: string): Mapping {
  const mapping = Object.hasOwn(realm.config.attributes, name) ? realm.config.attributes[name] : undefined;
  if (mapping !== undefined) return mapping;
  if (name === realm.config.key) return { attribute: name, type: 'string', required: false };
  throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: name });
}

/** The configured attributes of a user, by their names in policy; what has no value is absent. */
export function attributesOf(realm: RealmContext, user: JsonObject): Attributes {
  const own = asObject(user['attributes']);
  const all = { ...realm.config.attributes, [realm.config.key]: mappingOf(realm, realm.config.key, 'get') };
  const found: Record<string, AttributeValue> = {};
  for (const [name, mapping] of Object.entries(all)) {
    const value = valueOf(mapping, fields.has(mapping.attribute) ? user[mapping.attribute] : own[mapping.attribute]);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function valueOf(mapping: Mapping, raw: Json | undefined): AttributeValue | undefined {
  const list = (Array.isArray(raw) ? (raw as readonly Json[]) : raw === undefined || raw === null ? [] : [raw]).map(
    (item) => (typeof item === 'string' ? item : JSON.stringify(item)),
  );
  const [first] = list;
  if (first === undefined) return undefined;
  switch (mapping.type) {
    case 'strings':
      return list;
    case 'number':
      return Number.isNaN(Number(first)) ? first : Number(first);
    case 'boolean':
      return first === 'true' || first === 'false' ? first === 'true' : first;
    case 'string':
      return first;
  }
}

/**
 * What has to be sent so that these attributes are as given and no other changes: Keycloak keeps what a PUT leaves out,
 * but replaces `attributes` as a whole and then wants the fields of the profile, too.
 */
export function changesOf(
  realm: RealmContext,
  user: JsonObject,
  values: Attributes,
  operation: string,
): Record<string, Json> {
  const sent: Record<string, Json> = {};
  const own: Record<string, Json> = { ...asObject(user['attributes']) };
  let ownChanged = false;
  for (const [name, value] of Object.entries(values)) {
    if (name === 'login') {
      if (typeof value !== 'string' || value.trim() === '') throw invalid(operation, name);
      sent['username'] = value;
      continue;
    }
    const mapping = mappingOf(realm, name, operation);
    const list = wireOf(mapping, value, name, operation);
    if (mapping.required && list.length === 0) throw invalid(operation, name);
    if (!fields.has(mapping.attribute)) {
      own[mapping.attribute] = list;
      ownChanged = true;
    } else if (mapping.attribute === 'requiredActions') {
      sent[mapping.attribute] = list;
    } else if (mapping.attribute === 'emailVerified') {
      sent[mapping.attribute] = list[0] === 'true';
    } else {
      sent[mapping.attribute] = list[0] ?? '';
    }
  }
  if (!ownChanged) return sent;
  const profile = profileFields.map((name) => [name, sent[name] ?? textOf(user[name])] as const);
  return { ...sent, ...Object.fromEntries(profile), attributes: own };
}

function invalid(operation: string, attribute: string): ConnectorError {
  return new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
}

function wireOf(mapping: Mapping, value: AttributeValue, name: string, operation: string): readonly string[] {
  if (value === null || value === '') return [];
  if (Array.isArray(value)) {
    if (mapping.type !== 'strings') throw invalid(operation, name);
    return value as readonly string[];
  }
  return [String(value)];
}

/** Locked is what the server does after wrong passwords and undoes by itself; a lock is never taken for a cut. */
async function statusOf(
  realm: RealmContext,
  user: JsonObject,
  operation: string,
  ctx: OperationContext,
  send: Send | undefined,
): Promise<AccountStatus> {
  const enabled = user['enabled'];
  if (typeof enabled !== 'boolean') return 'unknown';
  if (!enabled) return 'disabled';
  if (!realm.config.bruteForce) return 'enabled';
  return (await isLocked(realm, textOf(user['id']), operation, ctx, send)) ? 'locked' : 'enabled';
}

export async function isLocked(
  realm: RealmContext,
  id: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<boolean> {
  const path = `/attack-detection/brute-force/users/${encodeURIComponent(id)}`;
  // 404: the user went away between the two reads.
  const answer = await admin(realm, { operation, path }, ctx, {
    accept: [404],
    ...(send === undefined ? {} : { send }),
  });
  return asObject(answer.body)['disabled'] === true;
}

export async function observe(
  realm: RealmContext,
  user: JsonObject,
  entitlements: readonly string[] | undefined,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<ObservedAccount> {
  return {
    ref: refOf(realm, textOf(user['id'])),
    login: textOf(user['username']),
    status: await statusOf(realm, user, operation, ctx, send),
    attributes: attributesOf(realm, user),
    entitlements,
  };
}
