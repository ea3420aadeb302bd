import type {
  Capabilities,
  Connector,
  ConnectorOperation,
  Finding,
  Health,
  OperationContext,
  TargetSchema,
} from '../connector.js';
import { isConnectorError } from '../errors.js';
import type { ConnectorFactory } from '../registry.js';
import type { SecretResolver } from '../secret.js';
import { compareState } from '../shared/compare.js';
import { resolveBaseUrl, resolveTls } from '../shared/http/config.js';
import { createVaultClient } from '../shared/vault/client.js';
import type { VaultCredential } from '../shared/vault/client.js';
import {
  deleteAccount,
  findAccounts,
  getAccount,
  listAccounts,
  sealAccount,
  setDisabled,
  setPassword,
  updateAccount,
} from './accounts.js';
import type { VaultConfig } from './config.js';
import { vaultConfigSchema } from './config.js';
import { createAccount } from './create.js';
import type { VaultContext } from './entities.js';
import { createAccessor, hasUser, observe, readEntity } from './entities.js';
import { createMembership, heldOf, listMembers } from './groups.js';
import { checkIn, listPrivileges } from './privileges.js';
import { listSessions, revokeSessions, tokensOf } from './sessions.js';
import { probeSignIn } from './sign-in.js';
import { measureHealth } from '../shared/health.js';
import { describeKind, factoryOf } from '../shared/factory.js';
import { resetBy } from '../shared/reset.js';

export const vaultDescriptor = describeKind('vault', 'HashiCorp Vault (identity, userpass, leases)', vaultConfigSchema);

/** The connector for Vault's identities and what they have out; see docs/connectors/vault.md. */
export const vaultFactory: ConnectorFactory = factoryOf(
  vaultDescriptor,
  vaultConfigSchema,
  (application, config, { secrets }) => {
    const client = createVaultClient({
      address: resolveBaseUrl(application, config.address, secrets),
      namespace: config.namespace,
      credential: credentialOf(config, secrets),
      tls: resolveTls(config.tls, secrets),
      timeoutMs: config.requestTimeoutMs,
    });
    return createVaultConnector({ application, config, client, accessor: createAccessor(client, config) });
  },
);

function credentialOf({ auth }: VaultConfig, secrets: SecretResolver): VaultCredential {
  return 'token' in auth
    ? { how: 'token', token: secrets(auth.token) }
    : { how: 'approle', roleId: secrets(auth.roleId), secretId: secrets(auth.secretId), mount: auth.mount };
}

/** What a configuration makes possible: data only, no request. */
export function vaultCapabilities(config: VaultConfig): Capabilities {
  const operations: ConnectorOperation[] = ['list', 'get', 'find', 'create', 'update', 'disable', 'enable', 'delete'];
  if (config.userpass !== undefined) operations.push('seal');
  if (config.groups) operations.push('listMembers', 'addMember', 'removeMember');
  if (config.sessions) operations.push('listSessions', 'revokeSessions');
  if (config.userpass !== undefined) operations.push('setSecret', 'resetCredentials');
  if (config.privileges !== undefined) operations.push('listPrivileges', 'checkIn');
  if (config.userpass !== undefined) operations.push('probeSignIn');
  operations.push('verify');
  return {
    objectClasses: { account: { operations, findBy: [] } },
    signInProbe: config.userpass !== undefined,
    atomicSeal: false,
    entitlements: config.groups,
    rename: false,
    sessions: config.sessions,
    archive: false,
    consistencyWindowMs: 0,
  };
}

function createVaultConnector(vault: VaultContext): Connector {
  const { config, client } = vault;
  return {
    descriptor: vaultDescriptor,
    capabilities: () => vaultCapabilities(config),
    schema: () => Promise.resolve(schemaOf(config)),
    health: (ctx) => health(vault, ctx),
    validate: (ctx) => validate(vault, ctx),
    close: () => client.close(),
    list: (query, ctx) => listAccounts(vault, query, ctx),
    get: (ref, ctx) => getAccount(vault, ref, ctx),
    find: (by, ctx) => findAccounts(vault, by, ctx),
    create: (spec, ctx) => createAccount(vault, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(vault, ref, delta, ctx),
    disable: (ref, ctx) => setDisabled(vault, ref, true, 'disable', ctx),
    enable: (ref, ctx) => setDisabled(vault, ref, false, 'enable', ctx),
    delete: (ref, ctx) => deleteAccount(vault, ref, ctx),
    verify: (expected, ctx) => verify(vault, expected, ctx),
    ...(config.groups ? groupOperations(vault) : {}),
    ...(config.userpass === undefined ? {} : userOperations(vault, config.userpass.mount)),
    ...beyondOperations(vault),
  };
}

function groupOperations(vault: VaultContext): Partial<Connector> {
  const setMember = createMembership(vault);
  return {
    listMembers: (group, cursor, ctx) => listMembers(vault, group, cursor, ctx),
    addMember: (group, ref, ctx) => setMember(group, ref, true, ctx),
    removeMember: (group, ref, ctx) => setMember(group, ref, false, ctx),
  };
}

function userOperations(vault: VaultContext, mount: string): Partial<Connector> {
  return {
    seal: (ref, secret, ctx) => sealAccount(vault, ref, secret, ctx),
    setSecret: (ref, secret, ctx) => setPassword(vault, ref, secret, 'setSecret', ctx),
    resetCredentials: resetBy((ref, secret, ctx) => setPassword(vault, ref, secret, 'resetCredentials', ctx)),
    probeSignIn: (login, secret, ctx) => probeSignIn(vault, mount, login, secret, ctx),
  };
}

function beyondOperations(vault: VaultContext): Partial<Connector> {
  const { sessions, privileges } = vault.config;
  return {
    ...(sessions
      ? {
          listSessions: (ref, ctx) => listSessions(vault, ref, ctx),
          revokeSessions: (ref, ctx) => revokeSessions(vault, ref, ctx),
        }
      : {}),
    ...(privileges === undefined
      ? {}
      : {
          listPrivileges: (ref, ctx) => listPrivileges(vault, privileges, ref, ctx),
          checkIn: (ref, ctx) => checkIn(vault, privileges, ref, ctx),
        }),
  };
}

/** Reads on a connection of its own: the entity, whether its user is there, and membership from the groups' side. */
async function verify(...[vault, expected, ctx]: [VaultContext, ...Parameters<Connector['verify']>]) {
  return vault.client.onOwnConnection(async (send) => {
    const entity = await readEntity(vault, expected.ref, 'verify', ctx, send);
    const names = [...(expected.entitlementsPresent ?? []), ...(expected.entitlementsAbsent ?? [])];
    const road = names.length > 0 ? 'vault:own-connection+groups' : 'vault:own-connection';
    if (entity === undefined) return compareState(expected, undefined, road);
    const held = names.length > 0 ? await heldOf(vault, names, entity.id, ctx, send) : undefined;
    const seen = observe(vault, entity, held);
    const isWhole =
      seen.status !== 'enabled' ||
      entity.userName === undefined ||
      (await hasUser(vault, entity.userName, 'verify', ctx, send));
    return compareState(expected, isWhole ? seen : { ...seen, status: 'unknown' }, road);
  });
}

function health(vault: VaultContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(() =>
    vault.client.send({ operation: 'health', method: 'GET', path: 'auth/token/lookup-self' }, ctx),
  );
}

/** Tries every read that the configured operations begin with. */
async function validate(vault: VaultContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const nobody = { application: vault.application, objectClass: 'account', nativeId: 'nobody' };
  const reads: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['the userpass mount', () => vault.accessor(ctx)],
    ['entities', () => readEntity(vault, nobody, 'validate', ctx)],
    ...(vault.config.sessions ? [['tokens', () => tokensOf(vault, '', 'validate', ctx)] as const] : []),
  ];
  const findings: Finding[] = [];
  for (const [what, read] of reads) {
    try {
      await read();
    } catch (error) {
      const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
      findings.push({ severity: 'error', code, message: `${what} cannot be read` });
    }
  }
  if (vault.config.userpass === undefined) {
    findings.push({
      severity: 'warning',
      code: 'no-sign-in',
      message: 'no userpass mount is configured: cuts are proven by reading only',
    });
  }
  return findings;
}

function schemaOf(config: VaultConfig): TargetSchema {
  const text = (name: string, required: boolean) => ({ name, type: 'string' as const, required, writable: true });
  const policies = { name: 'policies', type: 'strings', required: false, writable: true } as const;
  const metadata = ['externalId', ...config.attributes].map((name) => text(name, false));
  return { objectClasses: [{ name: 'account', attributes: [text('login', true), ...metadata, policies] }] };
}
