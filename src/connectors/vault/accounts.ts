import type {
  AccountRef,
  AttributeDelta,
  Attributes,
  AttributeValue,
  CorrelationKey,
  ListQuery,
  MutationResult,
  ObservedAccount,
  OperationContext,
  Page,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { JsonObject } from '../shared/http/json.js';
import type { Entity, VaultContext } from './entities.js';
import { asTexts, entityByLogin, observe, readEntity, refOf, requireEntity, userPath } from './entities.js';
import { entitlementsOf } from './groups.js';
import { requireAccount } from '../shared/object-class.js';

/**
 * One page of all entities, machines' own included, in the order of their ids: the cursor is an id, so that no page moves when others
 * come or go. Vault gives all ids at once.
 */
export async function listAccounts(
  vault: VaultContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const request = { operation: 'list', method: 'GET', path: 'identity/entity/id?list=true', accept: [404] } as const;
  const ids = [...asTexts((await vault.client.send(request, ctx)).data['keys'])].sort();
  const after = query.cursor === undefined ? ids : ids.filter((id) => id > (query.cursor ?? ''));
  const page = after.slice(0, query.pageSize);
  const entities = await Promise.all(page.map((id) => readEntity(vault, refOf(vault, id), 'list', ctx)));
  const items = entities.flatMap((entity) => (entity === undefined ? [] : [observe(vault, entity, undefined)]));
  const last = page.at(-1);
  return last === undefined || after.length <= page.length
    ? { items, complete: true }
    : { items, complete: false, next: last };
}

export async function getAccount(
  vault: VaultContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  const entity = await readEntity(vault, ref, 'get', ctx);
  return entity === undefined
    ? undefined
    : observe(vault, entity, await entitlementsOf(vault, entity.groupIds, 'get', ctx));
}

export async function findAccounts(
  vault: VaultContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  if (by.attribute !== 'login') {
    throw new ConnectorError({ code: 'INVALID', operation: 'find', sent: false, attribute: by.attribute });
  }
  const entity = await entityByLogin(vault, by.value, 'find', ctx);
  return entity === undefined
    ? []
    : [observe(vault, entity, await entitlementsOf(vault, entity.groupIds, 'find', ctx))];
}

/** Raises INVALID for an attribute that is not configured, or a value that Vault's metadata cannot hold. */
export function checkAttribute(vault: VaultContext, name: string, value: AttributeValue, operation: string): void {
  const known = name === 'externalId' || name === 'policies' || vault.config.attributes.includes(name);
  const fits =
    name === 'policies' ? value === null || Array.isArray(value) : value === null || typeof value === 'string';
  if (!known || !fits) throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: name });
}

/** What an entity's write says: empty values are left out. */
export function fieldsOf(attributes: Attributes): {
  readonly metadata: JsonObject;
  readonly policies: readonly string[];
} {
  const { policies, ...rest } = attributes;
  const metadata = Object.entries(rest).filter(([, value]) => typeof value === 'string' && value !== '');
  return {
    metadata: Object.fromEntries(metadata),
    policies: Array.isArray(policies) ? (policies as readonly string[]) : [],
  };
}

/** Applies what really changes, in one write. A login cannot be changed: a user of userpass keeps its name for ever. */
export async function updateAccount(
  vault: VaultContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'update';
  for (const { attribute, value } of deltas) {
    if (attribute !== 'login') checkAttribute(vault, attribute, value, operation);
    else if (typeof value !== 'string' || value === '')
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
  }
  const entity = await requireEntity(vault, ref, operation, ctx);
  const before: Attributes = { ...entity.metadata, policies: entity.policies, login: entity.userName ?? entity.name };
  const changes = effectiveDeltas(before, deltas);
  if (changes.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  if (changes.some(({ attribute }) => attribute === 'login')) {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false, attribute: 'login' });
  }
  const { login: _login, ...after } = {
    ...before,
    ...Object.fromEntries(changes.map((one) => [one.attribute, one.value])),
  };
  await writeEntity(vault, entity, fieldsOf(after), operation, ctx);
  return { outcome: 'applied', ref, changed: changes };
}

/** Fields that are not named stay as they are (Vault's own rule). */
async function writeEntity(
  vault: VaultContext,
  entity: Entity,
  body: JsonObject,
  operation: string,
  ctx: OperationContext,
): Promise<void> {
  const path = `identity/entity/id/${encodeURIComponent(entity.id)}`;
  await vault.client.send({ operation, method: 'POST', path, body, write: true }, ctx);
}

/** A disabled entity can neither sign in nor use a token that it already has; its leases live on. */
export async function setDisabled(
  vault: VaultContext,
  ref: AccountRef,
  disabled: boolean,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  const entity = await requireEntity(vault, ref, operation, ctx);
  if (entity.disabled === disabled) return { outcome: 'already-in-state', ref, changed: [] };
  await writeEntity(vault, entity, { disabled }, operation, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

/** Sets the password of the entity's user. NOT_FOUND when either is missing. */
export async function setPassword(
  vault: VaultContext,
  ref: AccountRef,
  secret: Secret,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  const { userName } = await requireEntity(vault, ref, operation, ctx);
  const mount = vault.config.userpass?.mount;
  if (mount === undefined || userName === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref, targetCode: 'no-user' });
  }
  const path = userPath(mount, userName);
  const user = await vault.client.send({ operation, method: 'GET', path, accept: [404] }, ctx);
  if (user.status === 404) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref, targetCode: 'no-user' });
  }
  const body = { password: secret.reveal() };
  await vault.client.send({ operation, method: 'POST', path: `${path}/password`, body, write: true }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

/** Disables first, then sets the password: what breaks off in between is cut already, and repeating it sets the password. */
export async function sealAccount(
  vault: VaultContext,
  ref: AccountRef,
  secret: Secret,
  ctx: OperationContext,
): Promise<MutationResult & { readonly atomic: boolean }> {
  await setDisabled(vault, ref, true, 'seal', ctx);
  return { ...(await setPassword(vault, ref, secret, 'seal', ctx)), atomic: false };
}

/** The user goes first: what breaks off in between is an entity nobody can sign in as, and repeating it takes that away as well. */
export async function deleteAccount(
  vault: VaultContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'delete';
  const entity = await readEntity(vault, ref, operation, ctx);
  if (entity === undefined) return { outcome: 'already-in-state', ref, changed: [] };
  const mount = vault.config.userpass?.mount;
  if (mount !== undefined && entity.userName !== undefined) {
    const path = userPath(mount, entity.userName);
    await vault.client.send({ operation, method: 'DELETE', path, write: true, accept: [404] }, ctx);
  }
  const path = `identity/entity/id/${encodeURIComponent(entity.id)}`;
  await vault.client.send({ operation, method: 'DELETE', path, write: true, accept: [404] }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}
