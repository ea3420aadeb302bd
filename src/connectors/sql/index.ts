import type { Capabilities, Connector, ConnectorOperation, Finding, Health, OperationContext } from '../connector.js';
import { isConnectorError } from '../errors.js';
import type { ConnectorFactory } from '../registry.js';
import { Secret } from '../secret.js';
import { setEnabled, setVerifier, updateAccount } from './accounts.js';
import type { SqlContext } from './context.js';
import { SqlDatabase } from '../shared/sql/client.js';
import type { SqlConfig } from './config.js';
import { sqlConfigSchema } from './config.js';
import { createAccount } from './create.js';
import type { OwnershipDialect } from '../shared/sql/dialect.js';
import { dialects } from '../shared/sql/dialects/index.js';
import type { SqlDrivers } from '../shared/sql/driver.js';
import { drivers as shippedDrivers } from '../shared/sql/drivers/index.js';
import { changeRole, listMembers } from './entitlements.js';
import { listOwned, transferOwned } from './owned.js';
import { archiveAccount, deleteAccount } from './removal.js';
import { findAccounts, getAccount, listAccounts } from './reads.js';
import { readSchema, schemaFindings } from './schema.js';
import type { Logins } from './sign-in.js';
import { listSessions, probeSignIn, revokeSessions } from './sign-in.js';
import { buildStatements } from './statements.js';
import { targetOf } from '../shared/sql/target.js';
import { verify } from './verify.js';
import { measureHealth } from '../shared/health.js';
import { describeKind, factoryOf } from '../shared/factory.js';

export const sqlDescriptor = describeKind(
  'sql',
  'SQL database (Postgres, MariaDB; MySQL, SQL Server and Oracle unproven)',
  sqlConfigSchema,
);

/** The connector for applications that keep their accounts in a database, with these drivers; see docs/connectors/sql.md. */
export function createSqlFactory(drivers: SqlDrivers): ConnectorFactory {
  return factoryOf(sqlDescriptor, sqlConfigSchema, (application, config, deps) => {
    const dialect = dialects[config.dialect];
    const driver = drivers[config.dialect];
    const statements = buildStatements(application, config, dialect);
    const target = targetOf(application, config, deps.secrets);
    const logins =
      config.logins === undefined || dialect.logins === undefined
        ? undefined
        : { dialect: dialect.logins, settings: config.logins };
    const database = new SqlDatabase(target, { ...config, attributeOf: attributesByColumn(config) }, dialect, driver);
    return createSqlConnector({ application, config, dialect, logins, target, driver, database, statements });
  });
}

export const sqlFactory: ConnectorFactory = createSqlFactory(shippedDrivers);

function attributesByColumn(config: SqlConfig): (column: string) => string | undefined {
  const byColumn = new Map(Object.entries(config.attributes).map(([name, { column }]) => [column, name]));
  byColumn.set(config.accounts.login, 'login');
  return (column) => byColumn.get(column);
}

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
    if (dialects[config.dialect].logins?.ownership !== undefined) {
      operations.push('listOwned', 'transferOwned');
    }
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
  const { config, database, logins } = sql;
  return {
    descriptor: sqlDescriptor,
    capabilities: () => sqlCapabilities(config),
    schema: (ctx) => readSchema(sql, ctx),
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
    ...(logins === undefined ? {} : loginOperations(sql, logins)),
    ...ownershipOperations(sql, logins?.dialect.ownership),
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

function loginOperations(sql: SqlContext, logins: Logins): Partial<Connector> {
  return {
    seal: async (ref, secret, ctx) => {
      const verifier = await logins.dialect.verifier(secret.reveal());
      return { ...(await setEnabled(sql, ref, false, 'seal', ctx, verifier)), atomic: true };
    },
    listSessions: (ref, ctx) => listSessions(sql, logins, ref, ctx),
    revokeSessions: (ref, ctx) => revokeSessions(sql, logins, ref, ctx),
    setSecret: async (ref, secret, ctx) =>
      setVerifier(sql, ref, await logins.dialect.verifier(secret.reveal()), 'setSecret', ctx),
    resetCredentials: async (ref, sink, ctx) => {
      const secret = Secret.random();
      const verifier = await logins.dialect.verifier(secret.reveal());
      let secretReference = '';
      const result = await setVerifier(sql, ref, verifier, 'resetCredentials', ctx, async () => {
        secretReference = (await sink.put(secret)).reference;
      });
      return { ...result, secretReference };
    },
    probeSignIn: (login, secret, ctx) => probeSignIn(sql, logins, login, secret, ctx),
  };
}

function ownershipOperations(sql: SqlContext, ownership: OwnershipDialect | undefined): Partial<Connector> {
  return ownership === undefined
    ? {}
    : {
        listOwned: (ref, ctx) => listOwned(sql, ownership, ref, ctx),
        transferOwned: (ref, heir, ctx) => transferOwned(sql, ownership, ref, heir, ctx),
      };
}

function health(sql: SqlContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(() => sql.database.reading('health', ctx, (session) => session.read(sql.dialect.ping)));
}

async function validate(sql: SqlContext, ctx: OperationContext): Promise<readonly Finding[]> {
  try {
    await sql.database.reading('validate', ctx, (session) => session.read(sql.statements.firstPage(1)));
  } catch (error) {
    const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
    const missing = isConnectorError(error) ? /^npm-install-(\w+)$/.exec(error.targetCode ?? '')?.[1] : undefined;
    const message =
      missing === undefined
        ? 'the configured tables and columns cannot be read'
        : `the driver is not installed: npm install ${missing}`;
    return [{ severity: 'error', code, message }];
  }
  const findings = [...(await schemaFindings(sql, ctx).catch(() => []))];
  if (sql.config.logins === undefined) {
    const message = 'no log-ins are configured: cuts are proven by reading only';
    findings.push({ severity: 'warning', code: 'no-sign-in', message });
  }
  return findings;
}
