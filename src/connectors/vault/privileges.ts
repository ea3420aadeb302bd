import type { AccountRef, MutationResult, OperationContext, PrivilegeList } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { asObject } from '../shared/http/json.js';
import { encodedPath } from '../shared/vault/client.js';
import type { VaultConfig } from './config.js';
import type { Entity, VaultContext } from './entities.js';
import { asTexts, loginOf, requireEntity } from './entities.js';
import { revokeTokens, tokensOf } from './sessions.js';

type PrivilegesConfig = NonNullable<VaultConfig['privileges']>;

/** What is out: tokens (with every lease that hangs on one), leases of the person's own prefixes, and service accounts of libraries. */
interface Out {
  readonly tokens: readonly string[];
  readonly leases: readonly string[];
  readonly borrowed: readonly { readonly library: string; readonly name: string }[];
}

export async function listPrivileges(
  vault: VaultContext,
  config: PrivilegesConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<PrivilegeList> {
  const entity = await requireEntity(vault, ref, 'listPrivileges', ctx);
  const out = await read(vault, config, entity, 'listPrivileges', ctx);
  return {
    leases: out.leases.length,
    sessions: out.tokens.length,
    checkedOut: out.borrowed.length,
    road: 'vault:accessors+leases+libraries',
  };
}

/**
 * Tokens first, so that nothing new is taken with them; then leases, each by itself and waited for; then check-outs, whose
 * passwords Vault rotates. What is left when all was asked for (the database was away) is UNAVAILABLE: repeating ends the rest.
 */
export async function checkIn(
  vault: VaultContext,
  config: PrivilegesConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'checkIn';
  const entity = await requireEntity(vault, ref, operation, ctx);
  const out = await read(vault, config, entity, operation, ctx);
  if (out.tokens.length + out.leases.length + out.borrowed.length === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const write = (path: string, body: Readonly<Record<string, string | boolean | readonly string[]>>) =>
    // 400: it ended by itself meanwhile, or it could not be ended; the last look tells.
    vault.client.send({ operation, method: 'POST', path, body, write: true, accept: [400, 404] }, ctx);
  if (out.tokens.length > 0) await revokeTokens(vault, entity, out.tokens, operation, ctx);
  for (const lease of out.leases) await write('sys/leases/revoke', { lease_id: lease, sync: true });
  for (const { library, name } of out.borrowed) {
    await write(`${encodedPath(library.replace('/library/', '/library/manage/'))}/check-in`, {
      service_account_names: [name],
    });
  }
  const left = await read(vault, config, entity, operation, ctx);
  if (left.tokens.length + left.leases.length + left.borrowed.length > 0) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: true, ref, targetCode: 'not-ended' });
  }
  return { outcome: 'applied', ref, changed: [] };
}

async function read(
  vault: VaultContext,
  config: PrivilegesConfig,
  entity: Entity,
  operation: string,
  ctx: OperationContext,
): Promise<Out> {
  const prefixes = config.leases.map((prefix) =>
    encodedPath(prefix.replaceAll('{login}', loginOf(entity)).replaceAll('{id}', entity.id)),
  );
  const [tokens, leases, borrowed] = await Promise.all([
    tokensOf(vault, entity.id, operation, ctx),
    Promise.all(prefixes.map((prefix) => leasesBelow(vault, prefix, operation, ctx))),
    Promise.all(config.libraries.map((library) => borrowedOf(vault, library, entity.id, operation, ctx))),
  ]);
  return { tokens, leases: leases.flat(), borrowed: borrowed.flat() };
}

async function leasesBelow(
  vault: VaultContext,
  prefix: string,
  operation: string,
  ctx: OperationContext,
): Promise<readonly string[]> {
  const path = `sys/leases/lookup/${prefix}?list=true`;
  const { data } = await vault.client.send({ operation, method: 'GET', path, accept: [404] }, ctx);
  const keys = asTexts(data['keys']);
  const deeper = await Promise.all(
    keys
      .filter((key) => key.endsWith('/'))
      .map((key) => leasesBelow(vault, `${prefix}/${encodedPath(key.slice(0, -1))}`, operation, ctx)),
  );
  return [...keys.filter((key) => !key.endsWith('/')).map((key) => `${prefix}/${key}`), ...deeper.flat()];
}

/** Vault writes down which entity borrowed a service account. */
async function borrowedOf(
  vault: VaultContext,
  library: string,
  entityId: string,
  operation: string,
  ctx: OperationContext,
): Promise<Out['borrowed']> {
  const path = `${encodedPath(library)}/status`;
  const { data } = await vault.client.send({ operation, method: 'GET', path }, ctx);
  return Object.entries(data)
    .filter(([, status]) => {
      const { available, borrower_entity_id: borrower } = asObject(status);
      return available === false && borrower === entityId;
    })
    .map(([name]) => ({ library, name }));
}
