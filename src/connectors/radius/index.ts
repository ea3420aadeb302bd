import type { Capabilities, Connector, ConnectorOperation, Finding, OperationContext } from '../connector.js';
import { isConnectorError } from '../errors.js';
import type { SecretResolver } from '../secret.js';
import { Secret } from '../secret.js';
import { describeKind, factoryOf } from '../shared/factory.js';
import { measureHealth } from '../shared/health.js';
import { SqlDatabase } from '../shared/sql/client.js';
import { dialects } from '../shared/sql/dialects/index.js';
import { drivers } from '../shared/sql/drivers/index.js';
import { targetOf } from '../shared/sql/target.js';
import { createAccount, deleteAccount, sealAccount, setEnabled, setSecret, updateAccount } from './accounts.js';
import type { Peer } from './client.js';
import type { RadiusConfig } from './config.js';
import { radiusConfigSchema } from './config.js';
import { changeProfile, listMembers } from './entitlements.js';
import { findAccounts, getAccount, listAccounts, schemaOf, verify } from './reads.js';
import type { RadiusContext } from './rows.js';
import { listSessions, revokeSessions } from './sessions.js';
import { probeSignIn, serverProblem } from './sign-in.js';

export const radiusDescriptor = describeKind(
  'radius',
  'VPN and network access by FreeRADIUS on Postgres',
  radiusConfigSchema,
);

/** The connector for VPN access by FreeRADIUS; see docs/connectors/radius.md. */
export const radiusFactory = factoryOf(radiusDescriptor, radiusConfigSchema, (application, config, { secrets }) => {
  const dialect = dialects.postgres;
  const { requestTimeoutMs, maxConnections, tables, server } = config;
  const target = targetOf(application, { ...config, dialect: dialect.name }, secrets);
  const settings = { requestTimeoutMs, maxConnections, attributeOf: () => undefined };
  return createRadiusConnector({
    application,
    config,
    dialect,
    database: new SqlDatabase(target, settings, dialect, drivers.postgres),
    server: server === undefined ? undefined : { ...server, secret: secrets(server.secret) },
    gateways: gatewaysOf(config, secrets),
    table: (name) => `${dialect.quote(tables.schema)}.${dialect.quote(tables[name])}`,
  });
});

function gatewaysOf(config: RadiusConfig, secrets: SecretResolver): ReadonlyMap<string, Peer> {
  const gateways = Object.entries(config.sessions?.gateways ?? {});
  return new Map(
    gateways.map(([address, { host, port, secret, messageAuthenticator }]) => [
      address,
      { host: host ?? address, port, secret: secrets(secret), isOptional: messageAuthenticator === 'optional' },
    ]),
  );
}

/** What a configuration makes possible: data only, no request. */
export function radiusCapabilities(config: RadiusConfig): Capabilities {
  const operations: ConnectorOperation[] = ['list', 'get', 'find', 'create', 'update', 'disable', 'enable', 'delete'];
  operations.push('seal', 'listMembers', 'addMember', 'removeMember');
  if (config.sessions !== undefined) operations.push('listSessions', 'revokeSessions');
  // A password of the directory is not set here: a person would get a second one, for the VPN alone.
  if (config.passwords === 'local') operations.push('setSecret', 'resetCredentials');
  if (config.server !== undefined) operations.push('probeSignIn');
  operations.push('verify');
  return {
    objectClasses: { account: { operations, findBy: Object.keys(config.attributes) } },
    signInProbe: config.server !== undefined,
    atomicSeal: true,
    entitlements: true,
    rename: false,
    sessions: config.sessions !== undefined,
    archive: false,
    consistencyWindowMs: config.consistencyWindowMs,
    adoptionKey: config.adoptionKey,
  };
}

function createRadiusConnector(radius: RadiusContext): Connector {
  return {
    descriptor: radiusDescriptor,
    capabilities: () => radiusCapabilities(radius.config),
    schema: () => Promise.resolve(schemaOf(radius)),
    health: (ctx) =>
      measureHealth(() => radius.database.reading('health', ctx, (session) => session.read(radius.dialect.ping))),
    validate: (ctx) => validate(radius, ctx),
    close: () => radius.database.close(),
    list: (query, ctx) => listAccounts(radius, query, ctx),
    get: (ref, ctx) => getAccount(radius, ref, ctx),
    find: (by, ctx) => findAccounts(radius, by, ctx),
    create: (spec, ctx) => createAccount(radius, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(radius, ref, delta, ctx),
    disable: (ref, ctx) => setEnabled(radius, ref, false, ctx),
    enable: (ref, ctx) => setEnabled(radius, ref, true, ctx),
    delete: (ref, ctx) => deleteAccount(radius, ref, ctx),
    seal: (ref, secret, ctx) => sealAccount(radius, ref, secret, ctx),
    listMembers: (group, cursor, ctx) => listMembers(radius, group, cursor, ctx),
    addMember: (group, ref, ctx) => changeProfile(radius, group, ref, true, ctx),
    removeMember: (group, ref, ctx) => changeProfile(radius, group, ref, false, ctx),
    verify: (expected, ctx) => verify(radius, expected, ctx),
    ...optionalOperations(radius),
  };
}

function optionalOperations(radius: RadiusContext): Partial<Connector> {
  const { config, server } = radius;
  const sessions: Partial<Connector> = {
    listSessions: (ref, ctx) => listSessions(radius, ref, ctx),
    revokeSessions: (ref, ctx) => revokeSessions(radius, ref, ctx),
  };
  const secrets: Partial<Connector> = {
    setSecret: (ref, secret, ctx) => setSecret(radius, ref, secret, 'setSecret', ctx),
    resetCredentials: async (ref, sink, ctx) => {
      const secret = Secret.random();
      let secretReference = '';
      const result = await setSecret(radius, ref, secret, 'resetCredentials', ctx, async () => {
        secretReference = (await sink.put(secret)).reference;
      });
      return { ...result, secretReference };
    },
  };
  return {
    ...(config.sessions === undefined ? {} : sessions),
    ...(config.passwords === 'local' ? secrets : {}),
    ...(server === undefined
      ? {}
      : { probeSignIn: (login, secret, ctx) => probeSignIn(radius, server, login, secret, ctx) }),
  };
}

async function validate(radius: RadiusContext, ctx: OperationContext): Promise<readonly Finding[]> {
  try {
    await listAccounts(radius, { objectClass: 'account', pageSize: 1 }, ctx);
  } catch (error) {
    const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
    return [{ severity: 'error', code, message: 'the configured tables cannot be read' }];
  }
  if (radius.server === undefined) {
    const message = 'no server is configured: cuts are proven by reading only';
    return [{ severity: 'warning', code: 'no-sign-in', message }];
  }
  const problem = await serverProblem(radius.server, ctx);
  const message = `Status-Server was not answered (${problem}): address or shared secret`;
  return problem === undefined ? [] : [{ severity: 'error', code: 'server-silent', message }];
}
