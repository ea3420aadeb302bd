import type { Capabilities, Connector, ConnectorOperation } from '../connector.js';
import type { ConnectorFactory } from '../registry.js';
import { compareState } from '../shared/compare.js';
import { resolveBaseUrl, resolveTls } from '../shared/http/config.js';
import { createAccount, deleteAccount, findAccounts, getAccount, keyName, updateAccount } from './accounts.js';
import type { RealmContext } from './client.js';
import { createRealmHttp, readUser } from './client.js';
import type { IdentityProviderConfig } from './config.js';
import { identityProviderConfigSchema } from './config.js';
import { listCredentials, revokeCredentials } from './credentials.js';
import { entitlementsOf, listMembers, setMember } from './entitlements.js';
import { listAccounts } from './list.js';
import { listSessions, revokeSessions } from './sessions.js';
import type { SignInClient } from './sign-in.js';
import { probeSignIn } from './sign-in.js';
import { archiveAccount, disableAccount, enableAccount, sealAccount, setPassword } from './state.js';
import { observe } from './users.js';
import { health, schemaOf, validate } from './validate.js';
import { describeKind, factoryOf } from '../shared/factory.js';
import { resetBy } from '../shared/reset.js';

export const identityProviderDescriptor = describeKind(
  'identity-provider',
  'Keycloak (admin API)',
  identityProviderConfigSchema,
);

/** The connector for a realm of Keycloak; see docs/connectors/identity-provider.md for its configuration. */
export const identityProviderFactory: ConnectorFactory = factoryOf(
  identityProviderDescriptor,
  identityProviderConfigSchema,
  (application, config, deps) => {
    const baseUrl = resolveBaseUrl(application, config.baseUrl, deps.secrets);
    const secret = deps.secrets(config.client.secret);
    const http = createRealmHttp(config, baseUrl, secret, resolveTls(config.tls, deps.secrets));
    const { signIn } = config;
    const probe = signIn && {
      id: signIn.client,
      secret: signIn.secret === undefined ? undefined : deps.secrets(signIn.secret),
    };
    return createConnector({ application, config, baseUrl, http }, probe);
  },
);

function hasEntitlements({ entitlements }: IdentityProviderConfig): boolean {
  return entitlements.groups || entitlements.realmRoles || entitlements.clientRoles.length > 0;
}

/** What a configuration makes possible: data only, no request. */
export function identityProviderCapabilities(config: IdentityProviderConfig): Capabilities {
  const members: ConnectorOperation[] = ['listMembers', 'addMember', 'removeMember'];
  const operations: ConnectorOperation[] = [
    ...(['list', 'get', 'find', 'create', 'update', 'disable', 'enable', 'delete'] as const),
    ...(config.archive === undefined ? [] : (['archive'] as const)),
    'seal',
    ...(hasEntitlements(config) ? members : []),
    ...(['listSessions', 'revokeSessions', 'setSecret', 'resetCredentials'] as const),
    ...(['listCredentials', 'revokeCredentials'] as const),
    ...(config.signIn === undefined ? [] : (['probeSignIn'] as const)),
    'verify',
  ];
  return {
    objectClasses: { account: { operations, findBy: ['*'] } },
    signInProbe: config.signIn !== undefined,
    atomicSeal: true,
    entitlements: hasEntitlements(config),
    rename: config.rename,
    sessions: true,
    archive: config.archive !== undefined,
    consistencyWindowMs: config.consistencyWindowMs,
    adoptionKey: keyName({ config }),
  };
}

function createConnector(realm: RealmContext, probe: SignInClient | undefined): Connector {
  const { config, http } = realm;
  const { archive } = config;
  return {
    descriptor: identityProviderDescriptor,
    capabilities: () => identityProviderCapabilities(config),
    schema: () => Promise.resolve(schemaOf(realm)),
    health: (ctx) => health(realm, ctx),
    validate: (ctx) => validate(realm, ctx),
    close: () => http.close(),
    list: (query, ctx) => listAccounts(realm, query, ctx),
    get: (ref, ctx) => getAccount(realm, ref, ctx),
    find: (by, ctx) => findAccounts(realm, by, ctx),
    create: (spec, ctx) => createAccount(realm, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(realm, ref, delta, ctx),
    disable: (ref, ctx) => disableAccount(realm, ref, ctx),
    enable: (ref, ctx) => enableAccount(realm, ref, ctx),
    delete: (ref, ctx) => deleteAccount(realm, ref, ctx),
    verify: (expected, ctx) => verify(realm, expected, ctx),
    ...(archive === undefined ? {} : { archive: (ref, ctx) => archiveAccount(realm, archive, ref, ctx) }),
    ...(hasEntitlements(config) ? memberOperations(realm) : {}),
    ...secretOperations(realm),
    listSessions: (ref, ctx) => listSessions(realm, ref, ctx),
    revokeSessions: (ref, ctx) => revokeSessions(realm, ref, ctx),
    listCredentials: (ref, ctx) => listCredentials(realm, ref, ctx),
    revokeCredentials: (ref, ctx) => revokeCredentials(realm, ref, ctx),
    ...(probe === undefined
      ? {}
      : { probeSignIn: (login, secret, ctx) => probeSignIn(realm, probe, login, secret, ctx) }),
  };
}

function memberOperations(realm: RealmContext): Partial<Connector> {
  return {
    listMembers: (group, cursor, ctx) => listMembers(realm, group, cursor, ctx),
    addMember: (group, ref, ctx) => setMember(realm, group, ref, true, 'addMember', ctx),
    removeMember: (group, ref, ctx) => setMember(realm, group, ref, false, 'removeMember', ctx),
  };
}

function secretOperations(realm: RealmContext): Partial<Connector> {
  return {
    seal: (ref, secret, ctx) => sealAccount(realm, ref, secret, ctx),
    setSecret: (ref, secret, ctx) => setPassword(realm, ref, secret, 'setSecret', ctx),
    resetCredentials: resetBy((ref, secret, ctx) => setPassword(realm, ref, secret, 'resetCredentials', ctx)),
  };
}

/** Reads on a connection of its own. */
async function verify(...[realm, expected, ctx]: [RealmContext, ...Parameters<Connector['verify']>]) {
  return realm.http.onOwnConnection(async (send) => {
    const user = await readUser(realm, expected.ref, 'verify', ctx, send);
    const asked = (expected.entitlementsPresent?.length ?? 0) + (expected.entitlementsAbsent?.length ?? 0) > 0;
    const held =
      user !== undefined && asked ? await entitlementsOf(realm, expected.ref.nativeId, 'verify', ctx, send) : undefined;
    const seen = user === undefined ? undefined : await observe(realm, user, held, 'verify', ctx, send);
    return compareState(expected, seen, 'keycloak:own-connection');
  });
}
