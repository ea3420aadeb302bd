import type { Connector, Finding, Health, OperationContext, TargetSchema } from '../connector.js';
import { isConnectorError } from '../errors.js';
import { compareState } from '../shared/compare.js';
import { describeKind, factoryOf } from '../shared/factory.js';
import { measureHealth } from '../shared/health.js';
import { resetBy } from '../shared/reset.js';
import type { PowershellContext } from './accounts.js';
import { findAccounts, listAccounts, readAccount } from './accounts.js';
import {
  listMembers,
  listOwned,
  listSessions,
  probeSignIn,
  readForwarding,
  revokeSessions,
  setForwarding,
  setMember,
  transferOwned,
} from './beyond.js';
import { powershellCapabilities } from './capabilities.js';
import type { PowershellConfig } from './config.js';
import { powershellConfigSchema } from './config.js';
import { createHost, operationsOf } from './host.js';
import { resultSchemas } from './protocol.js';
import type { HostOperation } from './script-sets.js';
import { hostFunctions } from './script-sets.js';
import { createAccount, deleteAccount, sealAccount, setEnabled, setPassword, updateAccount } from './write-account.js';

export const powershellDescriptor = describeKind(
  'powershell',
  'PowerShell (Active Directory, Exchange, SharePoint, own scripts)',
  powershellConfigSchema,
);

/** The connector for targets that PowerShell scripts reach; see docs/connectors/powershell.md. */
export const powershellFactory = factoryOf(
  powershellDescriptor,
  powershellConfigSchema,
  (application, config, deps) => {
    const secrets = Object.fromEntries(
      Object.entries(config.secrets).map(([name, reference]) => [name, deps.secrets(reference)]),
    );
    return createPowershellConnector({ application, config, host: createHost(config, secrets, deps.logger) });
  },
);

/** Exported so that a test can look at the hosts. */
export function createPowershellConnector(shell: PowershellContext): Connector {
  const { config, host } = shell;
  const offered = operationsOf(config);
  const all: Required<Pick<Connector, HostOperation | 'resetCredentials'>> = {
    ...accountOperations(shell),
    listMembers: (group, cursor, ctx) => listMembers(shell, group, cursor, ctx),
    addMember: (group, ref, ctx) => setMember(shell, group, ref, 'addMember', ctx),
    removeMember: (group, ref, ctx) => setMember(shell, group, ref, 'removeMember', ctx),
    listSessions: (ref, ctx) => listSessions(shell, ref, ctx),
    revokeSessions: (ref, ctx) => revokeSessions(shell, 'listSessions' in offered, ref, ctx),
    listOwned: (ref, ctx) => listOwned(shell, ref, ctx),
    transferOwned: (ref, heir, ctx) => transferOwned(shell, ref, heir, ctx),
    readForwarding: (ref, ctx) => readForwarding(shell, ref, ctx),
    setForwarding: (ref, forwarding, ctx) => setForwarding(shell, ref, forwarding, ctx),
    probeSignIn: (login, secret, ctx) => probeSignIn(shell, login, secret, ctx),
  };
  const isThere = (name: string): boolean => (name === 'resetCredentials' ? 'setSecret' : name) in offered;
  const { list, get, find, ...optional } = all;
  return {
    descriptor: powershellDescriptor,
    capabilities: () => powershellCapabilities(config),
    schema: () => Promise.resolve(schemaOf(config)),
    health: (ctx) => health(shell, ctx),
    validate: (ctx) => validate(shell, ctx),
    close: () => host.close(),
    list,
    get,
    find,
    ...(Object.fromEntries(Object.entries(optional).filter(([name]) => isThere(name))) as Partial<typeof optional>),
    verify: async (expected, ctx) =>
      compareState(
        expected,
        await readAccount(shell, expected.ref, 'verify', ctx, 'reading'),
        'powershell:reading-session',
      ),
  };
}

function accountOperations(shell: PowershellContext) {
  return {
    list: (query, ctx) => listAccounts(shell, query, ctx),
    get: (ref, ctx) => readAccount(shell, ref, 'get', ctx),
    find: (by, ctx) => findAccounts(shell, by, ctx),
    create: (spec, ctx) => createAccount(shell, spec, ctx),
    update: (ref, delta, ctx) => updateAccount(shell, ref, delta, ctx),
    disable: (ref, ctx) => setEnabled(shell, ref, 'disable', ctx),
    enable: (ref, ctx) => setEnabled(shell, ref, 'enable', ctx),
    delete: (ref, ctx) => deleteAccount(shell, ref, ctx),
    seal: (ref, secret, ctx) => sealAccount(shell, ref, secret, ctx),
    setSecret: (ref, secret, ctx) => setPassword(shell, ref, secret, 'setSecret', ctx),
    resetCredentials: resetBy((ref, secret, ctx) => setPassword(shell, ref, secret, 'resetCredentials', ctx)),
  } satisfies Partial<Connector>;
}

function health({ host }: PowershellContext, ctx: OperationContext): Promise<Health> {
  const call = { operation: 'health', command: hostFunctions.health, result: resultSchemas.nothing };
  return measureHealth(() => host.call(call, ctx, 'reading'));
}

/** Compares what is configured with what the host has and the target knows. Reads only. */
async function validate(shell: PowershellContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const { config, host } = shell;
  const findings: Finding[] = [];
  try {
    const there = await host.functions(ctx);
    for (const [operation, name] of Object.entries(operationsOf(config))) {
      if (there.includes(name)) continue;
      findings.push({
        severity: 'error',
        code: 'function-missing',
        message: `the scripts have no ${name} (${operation})`,
      });
    }
    const call = { operation: 'validate', command: hostFunctions.schema, result: resultSchemas.schema };
    const { properties } = await host.call(call, ctx, 'reading');
    const known = new Set(properties.map((name) => name.toLowerCase()));
    for (const [attribute, { property }] of Object.entries(config.attributes)) {
      if (known.has(property.toLowerCase())) continue;
      findings.push({
        severity: 'error',
        code: 'unknown-property',
        message: `the target has no property for ${attribute}`,
      });
    }
  } catch (error) {
    if (!isConnectorError(error)) throw error;
    findings.push({
      severity: 'error',
      code: error.code,
      message: `the host cannot be used: ${error.targetCode ?? ''}`,
    });
  }
  if (!('probeSignIn' in operationsOf(config))) {
    const message = 'the scripts try no sign-in: cuts are proven by reading only';
    findings.push({ severity: 'warning', code: 'no-sign-in', message });
  }
  return findings;
}

function schemaOf(config: PowershellConfig): TargetSchema {
  const attributes = Object.entries(config.attributes).map(([name, { type, required, writable }]) => ({
    name,
    type,
    required,
    writable,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...attributes] }] };
}
