import { randomUUID } from 'node:crypto';
import type { Connector, OperationContext } from '../../src/connectors/connector.js';
import { connectorOperations } from '../../src/connectors/connector.js';
import { ConnectorError } from '../../src/connectors/errors.js';
import type { ConnectorErrorCode } from '../../src/connectors/errors.js';
import { untilOver } from './fault-injecting-connector.js';
import type { FaultMode } from './kit/fault-proxy.js';
import type { Harness } from './kit/harness.js';
import { createMemoryConnector, memoryCapabilities, memoryFactory, MemoryTarget } from './memory-connector.js';

/** The kit's view of a target in memory. `breakIt` may spoil the connector; the oracle looks at the target itself. */
export function memoryHarness(
  breakIt: (connector: Connector, target: MemoryTarget) => Connector = (honest) => honest,
): Harness {
  const target = new MemoryTarget();
  const make = (): Connector => breakIt(createMemoryConnector(target), target);
  let serial = 0;
  return {
    name: 'memory',
    connector: make(),
    factory: memoryFactory,
    committed: memoryCapabilities,
    wrongConfig: { config: { url: 'nowhere', size: 'big' }, paths: ['url', 'size'] },
    sampleAccount: () => {
      serial += 1;
      const attributes = { displayName: `Sample ${serial}`, title: 'Engineer' };
      return { objectClass: 'account', login: `user-${serial}-${randomUUID().slice(0, 8)}`, enabled: true, attributes };
    },
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
    throughProxy: () => Promise.resolve(flaky(make())),
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

/** Fails like a connection would; what it does to the answer is decided when the answer comes. */
function flaky(inner: Connector): { connector: Connector; fail(mode: FaultMode): void; close(): Promise<void> } {
  let mode: FaultMode = 'pass';
  const wrapped = Object.fromEntries(
    connectorOperations.map((operation) => [
      operation,
      async (...args: unknown[]) => {
        const ctx = args.at(-1) as OperationContext;
        const error = (code: ConnectorErrorCode, sent: boolean) => new ConnectorError({ code, operation, sent });
        if (mode === 'refuse') throw error('UNAVAILABLE', false);
        if (mode === 'hang') {
          await untilOver(ctx);
          throw error('TIMEOUT', false);
        }
        const result = await (inner[operation] as (...given: unknown[]) => Promise<unknown>)(...args);
        if (mode === 'lose-answer' && !reads.includes(operation)) throw error('AMBIGUOUS', true);
        return result;
      },
    ]),
  ) as unknown as Connector;
  return { connector: { ...inner, ...wrapped }, fail: (next) => void (mode = next), close: () => Promise.resolve() };
}
