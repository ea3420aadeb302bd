import { z } from 'zod';
import type {
  Capabilities,
  Connector,
  ConnectorDescriptor,
  ConnectorOperation,
  Finding,
  Health,
  OperationContext,
  TargetSchema,
} from '../connector.js';
import { isConnectorError } from '../errors.js';
import type { ConnectorFactory } from '../registry.js';
import { parseConfig } from '../registry.js';
import { Secret } from '../secret.js';
import {
  createAccount,
  findAccounts,
  getAccount,
  listAccounts,
  setEnabled,
  setVerifier,
  updateAccount,
} from './accounts.js';
import type { SqlContext } from './client.js';
import { SqlDatabase } from './client.js';
import type { SqlConfig } from './config.js';
import { sqlConfigSchema } from './config.js';
import { passwordVerifier, postgres } from './dialect.js';
import { changeRole, listMembers } from './entitlements.js';
import { archiveAccount, deleteAccount } from './removal.js';
import { listSessions, probeSignIn, revokeSessions } from './sign-in.js';
import { buildStatements } from './statements.js';
import { verify } from './verify.js';

export const sqlDescriptor: ConnectorDescriptor = {
  kind: 'sql',
  version: '1',
  title: 'SQL database (Postgres)',
  configSchema: z.toJSONSchema(sqlConfigSchema, { io: 'input' }),
};

/** The connector for applications that keep their accounts in a database; see docs/connectors.md. */
export const sqlFactory: ConnectorFactory = {
  kind: 'sql',
  descriptor: sqlDescriptor,
  configSchema: sqlConfigSchema,
  create: (application, rawConfig, deps) => {
    const config = parseConfig(sqlConfigSchema, application, rawConfig);
    const url = deps.secrets(config.url).reveal();
    const statements = buildStatements(application, config, postgres);
    const database = new SqlDatabase(url, config, postgres);
    return createSqlConnector({ application, config, dialect: postgres, url, database, statements });
  },
};

/** What a configuration makes possible: data only, no request. */
export function sqlCapabilities(config: SqlConfig): Capabilities {
  const operations: ConnectorOperation[] = ['list', 'get', 'find', 'create', 'update', 'disable', 'enable', 'delete'];
  if (config.archive !== undefined) {
    operations.push('archive');
  }
  if (config.logins !== undefined) {
    operations.push('seal');
  }
  if (config.entitlements !== undefined) {
    operations.push('listMembers', 'addMember', 'removeMember');
  }
  if (config.logins !== undefined) {
    operations.push('listSessions', 'revokeSessions', 'setSecret', 'resetCredentials', 'probeSignIn');
  }
  operations.push('verify');
  return {
    objectClasses: { account: { operations, findBy: Object.keys(config.attributes) } },
    signInProbe: config.logins !== undefined,
    atomicSeal: config.logins !== undefined,
    entitlements: config.entitlements !== undefined,
    rename: true,
    sessions: config.logins !== undefined,
    archive: config.archive !== undefined,
    consistencyWindowMs: config.consistencyWindowMs,
    adoptionKey: config.adoptionKey,
  };
}

function createSqlConnector(sql: SqlContext): Connector {
  const { config, database } = sql;
  return {
    descriptor: sqlDescriptor,
    capabilities: () => sqlCapabilities(config),
    schema: () => Promise.resolve(schemaOf(config)),
    health: (ctx) => health(sql, ctx),
    validate: (ctx) => validate(sql, ctx),
    close: () => database.close(),
    list: (query, ctx) => listAccounts(sql, query, ctx),
    get: (ref, ctx) => getAccount(sql, ref, ctx),
    find: (by, ctx) => findAccounts(sql, by, ctx),
    create: (spec, ctx) => createAccount(sql, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(sql, ref, delta, ctx),
    disable: (ref, ctx) => setEnabled(sql, ref, false, 'disable', ctx),
    enable: (ref, ctx) => setEnabled(sql, ref, true, 'enable', ctx),
    delete: (ref, ctx) => deleteAccount(sql, ref, ctx),
    verify: (expected, ctx) => verify(sql, expected, ctx),
    ...archiveOperation(sql),
    ...entitlementOperations(sql),
    ...(config.logins === undefined ? {} : loginOperations(sql)),
  };
}

function archiveOperation(sql: SqlContext): Partial<Connector> {
  const { archive } = sql.config;
  return archive === undefined ? {} : { archive: (ref, ctx) => archiveAccount(sql, archive.column, ref, ctx) };
}

function entitlementOperations(sql: SqlContext): Partial<Connector> {
  const { entitlements } = sql.config;
  return entitlements === undefined
    ? {}
    : {
        listMembers: (group, cursor, ctx) => listMembers(sql, entitlements, group, cursor, ctx),
        addMember: (group, ref, ctx) => changeRole(sql, entitlements, group, ref, true, ctx),
        removeMember: (group, ref, ctx) => changeRole(sql, entitlements, group, ref, false, ctx),
      };
}

function loginOperations(sql: SqlContext): Partial<Connector> {
  return {
    seal: async (ref, secret, ctx) => {
      const verifier = await passwordVerifier(secret.reveal());
      return { ...(await setEnabled(sql, ref, false, 'seal', ctx, verifier)), atomic: true };
    },
    listSessions: (ref, ctx) => listSessions(sql, ref, ctx),
    revokeSessions: (ref, ctx) => revokeSessions(sql, ref, ctx),
    setSecret: async (ref, secret, ctx) =>
      setVerifier(sql, ref, await passwordVerifier(secret.reveal()), 'setSecret', ctx),
    resetCredentials: async (ref, sink, ctx) => {
      const secret = Secret.random();
      const verifier = await passwordVerifier(secret.reveal());
      let secretReference = '';
      const result = await setVerifier(sql, ref, verifier, 'resetCredentials', ctx, async () => {
        secretReference = (await sink.put(secret)).reference;
      });
      return { ...result, secretReference };
    },
    probeSignIn: (login, secret, ctx) => probeSignIn(sql, login, secret, ctx),
  };
}

async function health(sql: SqlContext, ctx: OperationContext): Promise<Health> {
  const started = performance.now();
  try {
    await sql.database.reading('health', ctx, (session) => session.read('select 1 as one'));
    return { ok: true, latencyMs: performance.now() - started };
  } catch (error) {
    const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
    return { ok: false, code, latencyMs: performance.now() - started };
  }
}

async function validate(sql: SqlContext, ctx: OperationContext): Promise<readonly Finding[]> {
  try {
    await sql.database.reading('validate', ctx, (session) => session.read(sql.statements.firstPage, [1]));
  } catch (error) {
    const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
    return [{ severity: 'error', code, message: 'the configured tables and columns cannot be read' }];
  }
  return sql.config.logins === undefined
    ? [
        {
          severity: 'warning',
          code: 'no-sign-in',
          message: 'no log-ins are configured: cuts are proven by reading only',
        },
      ]
    : [];
}

function schemaOf(config: SqlConfig): TargetSchema {
  const attributes = Object.entries(config.attributes).map(([name, { type, required, writable }]) => ({
    name,
    type,
    required,
    writable,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...attributes] }] };
}
