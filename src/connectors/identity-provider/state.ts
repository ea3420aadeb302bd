import type { AccountRef, MutationResult, OperationContext } from '../connector.js';
import type { Secret } from '../secret.js';
import { asObject } from '../shared/http/json.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import { putUser } from './accounts.js';
import type { RealmContext } from './client.js';
import { admin, inOrder, requireUser, userPath } from './client.js';
import { entitlementsOf, setMember } from './entitlements.js';

const unchanged = (ref: AccountRef): MutationResult => ({ outcome: 'already-in-state', ref, changed: [] });
const applied = (ref: AccountRef): MutationResult => ({ outcome: 'applied', ref, changed: [] });

export async function disableAccount(realm: RealmContext, ref: AccountRef, ctx: OperationContext) {
  const user = await requireUser(realm, ref, 'disable', ctx);
  if (user['enabled'] === false) return unchanged(ref);
  await putUser(realm, ref, { enabled: false }, 'disable', ctx);
  return applied(ref);
}

/**
 * Enables, and takes an archive mark away: an attribute in the same request, a group in a request before it, so that a
 * fault in between leaves an account that is disabled.
 */
export async function enableAccount(realm: RealmContext, ref: AccountRef, ctx: OperationContext) {
  const user = await requireUser(realm, ref, 'enable', ctx);
  const { archive } = realm.config;
  const writes: (() => Promise<unknown>)[] = [];
  let body: Record<string, Json> = user['enabled'] === true ? {} : { enabled: true };
  if (archive !== undefined && 'group' in archive) {
    const name = `group:${archive.group}`;
    if ((await entitlementsOf(realm, ref.nativeId, 'enable', ctx))?.includes(name) === true) {
      writes.push(() => setMember(realm, { application: ref.application, name }, ref, false, 'enable', ctx));
    }
  } else if (archive !== undefined && isMarked(user, archive)) {
    body = { ...withAttribute(user, archive.attribute, []), ...body };
  }
  if (Object.keys(body).length > 0) writes.push(() => putUser(realm, ref, body, 'enable', ctx));
  if (writes.length === 0) return unchanged(ref);
  await inOrder('enable', ref, writes);
  return applied(ref);
}

/** Marks the account as archived; it says nothing about being enabled. One request. */
export async function archiveAccount(
  realm: RealmContext,
  archive: NonNullable<RealmContext['config']['archive']>,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  if ('group' in archive) {
    const group = { application: ref.application, name: `group:${archive.group}` };
    return setMember(realm, group, ref, true, 'archive', ctx);
  }
  const user = await requireUser(realm, ref, 'archive', ctx);
  if (isMarked(user, archive)) return unchanged(ref);
  await putUser(realm, ref, withAttribute(user, archive.attribute, [archive.value]), 'archive', ctx);
  return applied(ref);
}

function isMarked(user: JsonObject, archive: { readonly attribute: string; readonly value: string }): boolean {
  const held = asObject(user['attributes'])[archive.attribute];
  return Array.isArray(held) && (held as readonly Json[]).includes(archive.value);
}

/** Attributes are replaced as a whole, and then the fields of the profile are wanted, too. */
function withAttribute(user: JsonObject, attribute: string, values: readonly string[]): Record<string, Json> {
  const profile = ['username', 'email', 'firstName', 'lastName'].map((name) => [name, user[name] ?? ''] as const);
  return { ...Object.fromEntries(profile), attributes: { ...asObject(user['attributes']), [attribute]: values } };
}

/** Password and lock in one request, which the server carries out in one transaction: a password that it refuses leaves both as they were. */
export async function sealAccount(realm: RealmContext, ref: AccountRef, secret: Secret, ctx: OperationContext) {
  await requireUser(realm, ref, 'seal', ctx);
  const credentials = [{ type: 'password', value: secret.reveal(), temporary: false }];
  await putUser(realm, ref, { enabled: false, credentials }, 'seal', ctx);
  return { ...applied(ref), atomic: true };
}

/** A permanent password; the account's other credentials stay. */
export async function setPassword(
  realm: RealmContext,
  ref: AccountRef,
  secret: Secret,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  await requireUser(realm, ref, operation, ctx);
  const body = { type: 'password', value: secret.reveal(), temporary: false };
  await admin(realm, { operation, method: 'PUT', path: userPath(ref.nativeId, '/reset-password'), body }, ctx);
  return applied(ref);
}
