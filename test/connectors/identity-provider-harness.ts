import { createHash, randomUUID } from 'node:crypto';
import type { AccountRef, AttributeValue, Connector } from '../../src/connectors/connector.js';
import { identityProviderFactory } from '../../src/connectors/identity-provider/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Json, Realm } from '../systems/keycloak.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

export const attributes = {
  email: 'email',
  givenName: 'firstName',
  familyName: 'lastName',
  externalId: 'externalId',
  displayName: 'displayName',
  title: 'title',
  department: 'department',
  phones: { attribute: 'phones', type: 'strings' },
  requiredActions: { attribute: 'requiredActions', type: 'strings' },
};

/** A connector to this realm, with the given changes to its configuration. */
export function connectorTo(realm: Realm, changes: Json = {}): Connector {
  const config = {
    product: 'keycloak',
    baseUrl: new URL(realm.url).origin,
    realm: realm.name,
    client: { id: realm.service.clientId, secret: 'env:SECRET' },
    attributes,
    signIn: { client: realm.app },
    ...changes,
  };
  const secrets = (reference: string): Secret => new Secret(reference === 'env:WRONG' ? 'wrong' : realm.service.secret);
  return identityProviderFactory.create('x', config, { secrets, logger: newContext().logger });
}

/** A one-time-password device, as the person's own set-up leaves it. */
export const otp = {
  type: 'otp',
  userLabel: 'phone',
  secretData: '{"value":"SECRETSECRETSECRET12"}',
  credentialData: '{"subType":"totp","period":30,"digits":6,"algorithm":"HmacSHA1","counter":0}',
};

/**
 * What the realm's own sign-in page does with this password, as a browser sees it: it lets in (`in`), asks for a one-time password (`otp`), or shows the form again
 * (`refused`).
 */
export async function signInPage(realm: Realm, login: string, password: string): Promise<'in' | 'otp' | 'refused'> {
  const challenge = createHash('sha256').update('v'.repeat(43)).digest('base64url');
  const query = new URLSearchParams({
    client_id: 'account-console',
    redirect_uri: `${realm.url}/account/`,
    response_type: 'code',
    scope: 'openid',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  const form = await fetch(`${realm.url}/protocol/openid-connect/auth?${query.toString()}`, { redirect: 'manual' });
  const cookie = form.headers
    .getSetCookie()
    .map((one) => one.split(';')[0] ?? '')
    .join('; ');
  const action = /action="([^"]+)"/.exec(await form.text())?.[1]?.replaceAll('&amp;', '&');
  if (action === undefined) throw new Error(`no sign-in form: ${form.status}`);
  const body = new URLSearchParams({ username: login, password, credentialId: '' });
  const answer = await fetch(action, { method: 'POST', body, headers: { cookie }, redirect: 'manual' });
  if (answer.headers.get('location')?.includes('code=') === true) return 'in';
  return /name="otp"/.test(await answer.text()) ? 'otp' : 'refused';
}

/** The ids that the oracle needs of a realm's group, made if it is not there. */
export async function groupIn(realm: Realm, name: string): Promise<string> {
  await realm.admin('POST', '/groups', { name });
  return String(((await realm.admin('GET', `/group-by-path/${name}`)).body as Json)['id']);
}

/** The kit's view of a realm; the oracle is the server's administrator by plain `fetch`. */
export async function identityProviderHarness(
  realm: Realm,
  variant: string,
  config: Json,
  entitlement: {
    readonly name: string;
    hold(id: string, held: boolean): Promise<void>;
    held(id: string): Promise<boolean>;
  },
): Promise<Harness> {
  const connector = connectorTo(realm, config);
  const user = async (ref: AccountRef): Promise<Json | undefined> => {
    const { status, body } = await realm.admin('GET', `/users/${ref.nativeId}`);
    return status === 404 ? undefined : (body as Json);
  };
  const put = async (ref: AccountRef, change: Json): Promise<void> =>
    void (await realm.admin('PUT', `/users/${ref.nativeId}`, { ...(await user(ref)), ...change }));
  const all = async (): Promise<Json[]> => (await realm.admin('GET', '/users?max=5000')).body as Json[];
  return {
    name: variant,
    connector,
    factory: identityProviderFactory,
    committed: committedCapabilities('identity-provider', variant),
    wrongConfig: {
      config: { product: 'okta', baseUrl: 'not a url', realm: 'a/b', client: { id: '', secret: 'plain' } },
      paths: ['product', 'baseUrl', 'realm', 'client.id', 'client.secret'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      title: 'long '.repeat(60).trim(),
      phones: ['+61 (3) 5550-1234;ext=5', '%_*;--'],
    },
    sampleDelta: { attribute: 'title', op: 'replace', value: 'Principal' },
    multiAttribute: 'phones',
    unknownAttribute: 'favouriteColour',
    absentNativeId: randomUUID(),
    group: entitlement.name,
    peek: async (ref) => {
      const seen = await user(ref);
      return seen && peeked(seen, (await entitlement.held(ref.nativeId)) ? [entitlement.name] : []);
    },
    countByLogin: async (login) => (await all()).filter((one) => one['username'] === login).length,
    snapshot: async () => JSON.stringify(await all()),
    plant: {
      attribute: async (ref, value) => {
        const own = ((await user(ref))?.['attributes'] ?? {}) as Json;
        await put(ref, { attributes: { ...own, title: [value] } });
      },
      enabled: (ref, enabled) => put(ref, { enabled }),
      membership: (ref, held) => entitlement.hold(ref.nativeId, held),
      credential: (ref) => put(ref, { credentials: [otp] }),
    },
    peekBeyond: async (ref) => {
      const held = (await realm.admin('GET', `/users/${ref.nativeId}/credentials`)).body as Json[];
      return { credentials: held.filter((one) => one['type'] !== 'password').length };
    },
    unreachable: () => connectorTo(realm, { ...config, baseUrl: 'http://127.0.0.1:9' }),
    wrongCredential: () => connectorTo(realm, { ...config, client: { id: 'tenure', secret: 'env:WRONG' } }),
    throughProxy: async () => {
      const target = new URL(realm.url);
      // The token endpoint is asked by POST, too; only the admin API is written to.
      const isWrite = (bytes: Buffer): boolean => /^(POST|PUT|DELETE) \/admin\//.test(bytes.toString('latin1', 0, 16));
      const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, isWrite);
      const proxied = connectorTo(realm, { ...config, baseUrl: `http://127.0.0.1:${proxy.port}` });
      return behindProxy(proxy, proxied);
    },
    openSession: async (login, secret) => {
      const form = { grant_type: 'password', username: login, password: secret.reveal(), scope: 'openid' };
      const token = String((await realm.token(form)).body['access_token']);
      const isOpen = async (): Promise<boolean> => (await userInfo(realm, token)) === 200;
      return { isOpen, close: () => Promise.resolve() };
    },
    stop: async () => {
      await connector.close();
      await realm.drop();
    },
  };
}

/** The status with which the server itself takes an access token. */
export async function userInfo(realm: Realm, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}` };
  return (await fetch(`${realm.url}/protocol/openid-connect/userinfo`, { headers })).status;
}

let serial = 0;

export function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  serial += 1;
  const login = `user-${serial}-${randomUUID().slice(0, 8)}`;
  return {
    objectClass: 'account',
    login,
    enabled: true,
    attributes: {
      email: `${login}@example.test`,
      givenName: 'Sam',
      familyName: `Ple ${serial}`,
      displayName: `Sample ${serial}`,
      title: 'Engineer',
      department: 'Research',
    },
  };
}

function peeked(user: Json, entitlements: string[]): Peeked {
  const own = (user['attributes'] ?? {}) as Readonly<Record<string, readonly string[]>>;
  const single = (name: string): AttributeValue => own[name]?.[0] ?? null;
  const attributes: Record<string, AttributeValue> = {
    email: user['email'] as string,
    givenName: user['firstName'] as string,
    familyName: user['lastName'] as string,
    displayName: single('displayName'),
    title: single('title'),
    department: single('department'),
    phones: own['phones'] ?? [],
  };
  return { login: String(user['username']), enabled: user['enabled'] === true, attributes, entitlements };
}
