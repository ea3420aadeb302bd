import { randomUUID } from 'node:crypto';
import type { Capabilities, Connector, ConnectorOperation, OperationContext } from '../../src/connectors/connector.js';
import { connectorOperations } from '../../src/connectors/connector.js';
import { ConnectorError } from '../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../src/connectors/errors.js';
import { Secret } from '../../src/connectors/secret.js';
import { untilOver } from './fault-injecting-connector.js';
import { parseRetryAfter } from '../../src/connectors/shared/http/retry-after.js';
import { newContext } from './kit/checks.js';
import type { FaultMode } from './kit/fault-proxy.js';
import type { Harness } from './kit/harness.js';
import { httpFaults } from './kit/http-fault-proxy.js';
import type { HttpFault } from './kit/http-fault-proxy.js';
import { createMemoryConnector, memoryCapabilities, memoryFactory, MemoryTarget } from './memory-connector.js';

/** The kit's view of a target in memory. `breakIt` may spoil the connector; the oracle looks at the target itself. */
export function memoryHarness(
  breakIt: (connector: Connector, target: MemoryTarget) => Connector = (honest) => honest,
  /** Spoils what the connector makes of a fault on the way, outside of the faults. */
  misread: (connector: Connector) => Connector = (honest) => honest,
  /** Accounts and their secrets are the administrator's, not the connector's. */
  administered = false,
): Harness {
  const target = new MemoryTarget();
  const make = (): Connector => {
    const honest = createMemoryConnector(target);
    return breakIt(administered ? withoutAccounts(honest) : honest, target);
  };
  let serial = 0;
  return {
    name: 'memory',
    connector: make(),
    factory: memoryFactory,
    committed: administered ? administeredCapabilities : memoryCapabilities,
    wrongConfig: { config: { url: 'nowhere', size: 'big' }, paths: ['url', 'size'] },
    sampleAccount: () => {
      serial += 1;
      const attributes = { displayName: `Sample ${serial}`, title: 'Engineer' };
      return { objectClass: 'account', login: `user-${serial}-${randomUUID().slice(0, 8)}`, enabled: true, attributes };
    },
    ...(administered ? administrator(target) : {}),
    trickyAttributes: { displayName: `Zoë "Quote" O'Brien 王`, mails: ['a@example.test', 'b@example.test'] },
    sampleDelta: { attribute: 'title', op: 'replace', value: 'Principal' },
    multiAttribute: 'mails',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: 'memory-0',
    group: 'staff',
    peek: (ref) => {
      const account = target.accounts.get(ref.nativeId);
      const entitlements = [...(account?.entitlements ?? [])];
      return Promise.resolve(
        account === undefined ? undefined : { ...account, attributes: { ...account.attributes }, entitlements },
      );
    },
    countByLogin: (login) =>
      Promise.resolve([...target.accounts.values()].filter((account) => account.login === login).length),
    snapshot: () =>
      Promise.resolve(
        JSON.stringify(
          [...target.accounts.values()].map((account) => ({
            ...account,
            entitlements: [...account.entitlements],
            credentials: [...account.credentials],
          })),
        ),
      ),
    plant: {
      attribute: (ref, value) =>
        Promise.resolve(void Object.assign(target.accounts.get(ref.nativeId)!.attributes, { title: value })),
      enabled: (ref, enabled) => Promise.resolve(void (target.accounts.get(ref.nativeId)!.enabled = enabled)),
      credential: (ref) => Promise.resolve(void target.accounts.get(ref.nativeId)!.credentials.add('otp')),
      privilege: (ref) => Promise.resolve(void (target.accounts.get(ref.nativeId)!.privileges += 1)),
      owned: (ref) => Promise.resolve(void (target.accounts.get(ref.nativeId)!.owned += 1)),
      membership: (ref, held) => {
        const { entitlements } = target.accounts.get(ref.nativeId)!;
        return Promise.resolve(void (held ? entitlements.add('staff') : entitlements.delete('staff')));
      },
    },
    unreachable: () => failing(make(), 'UNAVAILABLE'),
    wrongCredential: () => failing(make(), 'UNAUTHENTICATED'),
    throughProxy: () => {
      const proxied = flaky(make());
      return Promise.resolve({ ...proxied, connector: misread(proxied.connector) });
    },
    throughHttpProxy: () => {
      const proxied = httpFlaky(make());
      return Promise.resolve({ ...proxied, connector: misread(proxied.connector) });
    },
    peekBeyond: (ref) => {
      const { credentials, privileges, owned, forwarding } = target.accounts.get(ref.nativeId)!;
      return Promise.resolve({ credentials: credentials.size, privileges, owned, forwarding });
    },
    openSession: (login) => {
      const account = target.byLogin(login)!;
      const token = target.openSession(login) ?? '';
      return Promise.resolve({
        isOpen: () => Promise.resolve(account.sessions.has(token)),
        close: () => Promise.resolve(),
      });
    },
    stop: () => Promise.resolve(),
  };
}

const notOffered: readonly ConnectorOperation[] = ['create', 'delete', 'setSecret', 'resetCredentials'];

const administeredCapabilities: Capabilities = {
  ...memoryCapabilities,
  objectClasses: {
    account: {
      ...memoryCapabilities.objectClasses.account,
      operations: connectorOperations.filter((operation) => !notOffered.includes(operation)),
    },
  },
};

function withoutAccounts({
  create: _create,
  delete: _delete,
  setSecret: _setSecret,
  resetCredentials: _reset,
  ...rest
}: Connector): Connector {
  return { ...rest, capabilities: () => administeredCapabilities };
}

function administrator(target: MemoryTarget): Pick<Harness, 'newAccount' | 'removeAccount'> {
  const tool = createMemoryConnector(target);
  return {
    newAccount: async (spec) => {
      const { ref } = await tool.create!(spec, newContext());
      const secret = Secret.random();
      await tool.setSecret!(ref, secret, newContext());
      return { ref, secret };
    },
    removeAccount: async (ref) => void (await tool.delete!(ref, newContext())),
  };
}

function failing(connector: Connector, code: ConnectorErrorCode): Connector {
  return {
    ...connector,
    health: () => Promise.resolve({ ok: false, code, latencyMs: 0 }),
    list: () => Promise.reject(new ConnectorError({ code, operation: 'list', sent: false })),
  };
}

const reads = [
  'list',
  'get',
  'find',
  'verify',
  'probeSignIn',
  'listMembers',
  'listSessions',
  'listCredentials',
  'listPrivileges',
  'listOwned',
  'readForwarding',
  'proveDelivery',
];

/** Every operation of a connector, run by `run`. */
function wrapAll(
  inner: Connector,
  run: (operation: ConnectorOperation, ctx: OperationContext, call: () => Promise<unknown>) => Promise<unknown>,
): Connector {
  const wrapped = Object.fromEntries(
    connectorOperations
      .filter((operation) => inner[operation] !== undefined)
      .map((operation) => [
        operation,
        (...args: unknown[]) =>
          run(operation, args.at(-1) as OperationContext, () =>
            (inner[operation] as (...given: unknown[]) => Promise<unknown>)(...args),
          ),
      ]),
  ) as unknown as Connector;
  return { ...inner, ...wrapped };
}

/** Fails like a connection would; what it does to the answer is decided when the answer comes. */
function flaky(inner: Connector): { connector: Connector; fail(mode: FaultMode): void; close(): Promise<void> } {
  let mode: FaultMode = 'pass';
  const connector = wrapAll(inner, async (operation, ctx, call) => {
    const error = (code: ConnectorErrorCode, sent: boolean) => new ConnectorError({ code, operation, sent });
    if (mode === 'refuse') throw error('UNAVAILABLE', false);
    if (mode === 'hang') {
      await untilOver(ctx);
      throw error('TIMEOUT', false);
    }
    const isWrite = !reads.includes(operation);
    if (mode === 'reset-before' && isWrite) throw error('AMBIGUOUS', true);
    const result = await call();
    if (!isWrite) return result;
    if (mode === 'half-open') await untilOver(ctx);
    if (['lose-answer', 'reset-after', 'half-open', 'garbage'].includes(mode)) throw error('AMBIGUOUS', true);
    return result;
  });
  return { connector, fail: (next) => void (mode = next), close: () => Promise.resolve() };
}

/** Fails like a target spoken to by HTTP would, as an honest connector reports it. */
function httpFlaky(inner: Connector): Awaited<ReturnType<NonNullable<Harness['throughHttpProxy']>>> {
  let fault: HttpFault | 'pass' = 'pass';
  let whom: 'writes' | 'all' = 'writes';
  const connector = wrapAll(inner, async (operation, _ctx, call) => {
    const isWrite = !reads.includes(operation);
    if (fault === 'pass' || (whom === 'writes' && !isWrite)) return call();
    const { when, reply } = httpFaults[fault];
    const { status, headers } = reply({ status: 200, headers: {}, body: '' });
    if (when === 'after') await call();
    const refused = status === 429 ? 'RATE_LIMITED' : status === 503 || status === 302 ? 'UNAVAILABLE' : undefined;
    const code = refused ?? (isWrite ? 'AMBIGUOUS' : 'UNAVAILABLE');
    throw new ConnectorError({ code, operation, sent: isWrite, retryAfterMs: parseRetryAfter(headers['retry-after']) });
  });
  return {
    connector,
    fail: (next, of = 'writes') => void ([fault, whom] = [next, of]),
    close: () => Promise.resolve(),
  };
}
