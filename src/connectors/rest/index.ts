import type { Connector } from '../connector.js';
import type { ConnectorDeps, ConnectorFactory } from '../registry.js';
import { HttpClient } from '../shared/http/client.js';
import { resolveBaseUrl, resolveTls } from '../shared/http/config.js';
import { changeState, deleteAccount, findAccounts, getAccount, listAccounts } from './accounts.js';
import { createAuthorizer } from './auth/index.js';
import { restCapabilities } from './capabilities.js';
import { health, schemaOf, validate, verify } from './checks.js';
import type { RestConfig } from './config.js';
import { restConfigSchema } from './config.js';
import type { RestContext } from './context.js';
import { runOf } from './context.js';
import { changeMember, listMembers } from './groups.js';
import { listOwned, transferOwned } from './owned.js';
import { listCredentials, listSessions, revokeCredentials, revokeSessions, setSecret } from './secrets.js';
import { probeSignIn } from './sign-in.js';
import { createTransport } from './transport.js';
import { createAccount, updateAccount } from './write-account.js';
import { describeKind, factoryOf } from '../shared/factory.js';
import { resetBy } from '../shared/reset.js';

export const restDescriptor = describeKind('rest', 'REST API, described by configuration', restConfigSchema);

/** The connector for applications with a JSON API of their own: a new one is a YAML file (docs/connectors/rest.md). */
export const restFactory: ConnectorFactory = factoryOf(restDescriptor, restConfigSchema, (application, config, deps) =>
  createRestConnector(contextOf(application, config, deps)),
);

function contextOf(application: string, config: RestConfig, deps: ConnectorDeps): RestContext {
  const { secrets } = deps;
  const urlOf = (text: string): string => resolveBaseUrl(application, text, secrets);
  const baseUrl = urlOf(config.baseUrl);
  const tls = resolveTls(config.tls, secrets);
  const timeoutMs = config.requestTimeoutMs;
  const withTls = tls === undefined ? {} : { tls };
  const http = new HttpClient({
    timeoutMs,
    connections: config.maxConnections,
    headers: config.headers,
    ...withTls,
  });
  const { values } = config;
  const authorizer = createAuthorizer(config.auth, { application, secrets, baseUrl, timeoutMs, values, ...withTls });
  const signInSecrets = Object.entries(config.signIn?.secrets ?? {}).map(([name, reference]) => {
    const secret = secrets(reference);
    return [name, () => secret.reveal()] as const;
  });
  return {
    application,
    config,
    baseUrl,
    signInBaseUrl: config.signIn?.baseUrl === undefined ? baseUrl : urlOf(config.signIn.baseUrl),
    signInSecrets: Object.fromEntries(signInSecrets),
    transport: createTransport(config, http, authorizer),
  };
}

function createRestConnector(rest: RestContext): Connector {
  return {
    descriptor: restDescriptor,
    capabilities: () => restCapabilities(rest.config),
    schema: () => Promise.resolve(schemaOf(rest)),
    health: (ctx) => health(rest, ctx),
    validate: (ctx) => validate(rest, ctx),
    close: () => rest.transport.close(),
    list: (query, ctx) => listAccounts(rest, query, ctx),
    get: (ref, ctx) => getAccount(rest, ref, ctx),
    find: (by, ctx) => findAccounts(rest, by, ctx),
    verify: (expected, ctx) => verify(rest, expected, ctx),
    ...accountOperations(rest),
    ...stateOperations(rest),
    ...groupOperations(rest),
    ...secretOperations(rest),
    ...sideOperations(rest),
  };
}

function accountOperations(rest: RestContext): Partial<Connector> {
  const { create, update, delete: remove } = rest.config.operations;
  return {
    ...(create === undefined ? {} : { create: (spec, ctx) => createAccount(rest, create, spec, ctx) }),
    ...(update === undefined ? {} : { update: (ref, deltas, ctx) => updateAccount(rest, update, ref, deltas, ctx) }),
    ...(remove === undefined ? {} : { delete: (ref, ctx) => deleteAccount(rest, ref, remove, ctx) }),
  };
}

function stateOperations(rest: RestContext): Partial<Connector> {
  const { disable, enable, archive, anonymise } = rest.config.operations;
  const operations: Partial<Connector> = {};
  if (disable !== undefined) {
    operations.disable = (ref, ctx) =>
      changeState(rest, ref, disable, (seen) => seen.observed.status === 'disabled', runOf(rest, 'disable', ctx));
  }
  if (enable !== undefined) {
    // An account in use is not archived.
    operations.enable = (ref, ctx) =>
      changeState(
        rest,
        ref,
        enable,
        (seen) => seen.observed.status === 'enabled' && !seen.archived,
        runOf(rest, 'enable', ctx),
      );
  }
  if (archive !== undefined) {
    operations.archive = (ref, ctx) =>
      changeState(rest, ref, archive, (seen) => seen.archived, runOf(rest, 'archive', ctx));
  }
  if (anonymise !== undefined) {
    operations.anonymise = (ref, ctx) =>
      changeState(rest, ref, anonymise, (seen) => seen.anonymised, runOf(rest, 'anonymise', ctx));
  }
  return operations;
}

function groupOperations(rest: RestContext): Partial<Connector> {
  const { groups } = rest.config;
  if (groups === undefined) return {};
  return {
    listMembers: (group, cursor, ctx) => listMembers(rest, groups, group, cursor, ctx),
    addMember: (group, ref, ctx) => changeMember(rest, groups, group, ref, true, ctx),
    removeMember: (group, ref, ctx) => changeMember(rest, groups, group, ref, false, ctx),
  };
}

function secretOperations(rest: RestContext): Partial<Connector> {
  const { setSecret: steps, seal, disable } = rest.config.operations;
  const operations: Partial<Connector> = {};
  if (seal !== undefined) {
    operations.seal = async (ref, secret, ctx) => {
      const result = await setSecret(rest, seal, ref, secret, runOf(rest, 'seal', ctx));
      return { ...result, atomic: true };
    };
  }
  if (steps === undefined) return operations;
  operations.setSecret = (ref, secret, ctx) => setSecret(rest, steps, ref, secret, runOf(rest, 'setSecret', ctx));
  operations.resetCredentials = resetBy((ref, secret, ctx) =>
    setSecret(rest, steps, ref, secret, runOf(rest, 'resetCredentials', ctx)),
  );
  if (seal === undefined && disable !== undefined) {
    // Closed first: the moment in between belongs to nobody.
    operations.seal = async (ref, secret, ctx) => {
      const run = runOf(rest, 'seal', ctx);
      await changeState(rest, ref, disable, (seen) => seen.observed.status === 'disabled', run);
      return { ...(await setSecret(rest, steps, ref, secret, run)), atomic: false };
    };
  }
  return operations;
}

function sideOperations(rest: RestContext): Partial<Connector> {
  const { sessions, credentials, owned, signIn } = rest.config;
  return {
    ...(sessions === undefined
      ? {}
      : {
          listSessions: (ref, ctx) => listSessions(rest, sessions, ref, ctx),
          revokeSessions: (ref, ctx) => revokeSessions(rest, sessions, ref, ctx),
        }),
    ...(credentials === undefined
      ? {}
      : {
          listCredentials: (ref, ctx) => listCredentials(rest, credentials, ref, ctx),
          revokeCredentials: (ref, ctx) => revokeCredentials(rest, credentials, ref, ctx),
        }),
    ...(owned === undefined
      ? {}
      : {
          listOwned: (ref, ctx) => listOwned(rest, owned, ref, ctx),
          transferOwned: (ref, heir, ctx) => transferOwned(rest, owned, ref, heir, ctx),
        }),
    ...(signIn === undefined
      ? {}
      : { probeSignIn: (login, secret, ctx) => probeSignIn(rest, signIn, login, secret, ctx) }),
  };
}
