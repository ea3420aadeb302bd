import { randomUUID } from 'node:crypto';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { restFactory } from '../../src/connectors/rest/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Synapse } from '../systems/synapse.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';
import { startHttpFaultProxy } from './kit/http-fault-proxy.js';
import type { Config } from './rest/example.js';
import { example } from './rest/example.js';

type Json = Record<string, unknown>;

/** synapse.yaml for the test's server, with changes. */
export function synapseConnector(synapse: Synapse, changes: Config = {}, token = synapse.adminToken): Connector {
  const values = { server: synapse.serverName, provider: 'tenure' };
  const config = { ...example('synapse'), baseUrl: synapse.baseUrl, values, ...changes };
  return restFactory.create('x', config, { secrets: () => new Secret(token), logger: newContext().logger });
}

/** The kit's view of Synapse; the oracle is plain `fetch` as the administrator. */
export async function synapseHarness(synapse: Synapse): Promise<Harness> {
  const { call, serverName } = synapse;
  const made = await call('POST', '/_matrix/client/v3/createRoom', { preset: 'private_chat' });
  const room = String(made.body['room_id']);
  const user = (id: string): string => `/_synapse/admin/v2/users/${encodeURIComponent(id)}`;
  const read = async (id: string): Promise<Json | undefined> => {
    const { status, body } = await call('GET', user(id));
    return status === 200 && body['erased'] !== true ? body : undefined;
  };
  const members = async (): Promise<string[]> =>
    (await call('GET', `/_synapse/admin/v1/rooms/${encodeURIComponent(room)}/members`)).body['members'] as string[];
  const all = async (): Promise<Json[]> =>
    (await call('GET', '/_synapse/admin/v2/users?limit=10000&locked=true')).body['users'] as Json[];
  const must = async (work: ReturnType<Synapse['call']>): Promise<void> => {
    const { status, body } = await work;
    if (status >= 300) throw new Error(`planting: ${status} ${JSON.stringify(body)}`);
  };
  const connector = synapseConnector(synapse);
  return {
    name: 'synapse by rest',
    connector,
    factory: restFactory,
    committed: committedCapabilities('rest', 'synapse'),
    wrongConfig: {
      config: { ...example('synapse'), auth: { type: 'bearer', token: 'plain text' }, groups: { find: {} } },
      paths: ['auth.token', 'groups.find.request', 'groups.members'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      emails: ['a+b@example.test', "o'brien@example.test"],
    },
    sampleDelta: { attribute: 'displayName', op: 'replace', value: 'Principal Person' },
    multiAttribute: 'emails',
    unknownAttribute: 'favouriteColour',
    absentNativeId: `@nobody-${randomUUID()}:${serverName}`,
    group: room,
    keepsDeletedLogins: true,
    peek: async (ref) => {
      const found = await read(ref.nativeId);
      return found === undefined ? undefined : peeked(found, (await members()).includes(ref.nativeId) ? [room] : []);
    },
    countByLogin: async (login) => (await all()).filter((each) => each['name'] === `@${login}:${serverName}`).length,
    // Reading as the administrator is seen, too.
    snapshot: async () =>
      JSON.stringify([(await all()).map(({ last_seen_ts: _seen, ...each }) => each), await members()]),
    plant: {
      attribute: (ref, value) => must(call('PUT', user(ref.nativeId), { displayname: value })),
      enabled: (ref, enabled) => must(call('PUT', user(ref.nativeId), { locked: !enabled })),
      membership: async (ref, held) => {
        if ((await members()).includes(ref.nativeId) === held) return;
        const path = held ? '/_synapse/admin/v1/join/ROOM' : '/_matrix/client/v3/rooms/ROOM/kick';
        await must(call('POST', path.replace('ROOM', encodeURIComponent(room)), { user_id: ref.nativeId }));
      },
    },
    unreachable: () => synapseConnector(synapse, { baseUrl: 'http://127.0.0.1:9' }),
    wrongCredential: () => synapseConnector(synapse, {}, 'wrong'),
    throughProxy: async () => {
      const target = new URL(synapse.baseUrl);
      const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, (bytes) =>
        writes.test(bytes.toString('latin1', 0, 200)),
      );
      const proxied = synapseConnector(synapse, { baseUrl: `http://127.0.0.1:${proxy.port}` });
      return behindProxy(proxy, proxied);
    },
    throughHttpProxy: async () => {
      const proxy = await startHttpFaultProxy(synapse.baseUrl);
      const proxied = synapseConnector(synapse, { baseUrl: proxy.origin });
      return behindProxy(proxy, proxied);
    },
    openSession: async (login, secret) => {
      const identifier = { type: 'm.id.user', user: login };
      const opened = await call(
        'POST',
        '/_matrix/client/v3/login',
        { type: 'm.login.password', identifier, password: secret.reveal() },
        '',
      );
      const token = String(opened.body['access_token']);
      return {
        isOpen: async () => (await call('GET', '/_matrix/client/v3/account/whoami', undefined, token)).status === 200,
        close: () => Promise.resolve(),
      };
    },
    stop: async () => {
      await connector.close();
      await synapse.stop();
    },
  };
}

/** Sign-ins change no account. */
const writes = /^(POST|PUT|DELETE) \/(_synapse\/|_matrix\/client\/v3\/rooms\/)/;

function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes: Attributes = { displayName: 'Sample Person', emails: [`${login}@example.test`] };
  return { objectClass: 'account', login, enabled: true, attributes };
}

function peeked(found: Json, entitlements: readonly string[]): Peeked {
  const addresses = (found['threepids'] ?? []) as Json[];
  const own = ((found['external_ids'] ?? []) as Json[]).find((each) => each['auth_provider'] === 'tenure');
  return {
    login: /^@(.*?):/.exec(String(found['name']))?.[1] ?? '',
    enabled: found['locked'] === false && found['deactivated'] === false,
    attributes: {
      displayName: String(found['displayname']),
      emails: addresses.map((each) => String(each['address'])),
      ...(own === undefined ? {} : { externalId: String(own['external_id']) }),
    },
    entitlements,
  };
}
