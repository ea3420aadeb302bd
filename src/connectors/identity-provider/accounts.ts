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
import type { Json, JsonObject } from '../shared/http/json.js';
import type { RealmContext } from './client.js';
import { admin, asList, readUser, refOf, requireUser, textOf, userPath } from './client.js';
import { entitlementsOf } from './entitlements.js';
import { attributesOf, changesOf, mappingOf, observe } from './users.js';
import { requireAccount } from '../shared/object-class.js';

export async function getAccount(
  realm: RealmContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  const user = await readUser(realm, ref, 'get', ctx);
  if (user === undefined) return undefined;
  return observe(realm, user, await entitlementsOf(realm, ref.nativeId, 'get', ctx), 'get', ctx);
}

export async function findAccounts(
  realm: RealmContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  const users = await search(realm, by, 'find', ctx);
  const found: ObservedAccount[] = [];
  for (const user of users) {
    const entitlements = await entitlementsOf(realm, textOf(user['id']), 'find', ctx);
    found.push(await observe(realm, user, entitlements, 'find', ctx));
  }
  return found;
}

const SEARCH_MAX = 100;

/** Users whose attribute is exactly this. The server's search is wider (case, patterns), so what it finds is compared once more. */
async function search(
  realm: RealmContext,
  by: CorrelationKey,
  operation: string,
  ctx: OperationContext,
): Promise<readonly JsonObject[]> {
  const isLogin = by.attribute === 'login';
  const attribute = isLogin ? 'username' : mappingOf(realm, by.attribute, operation).attribute;
  if (attribute === 'emailVerified' || attribute === 'requiredActions') {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: by.attribute });
  }
  const isField = ['username', 'email', 'firstName', 'lastName'].includes(attribute);
  // The search syntax quotes values and has no escape for what would end the quotes.
  if (by.value === '' || (!isField && /["\\\p{Cc}]/u.test(by.value))) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: by.attribute });
  }
  const query = isField ? { [attribute]: by.value, exact: 'true' } : { q: `${attribute}:"${by.value}"` };
  const options = { max: String(SEARCH_MAX), briefRepresentation: 'false' };
  const answer = await admin(realm, { operation, path: '/users', query: { ...query, ...options } }, ctx);
  // The server keeps user names and mail addresses in lower case.
  const plain = (text: string): string => (['username', 'email'].includes(attribute) ? text.toLowerCase() : text);
  return asList(answer.body).filter((user) => {
    const value = isLogin ? textOf(user['username']) : attributesOf(realm, user)[by.attribute];
    const values = Array.isArray(value) ? (value as readonly string[]) : [String(value)];
    return values.some((held) => plain(held) === plain(by.value));
  });
}

async function byKey(realm: RealmContext, key: string, ctx: OperationContext): Promise<AccountRef | undefined> {
  const [user] = await search(realm, { attribute: keyName(realm), value: key }, 'create', ctx);
  return user === undefined ? undefined : refOf(realm, textOf(user['id']));
}

/** The name in policy of the attribute that carries the key. */
export function keyName(realm: Pick<RealmContext, 'config'>): string {
  const { attributes, key } = realm.config;
  return Object.entries(attributes).find(([, mapping]) => mapping.attribute === key)?.[0] ?? key;
}

/**
 * Creates a user. Its key (from policy, else the idempotency key) finds it again: a user that already carries it is
 * adopted, so that a lost answer never makes a second one; that user names are unique is the second line.
 */
export async function createAccount(
  realm: RealmContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  const given = spec.attributes[keyName(realm)];
  const key = typeof given === 'string' && given !== '' ? given : ctx.idempotencyKey;
  const values = { ...spec.attributes, login: spec.login, [keyName(realm)]: key };
  const body = { ...changesOf(realm, {}, values, 'create'), enabled: spec.enabled };
  const adopted = await byKey(realm, key, ctx);
  if (adopted !== undefined) return { outcome: 'already-in-state', ref: adopted, changed: [] };
  try {
    const answer = await admin(realm, { operation: 'create', method: 'POST', path: '/users', body }, ctx);
    const id = answer.headers['location']?.split('/').at(-1) ?? '';
    const ref = id === '' ? await byKey(realm, key, ctx) : refOf(realm, id);
    if (ref === undefined) {
      throw new ConnectorError({ code: 'AMBIGUOUS', operation: 'create', sent: true, targetCode: 'no-id' });
    }
    const changed = Object.entries({ login: spec.login, ...spec.attributes }).map(([attribute, value]) => ({
      attribute,
      op: 'replace' as const,
      value,
    }));
    return { outcome: 'applied', ref, changed };
  } catch (error) {
    // Two tries of one step at the same time: the other one won, and its account is ours.
    const lost = isConnectorError(error) && error.code === 'ALREADY_EXISTS';
    const winner = lost ? await byKey(realm, key, ctx) : undefined;
    if (winner === undefined) throw error;
    return { outcome: 'already-in-state', ref: winner, changed: [] };
  }
}

/** Applies what really changes of the deltas, in one request; `login` renames and keeps the id. */
export async function updateAccount(
  realm: RealmContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const user = await requireUser(realm, ref, 'update', ctx);
  for (const { attribute } of deltas.filter((delta) => delta.attribute !== 'login')) {
    mappingOf(realm, attribute, 'update');
  }
  if (!realm.config.rename && deltas.some((delta) => delta.attribute === 'login')) {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation: 'update', sent: false, attribute: 'login' });
  }
  const changes = effectiveDeltas({ ...attributesOf(realm, user), login: textOf(user['username']) }, deltas);
  if (changes.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  const values = Object.fromEntries(changes.map((change) => [change.attribute, change.value]));
  await putUser(realm, ref, changesOf(realm, user, values, 'update'), 'update', ctx);
  return { outcome: 'applied', ref, changed: changes };
}

/** One PUT; the server changes what is in the body, all of it or nothing. */
export async function putUser(
  realm: RealmContext,
  ref: AccountRef,
  body: Readonly<Record<string, Json>>,
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  await admin(realm, { operation, method: 'PUT', path: userPath(ref.nativeId), body }, ctx);
}

export async function deleteAccount(
  realm: RealmContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const user = await readUser(realm, ref, 'delete', ctx);
  if (user === undefined) return { outcome: 'already-in-state', ref, changed: [] };
  const call = { operation: 'delete', method: 'DELETE', path: userPath(ref.nativeId) } as const;
  const answer = await admin(realm, call, ctx, { accept: [404] });
  return { outcome: answer.status === 404 ? 'already-in-state' : 'applied', ref, changed: [] };
}
