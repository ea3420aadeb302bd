import type {
  AccountRef,
  Capabilities,
  Connector,
  ConnectorOperation,
  OperationContext,
  TargetSchema,
} from '../connector.js';
import { ConnectorConfigError } from '../errors.js';
import type { ConnectorFactory } from '../registry.js';
import { compareState } from '../shared/compare.js';
import { findAccounts, getAccount, setActive, setPassword, updateAccount } from './accounts.js';
import type { ScimContext } from './client.js';
import { createFeatures, readUser } from './client.js';
import type { ScimConfig } from './config.js';
import { scimConfigSchema } from './config.js';
import { createAccount, keyAttribute } from './create.js';
import { deleteAccount } from './delete.js';
import { addMember, listMembers, removeMember } from './groups.js';
import { createScimHttp } from './http.js';
import { resolveBaseUrl, resolveTls } from '../shared/http/config.js';
import { listAccounts } from './list.js';
import { entitlementsOf } from './memberships.js';
import { observe } from './observe.js';
import { health, validate } from './health.js';
import { isAttribute, knownAttributes } from './paths.js';
import { quirksOf } from './quirks.js';
import { listSessions, probeSignIn, putSecret, revokeSessions } from './sign-in.js';
import { requireAccount } from '../shared/object-class.js';
import { describeKind, factoryOf } from '../shared/factory.js';
import { resetBy } from '../shared/reset.js';

export const scimDescriptor = describeKind('scim', 'SCIM 2.0 (RFC 7643, RFC 7644)', scimConfigSchema);

/** The connector for SCIM 2.0 servers; see docs/connectors.md for its configuration. */
export const scimFactory: ConnectorFactory = factoryOf(
  scimDescriptor,
  scimConfigSchema,
  (application, config, deps) => {
    const quirks = quirksOf(config.quirks);
    if (quirks.adoptBy !== undefined && !isAttribute(quirks.adoptBy)) {
      throw new ConnectorConfigError(application, ['quirks.adoptBy: is no attribute of a user']);
    }
    const baseUrl = resolveBaseUrl(application, config.baseUrl, deps.secrets);
    const http = createScimHttp(
      deps.secrets(config.token),
      config.requestTimeoutMs,
      quirks,
      resolveTls(config.tls, deps.secrets),
    );
    const features = createFeatures(config, quirks, baseUrl, (call, ctx, accept) => http.send(call, ctx, accept));
    return createScimConnector({ application, config, quirks, baseUrl, http, features });
  },
);

/** What a configuration makes possible: data only, no request. */
export function scimCapabilities(config: ScimConfig): Capabilities {
  const quirks = quirksOf(config.quirks);
  const secret = config.secret !== 'none';
  const operations: ConnectorOperation[] = ['list', 'get', 'find', 'create', 'update', 'disable', 'enable'];
  if (quirks.deleteDeactivates !== true) {
    operations.push('delete');
  }
  if (config.archive !== undefined) {
    operations.push('archive');
  }
  if (config.secret === 'attribute') {
    operations.push('seal');
  }
  if (config.groups) {
    operations.push('listMembers', 'addMember', 'removeMember');
  }
  if (config.sessions !== undefined) {
    operations.push('listSessions', 'revokeSessions');
  }
  if (secret) {
    operations.push('setSecret', 'resetCredentials');
  }
  if (config.signIn !== undefined) {
    operations.push('probeSignIn');
  }
  operations.push('verify');
  const adoptionKey = keyAttribute({ quirks });
  return {
    objectClasses: { account: { operations, findBy: ['*'] } },
    signInProbe: config.signIn !== undefined,
    atomicSeal: config.secret === 'attribute',
    entitlements: config.groups,
    rename: quirks.rename !== false,
    sessions: config.sessions !== undefined,
    archive: config.archive !== undefined,
    consistencyWindowMs: config.consistencyWindowMs,
    ...(adoptionKey === undefined ? {} : { adoptionKey }),
  };
}

function createScimConnector(scim: ScimContext): Connector {
  const { config, http } = scim;
  return {
    descriptor: scimDescriptor,
    capabilities: () => scimCapabilities(config),
    schema: () => Promise.resolve(schemaOfUsers()),
    health: (ctx) => health(scim, ctx),
    validate: (ctx) => validate(scim, ctx),
    close: () => http.close(),
    list: (query, ctx) => listAccounts(scim, query, ctx),
    get: (ref, ctx) => getAccount(scim, ref, ctx),
    find: (by, ctx) => findAccounts(scim, by, ctx),
    create: (spec, ctx) => createAccount(scim, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(scim, ref, delta, ctx),
    disable: (ref, ctx) => setActive(scim, ref, false, 'disable', ctx),
    enable: (ref, ctx) => setActive(scim, ref, true, 'enable', ctx),
    ...(scim.quirks.deleteDeactivates === true
      ? {}
      : { delete: (ref: AccountRef, ctx: OperationContext) => deleteAccount(scim, ref, ctx) }),
    verify: (expected, ctx) => verify(scim, expected, ctx),
    ...(config.groups ? groupOperations(scim) : {}),
    ...(config.archive === undefined ? {} : archiveOperation(scim, config.archive)),
    ...secretOperations(scim),
    ...sessionOperations(scim),
  };
}

function groupOperations(scim: ScimContext): Pick<Required<Connector>, 'listMembers' | 'addMember' | 'removeMember'> {
  return {
    listMembers: (group, cursor, ctx) => listMembers(scim, group, cursor, ctx),
    addMember: (group, ref, ctx) => addMember(scim, group, ref, ctx),
    removeMember: (group, ref, ctx) => removeMember(scim, group, ref, ctx),
  };
}

function archiveOperation(
  scim: ScimContext,
  attributes: NonNullable<ScimConfig['archive']>,
): Pick<Required<Connector>, 'archive'> {
  const deltas = Object.entries(attributes).map(([attribute, value]) => ({ attribute, op: 'replace' as const, value }));
  return { archive: (ref, ctx) => updateAccount(scim, ref, deltas, ctx, 'archive') };
}

function secretOperations(scim: ScimContext): Partial<Connector> {
  const how = scim.config.secret;
  if (how === 'none') {
    return {};
  }
  const set: NonNullable<Connector['setSecret']> =
    how === 'attribute'
      ? (ref, secret, ctx) => setPassword(scim, ref, secret.reveal(), 'setSecret', ctx)
      : (ref, secret, ctx) => putSecret(scim, how.path, ref, secret.reveal(), 'setSecret', ctx);
  return {
    setSecret: set,
    resetCredentials: resetBy(set),
    ...(how === 'attribute'
      ? {
          seal: async (ref, secret, ctx) => {
            const result = await setActive(scim, ref, false, 'seal', ctx, secret.reveal());
            return { ...result, atomic: true };
          },
        }
      : {}),
  };
}

function sessionOperations(scim: ScimContext): Partial<Connector> {
  const { sessions, signIn } = scim.config;
  return {
    ...(sessions === undefined
      ? {}
      : {
          listSessions: (ref, ctx) => listSessions(scim, sessions.path, ref, 'listSessions', ctx),
          revokeSessions: (ref, ctx) => revokeSessions(scim, sessions.path, ref, ctx),
        }),
    ...(signIn === undefined
      ? {}
      : { probeSignIn: (login, secret, ctx) => probeSignIn(scim, signIn, login, secret, ctx) }),
  };
}

/** Reads on a connection of its own, and entitlements from the groups' side. */
async function verify(...[scim, expected, ctx]: [ScimContext, ...Parameters<Connector['verify']>]) {
  requireAccount(expected.ref.objectClass, 'verify');
  return scim.http.onOwnConnection(async (send) => {
    const found = await readUser(scim, expected.ref.nativeId, 'verify', ctx, send);
    const asked = (expected.entitlementsPresent?.length ?? 0) + (expected.entitlementsAbsent?.length ?? 0) > 0;
    const groups =
      found !== undefined && asked ? await entitlementsOf(scim, expected.ref.nativeId, 'verify', ctx, send) : undefined;
    const road = asked ? 'scim:own-connection+groups' : 'scim:own-connection';
    return compareState(expected, found === undefined ? undefined : observe(scim, found.resource, groups), road);
  });
}

function schemaOfUsers(): TargetSchema {
  const attributes = knownAttributes.map(({ name, list }) => ({
    name,
    type: list ? ('strings' as const) : ('string' as const),
    required: false,
    writable: true,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...attributes] }] };
}
