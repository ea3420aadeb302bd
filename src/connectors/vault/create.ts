import type { AccountRef, AccountSpec, AttributeDelta, MutationResult, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { Secret } from '../secret.js';
import { checkAttribute, fieldsOf } from './accounts.js';
import type { Entity, VaultContext } from './entities.js';
import { entityByLogin, hasUser, refOf, userPath } from './entities.js';
import { requireAccount } from '../shared/object-class.js';

/** What userpass takes as a name; it turns capitals into small letters by itself. */
const LOGIN = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/;

/**
 * Makes entity, alias and user, in this order: the user comes last, so nobody can sign in before the entity, with its state and
 * policies, stands behind the name. The entity's metadata hold `externalId` (from policy, else the idempotency key); an entity with
 * the same key is this account, and what it still lacks is made: a create that broke off is finished by repeating it.
 */
export async function createAccount(
  vault: VaultContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  checkSpec(vault, spec);
  const externalId = spec.attributes['externalId'];
  const key = typeof externalId === 'string' && externalId !== '' ? externalId : ctx.idempotencyKey;
  // The user is looked for first: another try of this step makes it last.
  const userThere = await hasUser(vault, spec.login, 'create', ctx);
  const found = await entityByLogin(vault, spec.login, 'create', ctx);
  const isOurs = found !== undefined && found.metadata['externalId'] === key;
  const isTaken = found !== undefined || (userThere && vault.config.userpass !== undefined);
  if (isTaken && !isOurs) throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: false });
  const ref = found === undefined ? await makeEntity(vault, spec, key, ctx) : refOf(vault, found.id);
  const completed = await complete(vault, spec.login, ref, found, userThere, ctx);
  return found === undefined || completed
    ? { outcome: 'applied', ref, changed: createdDeltas(spec) }
    : { outcome: 'already-in-state', ref, changed: [] };
}

function checkSpec(vault: VaultContext, spec: AccountSpec): void {
  const invalid = (attribute: string) =>
    new ConnectorError({ code: 'INVALID', operation: 'create', sent: false, attribute });
  if (!LOGIN.test(spec.login)) throw invalid('login');
  for (const [name, value] of Object.entries(spec.attributes)) checkAttribute(vault, name, value, 'create');
}

async function makeEntity(
  vault: VaultContext,
  spec: AccountSpec,
  key: string,
  ctx: OperationContext,
): Promise<AccountRef> {
  const operation = 'create';
  const fields = fieldsOf({ ...spec.attributes, externalId: key });
  const body = { name: spec.login, disabled: !spec.enabled, ...fields };
  const made = await vault.client.send({ operation, method: 'POST', path: 'identity/entity', body, write: true }, ctx);
  const id = made.data['id'];
  if (typeof id === 'string' && id !== '') return refOf(vault, id);
  // 204: in this very moment another try of this step made it, and both wrote the same.
  const winner = await entityByLogin(vault, spec.login, operation, ctx);
  if (winner === undefined) throw new ConnectorError({ code: 'AMBIGUOUS', operation, sent: true, targetCode: 'no-id' });
  return refOf(vault, winner.id);
}

/** Makes what is missing of alias and user; true when something was. */
async function complete(
  vault: VaultContext,
  login: string,
  ref: AccountRef,
  found: Entity | undefined,
  userThere: boolean,
  ctx: OperationContext,
): Promise<boolean> {
  const mount = vault.config.userpass?.mount;
  const accessor = await vault.accessor(ctx);
  if (mount === undefined || accessor === undefined) return false;
  const write = (path: string, body: Readonly<Record<string, string>>) =>
    vault.client.send({ operation: 'create', method: 'POST', path, body, write: true }, ctx);
  const hasAlias = found?.userName === login;
  if (!hasAlias) {
    await write('identity/entity-alias', { name: login, canonical_id: ref.nativeId, mount_accessor: accessor });
  }
  // A password that nobody knows; the person's own is set by resetCredentials.
  if (!userThere) await write(userPath(mount, login), { password: Secret.random().reveal() });
  return !hasAlias || !userThere;
}

function createdDeltas(spec: AccountSpec): readonly AttributeDelta[] {
  return Object.entries({ login: spec.login, ...spec.attributes }).map(([attribute, value]) => ({
    attribute,
    op: 'replace' as const,
    value,
  }));
}
