import { randomUUID } from 'node:crypto';
import type { AttributeValue, Attributes, Connector } from '../../src/connectors/connector.js';
import { scimFactory } from '../../src/connectors/scim/index.js';
import { Secret } from '../../src/connectors/secret.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';
import { startHttpFaultProxy } from './kit/http-fault-proxy.js';

type Json = Record<string, unknown>;

export interface ScimServerUnderTest {
  readonly name: string;
  readonly baseUrl: string;
  readonly token: string;
  readonly config: Json;
  /** Of capabilities.json. */
  readonly variant: string;
  readonly group: string;
  /** What `env:CLIENT_SECRET` is, for servers with a token endpoint; `token` is then the oracle's alone. */
  readonly clientSecret?: string;
  /** Changes to the configuration that make its credential wrong. */
  readonly wrong?: Json;
  /** Attributes for the values that are hard to carry, where the server does not have those of the others. */
  readonly tricky?: Attributes;
  /** The server keeps a single value of `emails`. */
  readonly oneEmail?: true;
  stop(): Promise<void>;
}

const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

/** A connector to this server, with the given changes to its configuration. */
export function scimConnector(server: ScimServerUnderTest, changes: Json = {}): Connector {
  const token = server.clientSecret === undefined ? { token: 'env:TOKEN' } : {};
  const config = { baseUrl: server.baseUrl, ...token, ...server.config, ...changes };
  const known: Readonly<Record<string, string | undefined>> = {
    'env:WRONG': 'wrong',
    'env:CLIENT_SECRET': server.clientSecret,
  };
  const secrets = (reference: string): Secret => new Secret(known[reference] ?? server.token);
  return scimFactory.create('x', config, { secrets, logger: newContext().logger });
}

/** The kit's view of a SCIM server; the oracle is plain `fetch`, which shares no code with the connector. */
export async function scimHarness(server: ScimServerUnderTest): Promise<Harness> {
  const call = async (method: string, path: string, body?: unknown): Promise<Json | undefined> => {
    const response = await fetch(`${server.baseUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/scim+json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return response.ok ? (JSON.parse(text === '' ? '{}' : text) as Json) : undefined;
  };
  const all = async (kind: 'Users' | 'Groups'): Promise<Json[]> => {
    const found: Json[] = [];
    for (;;) {
      const page = await call('GET', `/${kind}?startIndex=${found.length + 1}&count=500`);
      const resources = (page?.['Resources'] ?? []) as Json[];
      found.push(...resources);
      if (resources.length === 0 || found.length >= Number(page?.['totalResults'])) return found;
    }
  };
  const patch = (path: string, operation: Json) =>
    call('PATCH', path, { schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'], Operations: [operation] });
  const groupId = async (): Promise<string> => {
    const known = (await all('Groups')).find((group) => group['displayName'] === server.group);
    const made =
      known ??
      (await call('POST', '/Groups', {
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
        displayName: server.group,
      }));
    return String(made?.['id']);
  };
  const id = await groupId();
  // Some servers show members on request only.
  const members = async (): Promise<string[]> =>
    (((await call('GET', `/Groups/${id}?attributes=members`))?.['members'] ?? []) as Json[]).map((member) =>
      String(member['value']),
    );

  const proxies: { close(): Promise<void> }[] = [];
  const connector = scimConnector(server);
  return {
    name: server.name,
    connector,
    factory: scimFactory,
    committed: committedCapabilities('scim', server.variant),
    wrongConfig: {
      config: { baseUrl: 'not a url', token: 'plain', write: 'maybe', sessions: { path: 'no-slash' } },
      paths: ['baseUrl', 'token', 'write', 'sessions.path'],
    },
    sampleAccount: () => sampleUser(),
    trickyAttributes: server.tricky ?? {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      title: 'long '.repeat(60).trim(),
      'phoneNumbers[type eq "work"].value': '+61 (3) 5550-1234;ext=5',
      'enterprise.costCenter': '%_*;--',
    },
    sampleDelta: { attribute: 'title', op: 'replace', value: 'Principal' },
    ...(server.oneEmail === true ? {} : { multiAttribute: 'emails' }),
    unknownAttribute: 'favouriteColour',
    absentNativeId: randomUUID(),
    group: server.group,
    peek: async (ref) => {
      const user = await call('GET', `/Users/${ref.nativeId}`);
      return user === undefined
        ? undefined
        : peeked(user, (await members()).includes(ref.nativeId) ? [server.group] : []);
    },
    countByLogin: async (login) =>
      (await all('Users')).filter((user) => String(user['userName']).toLowerCase() === login.toLowerCase()).length,
    snapshot: async () => JSON.stringify([await all('Users'), await all('Groups'), await members()]),
    plant: {
      attribute: async (ref, value) =>
        void (await patch(`/Users/${ref.nativeId}`, { op: 'replace', path: 'title', value })),
      enabled: async (ref, value) =>
        void (await patch(`/Users/${ref.nativeId}`, { op: 'replace', path: 'active', value })),
      membership: async (ref, held) => {
        if ((await members()).includes(ref.nativeId) === held) return;
        await patch(
          `/Groups/${id}`,
          held
            ? { op: 'add', path: 'members', value: [{ value: ref.nativeId }] }
            : { op: 'remove', path: `members[value eq "${ref.nativeId}"]` },
        );
      },
    },
    unreachable: () => scimConnector(server, { baseUrl: 'http://127.0.0.1:9/v2' }),
    wrongCredential: () => scimConnector(server, server.wrong ?? { token: 'env:WRONG' }),
    throughProxy: async () => {
      const target = new URL(server.baseUrl);
      const isWrite = (bytes: Buffer): boolean => /^(POST|PUT|PATCH|DELETE) /.test(bytes.toString('latin1', 0, 8));
      const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, isWrite);
      proxies.push(proxy);
      const proxied = scimConnector(server, { baseUrl: `http://127.0.0.1:${proxy.port}${target.pathname}` });
      return behindProxy(proxy, proxied);
    },
    throughHttpProxy: async () => {
      const target = new URL(server.baseUrl);
      const proxy = await startHttpFaultProxy(target.origin);
      const proxied = scimConnector(server, { baseUrl: `${proxy.origin}${target.pathname}` });
      return behindProxy(proxy, proxied);
    },
    ...(server.config['sessions'] === undefined
      ? {}
      : { openSession: (login, secret) => openSession(server.baseUrl, login, secret) }),
    stop: async () => {
      await connector.close();
      await server.stop();
    },
  };
}

let serial = 0;

function sampleUser(): ReturnType<Harness['sampleAccount']> {
  serial += 1;
  const login = `user-${serial}-${randomUUID().slice(0, 8)}`;
  return {
    objectClass: 'account',
    login,
    enabled: true,
    attributes: {
      displayName: `Sample ${serial}`,
      'name.givenName': 'Sam',
      'name.familyName': `Ple ${serial}`,
      title: 'Engineer',
      'emails[type eq "work"].value': `${login}@example.test`,
      'enterprise.department': 'Research',
    },
  };
}

function peeked(user: Json, entitlements: string[]): Peeked {
  const name = (user['name'] ?? {}) as Json;
  const emails = (user['emails'] ?? []) as Json[];
  const attributes: Record<string, AttributeValue> = {
    displayName: user['displayName'] as string,
    title: user['title'] as string,
    'name.givenName': name['givenName'] as string,
    'name.familyName': name['familyName'] as string,
    emails: emails.map((mail) => String(mail['value'])),
    'enterprise.department': ((user[enterprise] ?? {}) as Json)['department'] as string,
  };
  const work = emails.find((mail) => mail['type'] === 'work');
  if (work !== undefined) {
    attributes['emails[type eq "work"].value'] = work['value'] as string;
  }
  return { login: String(user['userName']), enabled: user['active'] === true, attributes, entitlements };
}

async function openSession(
  baseUrl: string,
  login: string,
  secret: Secret,
): ReturnType<NonNullable<Harness['openSession']>> {
  const origin = new URL(baseUrl).origin;
  const body = JSON.stringify({ userName: login, password: secret.reveal() });
  const answer = (await (await fetch(`${origin}/sign-in`, { method: 'POST', body })).json()) as { token?: string };
  const headers = { authorization: `Bearer ${answer.token ?? ''}` };
  return {
    isOpen: async () => (await fetch(`${origin}/me`, { headers })).ok,
    close: async () => void (await fetch(`${origin}/sign-out`, { method: 'POST', headers })),
  };
}
