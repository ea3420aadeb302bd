import type { AccountRef, AccountStatus, ObservedAccount, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Send } from '../shared/http/client.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import { asObject } from '../shared/http/json.js';
import type { VaultClient } from '../shared/vault/client.js';
import { encodedPath } from '../shared/vault/client.js';
import type { VaultConfig } from './config.js';
import { requireAccount } from '../shared/object-class.js';

/** Everything the operations of one application share. */
export interface VaultContext {
  readonly application: string;
  readonly config: VaultConfig;
  readonly client: VaultClient;
  /** Accessor of the userpass mount. Discovered on first use and kept: it is the server's, not an account's. */
  accessor(ctx: OperationContext): Promise<string | undefined>;
}

/** What Vault's identity store says of one person. */
export interface Entity {
  readonly id: string;
  readonly name: string;
  readonly disabled: boolean | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly policies: readonly string[];
  readonly groupIds: readonly string[];
  /** The user name in the configured userpass mount. */
  readonly userName: string | undefined;
}

export function asList(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

export function asTexts(value: Json | undefined): readonly string[] {
  return asList(value).filter((item) => typeof item === 'string');
}

export function createAccessor(
  client: VaultClient,
  config: VaultConfig,
): (ctx: OperationContext) => Promise<string | undefined> {
  let known: string | undefined;
  return async (ctx) => {
    if (config.userpass === undefined) return undefined;
    if (known !== undefined) return known;
    const path = `sys/auth/${encodedPath(config.userpass.mount)}`;
    const { data } = await client.send({ operation: 'discover', method: 'GET', path, accept: [400, 404] }, ctx);
    const accessor = data['accessor'];
    if (typeof accessor !== 'string') {
      throw new ConnectorError({
        code: 'INVALID',
        operation: 'discover',
        sent: false,
        targetCode: 'no-userpass-mount',
      });
    }
    return (known = accessor);
  };
}

function entityOf(data: JsonObject, accessor: string | undefined): Entity {
  const alias = asList(data['aliases'])
    .map(asObject)
    .find((one) => accessor !== undefined && one['mount_accessor'] === accessor);
  const metadata = Object.entries(asObject(data['metadata'])).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  );
  const [id, name, disabled, userName] = [data['id'], data['name'], data['disabled'], alias?.['name']];
  return {
    id: typeof id === 'string' ? id : '',
    name: typeof name === 'string' ? name : '',
    disabled: typeof disabled === 'boolean' ? disabled : undefined,
    metadata: Object.fromEntries(metadata),
    policies: asTexts(data['policies']),
    groupIds: asTexts(data['direct_group_ids']),
    userName: typeof userName === 'string' ? userName : undefined,
  };
}

/** Reads one entity; undefined when there is none. Refuses every object class but accounts. */
export async function readEntity(
  vault: VaultContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
  road?: Send,
): Promise<Entity | undefined> {
  requireAccount(ref.objectClass, operation);
  const path = `identity/entity/id/${encodeURIComponent(ref.nativeId)}`;
  const accessor = await vault.accessor(ctx);
  const answer = await vault.client.send({ operation, method: 'GET', path, accept: [404] }, ctx, road);
  return answer.status === 404 ? undefined : entityOf(answer.data, accessor);
}

/** As `readEntity`; raises NOT_FOUND. */
export async function requireEntity(
  vault: VaultContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<Entity> {
  const entity = await readEntity(vault, ref, operation, ctx);
  if (entity === undefined) throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  return entity;
}

/** The entity somebody signs in as: by its alias in the userpass mount, else by its name. The name travels in the body, never in a path. */
export async function entityByLogin(
  vault: VaultContext,
  login: string,
  operation: string,
  ctx: OperationContext,
): Promise<Entity | undefined> {
  const accessor = await vault.accessor(ctx);
  const lookup = async (body: JsonObject): Promise<Entity | undefined> => {
    const request = { operation, method: 'POST', path: 'identity/lookup/entity', body } as const;
    const { status, data } = await vault.client.send(request, ctx);
    return status === 204 ? undefined : entityOf(data, accessor);
  };
  const byAlias =
    accessor === undefined ? undefined : await lookup({ alias_name: login, alias_mount_accessor: accessor });
  const found = byAlias ?? (await lookup({ name: login }));
  // Vault compares names without case, and an entity that signs in under another name is not this login's.
  return found !== undefined && loginOf(found) === login ? found : undefined;
}

export function loginOf(entity: Entity): string {
  return entity.userName ?? entity.name;
}

export function refOf(vault: VaultContext, nativeId: string): AccountRef {
  return { application: vault.application, objectClass: 'account', nativeId };
}

/** Where the user of a login is. */
export function userPath(mount: string, login: string): string {
  return `auth/${encodedPath(mount)}/users/${encodeURIComponent(login)}`;
}

/** True when the userpass mount has the user; true, too, where no mount is configured: then nothing is missing. */
export async function hasUser(
  vault: VaultContext,
  login: string,
  operation: string,
  ctx: OperationContext,
  road?: Send,
): Promise<boolean> {
  const { userpass } = vault.config;
  if (userpass === undefined) return true;
  const request = { operation, method: 'GET', path: userPath(userpass.mount, login), accept: [404] } as const;
  return (await vault.client.send(request, ctx, road)).status !== 404;
}

/** An enabled entity that Tenure made and that has no alias yet is half an account: nobody can sign in, and it is not called enabled. */
function statusOf(vault: VaultContext, entity: Entity): AccountStatus {
  if (entity.disabled === true) return 'disabled';
  const isHalf =
    vault.config.userpass !== undefined && entity.userName === undefined && entity.metadata['externalId'] !== undefined;
  return entity.disabled === undefined || isHalf ? 'unknown' : 'enabled';
}

export function observe(
  vault: VaultContext,
  entity: Entity,
  entitlements: readonly string[] | undefined,
): ObservedAccount {
  return {
    ref: refOf(vault, entity.id),
    login: loginOf(entity),
    status: statusOf(vault, entity),
    attributes: { ...entity.metadata, policies: entity.policies },
    entitlements,
  };
}
