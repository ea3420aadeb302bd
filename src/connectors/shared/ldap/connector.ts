import type {
  Capabilities,
  Connector,
  ConnectorDescriptor,
  ConnectorOperation,
  Finding,
  Health,
  OperationContext,
  TargetSchema,
} from '../../connector.js';
import { isConnectorError } from '../../errors.js';
import { createAccount, findAccounts, getAccount, listAccounts, setEnabled, updateAccount } from './accounts.js';
import type { DirectoryConfig, DirectoryContext } from './dialect.js';
import { changeMember, listMembers } from './groups.js';
import { archiveAccount, deleteAccount } from './removal.js';
import { probeSignIn, resetCredentials, sealAccount, setSecret } from './secrets.js';
import { verifyAccount } from './verify.js';
import { measureHealth } from '../health.js';

/** What a configuration makes possible: data only, no request. */
export function directoryCapabilities(config: DirectoryConfig): Capabilities {
  const operations: ConnectorOperation[] = ['list', 'get', 'find', 'create', 'update', 'disable', 'enable', 'delete'];
  if (config.archive !== undefined) {
    operations.push('archive');
  }
  operations.push('seal');
  if (config.groups !== undefined) {
    operations.push('listMembers', 'addMember', 'removeMember');
  }
  operations.push('setSecret', 'resetCredentials', 'probeSignIn', 'verify');
  return {
    objectClasses: { account: { operations, findBy: Object.keys(config.attributes) } },
    signInProbe: true,
    atomicSeal: true,
    entitlements: config.groups !== undefined,
    rename: true,
    sessions: false,
    archive: config.archive !== undefined,
    consistencyWindowMs: config.consistencyWindowMs,
    adoptionKey: config.adoptionKey,
  };
}

/** The connector of one directory; opens no connection. `findings` adds what a kind knows to look for in the root entry. */
export function createDirectoryConnector(
  descriptor: ConnectorDescriptor,
  context: DirectoryContext,
  findings: (supportedControls: readonly string[]) => readonly Finding[],
): Connector {
  const { config, directory } = context;
  const { groups, archive } = config;
  return {
    descriptor,
    capabilities: () => directoryCapabilities(config),
    schema: () => Promise.resolve(schemaOf(config)),
    health: (ctx) => health(context, ctx),
    validate: (ctx) => validate(context, findings, ctx),
    close: () => directory.close(),
    list: (query, ctx) => listAccounts(context, query, ctx),
    get: (ref, ctx) => getAccount(context, ref, ctx),
    find: (by, ctx) => findAccounts(context, by, ctx),
    create: (spec, ctx) => createAccount(context, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(context, ref, delta, ctx),
    disable: (ref, ctx) => setEnabled(context, ref, false, ctx),
    enable: (ref, ctx) => setEnabled(context, ref, true, ctx),
    delete: (ref, ctx) => deleteAccount(context, ref, ctx),
    seal: (ref, secret, ctx) => sealAccount(context, ref, secret, ctx),
    setSecret: (ref, secret, ctx) => setSecret(context, ref, secret, ctx),
    resetCredentials: (ref, sink, ctx) => resetCredentials(context, ref, sink, ctx),
    probeSignIn: (login, secret, ctx) => probeSignIn(context, login, secret, ctx),
    verify: (expected, ctx) => verifyAccount(context, expected, ctx),
    ...(archive === undefined ? {} : { archive: (ref, ctx) => archiveAccount(context, archive.container, ref, ctx) }),
    ...(groups === undefined
      ? {}
      : {
          listMembers: (group, cursor, ctx) => listMembers(context, groups, group, cursor, ctx),
          addMember: (group, ref, ctx) => changeMember(context, groups, group, ref, true, ctx),
          removeMember: (group, ref, ctx) => changeMember(context, groups, group, ref, false, ctx),
        }),
  };
}

function health({ directory, config }: DirectoryContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(() =>
    directory.run('health', ctx, (session) => session.read(config.accounts.base, { attributes: ['1.1'] })),
  );
}

async function validate(
  context: DirectoryContext,
  findings: (supportedControls: readonly string[]) => readonly Finding[],
  ctx: OperationContext,
): Promise<readonly Finding[]> {
  const { config, directory } = context;
  const containers = [
    ['accounts.base', config.accounts.base],
    ['accounts.container', config.accounts.container],
    ['groups.base', config.groups?.base],
    ['archive.container', config.archive?.container],
  ] as const;
  try {
    return await directory.run('validate', ctx, async (session) => {
      const found: Finding[] = [];
      for (const [name, dn] of containers) {
        if (dn !== undefined && (await session.read(dn, { attributes: ['1.1'] })) === undefined) {
          found.push({ severity: 'error', code: 'no-such-container', message: `${name} cannot be read` });
        }
      }
      const root = await session.read('', { attributes: ['supportedControl'] });
      found.push(...findings(root?.text.get('supportedcontrol') ?? []));
      if (directory.settings.mode === 'none') {
        const message = 'the connection is not encrypted';
        found.push({ severity: 'warning', code: 'no-tls', message });
      }
      return found;
    });
  } catch (error) {
    const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
    return [{ severity: 'error', code, message: 'the directory cannot be read' }];
  }
}

function schemaOf(config: DirectoryConfig): TargetSchema {
  const attributes = Object.entries(config.attributes).map(([name, { type, required, writable }]) => ({
    name,
    type,
    required,
    writable,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...attributes] }] };
}
