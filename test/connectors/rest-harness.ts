import { randomUUID } from 'node:crypto';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { restFactory } from '../../src/connectors/rest/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Realm } from '../systems/keycloak.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';
import type { Config } from './rest/example.js';
import { example } from './rest/example.js';

type Json = Record<string, unknown>;

/** keycloak.yaml for a realm of the test's server, with changes. */
export function keycloakConnector(
  realm: Realm,
  changes: Config = {},
  secret = realm.service.secret,
  baseUrl = new URL(realm.url).origin,
): Connector {
  const auth = {
    type: 'oauth2-client-credentials',
    tokenUrl: `${baseUrl}/realms/${realm.name}/protocol/openid-connect/token`,
    clientId: realm.service.clientId,
    clientSecret: 'env:KEYCLOAK_SECRET',
  };
  const values = { realm: realm.name, app: realm.app };
  const config = { ...example('keycloak'), baseUrl, auth, values, ...changes };
  return restFactory.create('x', config, { secrets: () => new Secret(secret), logger: newContext().logger });
}

/** The kit's view of Keycloak; the oracle is the admin API as the server's own administrator, by plain `fetch`. */
export async function keycloakRestHarness(realm: Realm): Promise<Harness> {
  const { admin } = realm;
  await admin('POST', '/groups', { name: 'staff' });
  const [group] = (await admin('GET', '/groups?search=staff&exact=true')).body as Json[];
  const groupId = String(group?.['id']);
  const user = async (id: string): Promise<Json | undefined> => {
    const { status, body } = await admin('GET', `/users/${id}`);
    return status === 200 ? (body as Json) : undefined;
  };
  const list = async (path: string): Promise<Json[]> => (await admin('GET', path)).body as Json[];
  const change = async (id: string, changes: Json): Promise<void> => {
    const { status, body } = await admin('PUT', `/users/${id}`, { ...(await user(id)), ...changes });
    if (status >= 300) throw new Error(`planting: ${status} ${JSON.stringify(body)}`);
  };
  const connector = keycloakConnector(realm);
  const factors = async (id: string): Promise<Json[]> =>
    (await list(`/users/${id}/credentials`)).filter((each) => each['type'] !== 'password');
  return {
    name: 'keycloak by rest',
    connector,
    factory: restFactory,
    committed: committedCapabilities('rest', 'keycloak'),
    wrongConfig: {
      config: wrongConfig(),
      paths: ['accounts.login', 'operations.get.request.path', 'auth.clientSecret', 'rate.unit'],
    },
    sampleAccount,
    trickyAttributes: {
      title: `Quote " O'Brien \\ {b}王秀英 عبد; ${'long '.repeat(40).trim()}`,
      department: '%_*;--',
      phones: ['+61 (3) 5550-1234;ext=5', 'a,b "c"'],
    },
    sampleDelta: { attribute: 'title', op: 'replace', value: 'Principal' },
    multiAttribute: 'phones',
    unknownAttribute: 'favouriteColour',
    absentNativeId: randomUUID(),
    group: 'staff',
    disabledBeforeSecret: true,
    peek: async (ref) => {
      const found = await user(ref.nativeId);
      return found === undefined ? undefined : peeked(found, await list(`/users/${ref.nativeId}/groups`));
    },
    countByLogin: async (login) => (await list(`/users?exact=true&username=${encodeURIComponent(login)}`)).length,
    snapshot: async () => JSON.stringify([await list('/users?max=10000'), await list(`/groups/${groupId}/members`)]),
    plant: {
      attribute: async (ref, value) => {
        const attributes = { ...((await user(ref.nativeId))?.['attributes'] as Json), title: [value] };
        await change(ref.nativeId, { attributes });
      },
      enabled: (ref, enabled) => change(ref.nativeId, { enabled }),
      membership: async (ref, held) =>
        void (await admin(held ? 'PUT' : 'DELETE', `/users/${ref.nativeId}/groups/${groupId}`)),
      credential: async (ref) => {
        const otp = {
          type: 'otp',
          userLabel: `phone ${randomUUID()}`,
          secretData: '{"value":"SECRETSECRETSECRET12"}',
          credentialData: '{"subType":"totp","period":30,"digits":6,"algorithm":"HmacSHA1","counter":0}',
        };
        await change(ref.nativeId, { credentials: [otp] });
      },
    },
    peekBeyond: async (ref) => ({ credentials: (await factors(ref.nativeId)).length }),
    unreachable: () => keycloakConnector(realm, { baseUrl: 'http://127.0.0.1:9' }),
    wrongCredential: () => keycloakConnector(realm, {}, 'wrong-secret'),
    throughProxy: () => proxied(realm),
    openSession: (login, secret) => openSession(realm, login, secret),
    stop: async () => {
      await connector.close();
      await realm.drop();
    },
  };
}

/** Tokens come through the proxy, too: Keycloak takes only those that were issued under the name that it is asked by. */
async function proxied(realm: Realm) {
  const target = new URL(realm.url);
  const isWrite = (bytes: Buffer): boolean =>
    /^(POST|PUT|PATCH|DELETE) \/admin\//.test(bytes.toString('latin1', 0, 20));
  const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, isWrite);
  const connector = keycloakConnector(realm, {}, realm.service.secret, `http://127.0.0.1:${proxy.port}`);
  return behindProxy(proxy, connector);
}

function wrongConfig(): Config {
  const config = example('keycloak') as Record<string, Json>;
  return {
    ...config,
    accounts: { ...config['accounts'], login: 'itme.username' },
    auth: { ...config['auth'], clientSecret: 'plain text' },
    operations: { ...config['operations'], get: { request: { path: '/users/{account.uid}' } } },
    rate: { resetHeader: 'x-reset', unit: 'fortnights' },
  };
}

function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes: Attributes = {
    givenName: 'Sample',
    familyName: 'Person',
    mail: `${login}@example.test`,
    title: 'Engineer',
    department: 'Research',
  };
  return { objectClass: 'account', login, enabled: true, attributes };
}

function peeked(found: Json, groups: readonly Json[]): Peeked {
  const own = (found['attributes'] ?? {}) as Record<string, string[]>;
  const attributes = {
    givenName: found['firstName'],
    familyName: found['lastName'],
    mail: found['email'],
    title: own['title']?.[0],
    department: own['department']?.[0],
    phones: own['phones'],
    externalId: own['externalId']?.[0],
  };
  return {
    login: String(found['username']),
    enabled: found['enabled'] === true,
    attributes: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Attributes,
    entitlements: groups.map((each) => String(each['name'])),
  };
}

async function openSession(realm: Realm, username: string, secret: Secret) {
  const opened = await realm.token({ grant_type: 'password', username, password: secret.reveal() });
  let refreshToken = String(opened.body['refresh_token']);
  return {
    isOpen: async () => {
      const { status, body } = await realm.token({ grant_type: 'refresh_token', refresh_token: refreshToken });
      if (status === 200) refreshToken = String(body['refresh_token']);
      return status === 200;
    },
    close: () => Promise.resolve(),
  };
}
