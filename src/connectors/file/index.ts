import type {
  Capabilities,
  Connector,
  ConnectorOperation,
  ExpectedState,
  Finding,
  Health,
  OperationContext,
  TargetSchema,
  Verification,
} from '../connector.js';
import { isConnectorError } from '../errors.js';
import type { ConnectorFactory } from '../registry.js';
import type { SecretResolver } from '../secret.js';
import { compareState } from '../shared/compare.js';
import type { FileContext } from './accounts.js';
import {
  accountIn,
  changeEntitlement,
  createAccount,
  deleteAccount,
  findAccounts,
  getAccount,
  listAccounts,
  listMembers,
  setEnabled,
  updateAccount,
} from './accounts.js';
import { reading } from './book.js';
import type { FileConfig } from './config.js';
import { fileConfigSchema } from './config.js';
import { deltaBook } from './delta.js';
import { localStore } from './local-store.js';
import { WriteLock } from './lock.js';
import { sftpStore } from './sftp-store.js';
import { snapshotBook } from './snapshot.js';
import type { FileStore } from './store.js';
import { requireAccount } from '../shared/object-class.js';
import { describeKind, factoryOf } from '../shared/factory.js';

export const fileDescriptor = describeKind('file', 'CSV files, local or by SFTP', fileConfigSchema);

/** The connector for applications that are fed by files; see docs/connectors/file.md. */
export const fileFactory: ConnectorFactory = factoryOf(
  fileDescriptor,
  fileConfigSchema,
  (application, config, deps) => {
    return createFileConnector(application, config, storeOf(config, deps.secrets));
  },
);

function storeOf({ place, requestTimeoutMs }: FileConfig, secrets: SecretResolver): FileStore {
  if (place.kind === 'local') {
    return localStore(place.folder);
  }
  const { auth, folder, host, hostKeys, port, user } = place;
  const resolved =
    auth.method === 'password'
      ? { method: auth.method, password: secrets(auth.password) }
      : {
          method: auth.method,
          key: secrets(auth.key),
          passphrase: auth.passphrase === undefined ? undefined : secrets(auth.passphrase),
        };
  return sftpStore({ host, port, user, hostKeys, auth: resolved, connectTimeoutMs: requestTimeoutMs }, folder);
}

/** What a configuration makes possible: data only. No sign-in can be tried and no session be seen through a file. */
export function fileCapabilities(config: FileConfig): Capabilities {
  const operations: ConnectorOperation[] = ['list', 'get', 'find', 'create', 'update', 'disable', 'enable', 'delete'];
  if (config.entitlements !== undefined) {
    operations.push('listMembers', 'addMember', 'removeMember');
  }
  operations.push('verify');
  return {
    objectClasses: { account: { operations, findBy: Object.keys(config.attributes) } },
    signInProbe: false,
    atomicSeal: false,
    entitlements: config.entitlements !== undefined,
    rename: true,
    sessions: false,
    archive: false,
    consistencyWindowMs: config.consistencyWindowMs,
    adoptionKey: config.adoptionKey,
  };
}

/** Exported so that a test can put a store of its own below. */
export function createFileConnector(application: string, config: FileConfig, store: FileStore): Connector {
  const { mode } = config;
  const lockFile = mode.kind === 'snapshot' ? `${mode.file}.lock` : `${mode.changes}.lock`;
  const context = { config, store, lock: new WriteLock(store, { file: lockFile, ...config.lock }) };
  const book = mode.kind === 'snapshot' ? snapshotBook(context, mode) : deltaBook(context, mode);
  const files: FileContext = { application, config, book };
  const rights = config.entitlements;
  return {
    descriptor: fileDescriptor,
    capabilities: () => fileCapabilities(config),
    schema: () => Promise.resolve(schemaOf(config)),
    health: (ctx) => health(config, store, ctx),
    validate: (ctx) => validate(files, store, ctx),
    close: () => store.close(),
    list: (query, ctx) => listAccounts(files, query, ctx),
    get: (ref, ctx) => getAccount(files, ref, ctx),
    find: (by, ctx) => findAccounts(files, by, ctx),
    create: (spec, ctx) => createAccount(files, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(files, ref, delta, ctx),
    disable: (ref, ctx) => setEnabled(files, ref, false, 'disable', ctx),
    enable: (ref, ctx) => setEnabled(files, ref, true, 'enable', ctx),
    delete: (ref, ctx) => deleteAccount(files, ref, ctx),
    verify: (expected, ctx) => verify(files, store, expected, ctx),
    ...(rights === undefined
      ? {}
      : {
          listMembers: (group, cursor, ctx) => listMembers(files, group, cursor, ctx),
          addMember: (group, ref, ctx) => changeEntitlement(files, rights, group, ref, true, ctx),
          removeMember: (group, ref, ctx) => changeEntitlement(files, rights, group, ref, false, ctx),
        }),
  };
}

/** The file, read anew on a connection that never writes. What the target makes of it is seen only in an export. */
async function verify(
  files: FileContext,
  store: FileStore,
  expected: ExpectedState,
  ctx: OperationContext,
): Promise<Verification> {
  requireAccount(expected.ref.objectClass, 'verify');
  const other = store.another();
  try {
    const { table } = await files.book.read('verify', ctx, other);
    return compareState(expected, accountIn(files, table, expected.ref.nativeId, 'verify'), other.road);
  } finally {
    await other.close();
  }
}

async function health(config: FileConfig, store: FileStore, ctx: OperationContext): Promise<Health> {
  const started = performance.now();
  const latencyMs = (): number => performance.now() - started;
  const { mode } = config;
  const file = mode.kind === 'snapshot' ? mode.file : mode.export;
  try {
    const stat = await reading(config, 'health', ctx, (signal) => store.stat(file, signal));
    return stat === undefined
      ? { ok: false, code: 'UNAVAILABLE', latencyMs: latencyMs() }
      : { ok: true, latencyMs: latencyMs() };
  } catch (error) {
    return { ok: false, code: isConnectorError(error) ? error.code : 'UNAVAILABLE', latencyMs: latencyMs() };
  }
}

const noProof: Finding = {
  severity: 'warning',
  code: 'no-sign-in',
  message: 'no sign-in can be tried through a file: cuts are proven by reading only',
};

async function validate(files: FileContext, store: FileStore, ctx: OperationContext): Promise<readonly Finding[]> {
  try {
    const weak = await reading(files.config, 'validate', ctx, (signal) => store.weaknesses(signal));
    await files.book.read('validate', ctx);
    const findings = weak.map((code): Finding => {
      return code === 'no-posix-rename'
        ? { severity: 'error', code, message: 'the server cannot replace a file in one step: writes are refused' }
        : { severity: 'warning', code, message: 'the server cannot bring a file onto its disk when asked' };
    });
    return [noProof, ...findings];
  } catch (error) {
    if (!isConnectorError(error)) throw error;
    const where = [error.targetCode, error.attribute].filter((part) => part !== undefined).join(' ');
    return [{ severity: 'error', code: error.code, message: `the file cannot be believed: ${where}` }];
  }
}

function schemaOf(config: FileConfig): TargetSchema {
  const attributes = Object.entries(config.attributes).map(([name, { column, required, type }]) => ({
    name,
    type,
    required,
    writable: column !== config.accounts.key,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...attributes] }] };
}
