import { randomUUID } from 'node:crypto';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { restFactory } from '../../src/connectors/rest/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { Gitea } from '../systems/gitea.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';
import { startHttpFaultProxy } from './kit/http-fault-proxy.js';
import type { Config } from './rest/example.js';
import { example } from './rest/example.js';

type Json = Record<string, unknown>;

/** gitea.yaml for the test's server, with changes. */
export function giteaConnector(gitea: Gitea, changes: Config = {}, password = gitea.administrator.password): Connector {
  const auth = { type: 'basic', username: gitea.administrator.user, password: 'env:GITEA_PASSWORD' };
  const config = { ...example('gitea'), baseUrl: gitea.baseUrl, auth, ...changes };
  return restFactory.create('x', config, { secrets: () => new Secret(password), logger: newContext().logger });
}

/** The kit's view of Gitea; the oracle is its API by plain `fetch`, where users are asked for by login. */
export async function giteaHarness(gitea: Gitea): Promise<Harness> {
  const { call } = gitea;
  const must = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await call(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  await must('POST', '/orgs', { username: 'corp' });
  const team = { name: 'staff', permission: 'write', units: ['repo.code'] };
  const teamId = Number(((await must('POST', '/orgs/corp/teams', team)) as Json)['id']);
  const all = async (): Promise<Json[]> => {
    const found: Json[] = [];
    for (let page = 1; ; page += 1) {
      const users = (await must('GET', `/admin/users?page=${page}&limit=50`)) as Json[];
      if (users.length === 0) return found;
      found.push(...users);
    }
  };
  const user = async (id: string): Promise<Json | undefined> => (await all()).find((each) => String(each['id']) === id);
  const loginOf = async (id: string): Promise<string> => String((await user(id))?.['login']);
  const members = async (): Promise<string[]> =>
    ((await must('GET', `/teams/${teamId}/members?limit=50`)) as Json[]).map((each) => String(each['id']));
  const change = async (id: string, changes: Json): Promise<void> => {
    const found = await user(id);
    const { login, login_name, source_id } = found ?? {};
    await must('PATCH', `/admin/users/${String(login)}`, { login_name, source_id, ...changes });
  };
  const connector = giteaConnector(gitea);
  return {
    name: 'gitea by rest',
    connector,
    factory: restFactory,
    committed: committedCapabilities('rest', 'gitea'),
    wrongConfig: {
      config: { ...example('gitea'), credentials: [{ list: {} }], signIn: { body: 'pdf' } },
      paths: ['credentials.0.list.request', 'signIn.body', 'signIn.answers'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      description: 'long '.repeat(40).trim(),
      location: '%_*;--',
    },
    sampleDelta: { attribute: 'description', op: 'replace', value: 'Principal' },
    requiredAttribute: 'mail',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '987654321',
    group: 'staff',
    createsInSteps: true,
    peek: async (ref) => {
      const found = await user(ref.nativeId);
      return found === undefined ? undefined : peeked(found, (await members()).includes(ref.nativeId) ? ['staff'] : []);
    },
    countByLogin: async (login) => (await all()).filter((each) => each['login'] === login).length,
    snapshot: async () => JSON.stringify([await all(), await members()]),
    plant: {
      attribute: (ref, value) => change(ref.nativeId, { description: value }),
      enabled: (ref, enabled) => change(ref.nativeId, { prohibit_login: !enabled }),
      membership: async (ref, held) =>
        void (await must(held ? 'PUT' : 'DELETE', `/teams/${teamId}/members/${await loginOf(ref.nativeId)}`)),
      credential: async (ref) => {
        const path = `/users/${await loginOf(ref.nativeId)}/tokens`;
        await must('POST', path, { name: randomUUID(), scopes: ['read:user'] });
      },
    },
    peekBeyond: async (ref) => {
      const login = await loginOf(ref.nativeId);
      const tokens = (await must('GET', `/users/${login}/tokens`)) as Json[];
      const keys = (await must('GET', `/users/${login}/keys`)) as Json[];
      return { credentials: tokens.length + keys.length };
    },
    unreachable: () => giteaConnector(gitea, { baseUrl: 'http://127.0.0.1:9' }),
    wrongCredential: () => giteaConnector(gitea, {}, 'wrong-password'),
    throughProxy: async () => {
      const target = new URL(gitea.baseUrl);
      const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, (bytes) =>
        /^(POST|PUT|PATCH|DELETE) \/api\//.test(bytes.toString('latin1', 0, 20)),
      );
      const proxied = giteaConnector(gitea, { baseUrl: `http://127.0.0.1:${proxy.port}` });
      return behindProxy(proxy, proxied);
    },
    throughHttpProxy: async () => {
      const proxy = await startHttpFaultProxy(gitea.baseUrl);
      const proxied = giteaConnector(gitea, { baseUrl: proxy.origin });
      return behindProxy(proxy, proxied);
    },
    stop: async () => {
      await connector.close();
      await gitea.stop();
    },
  };
}

export function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes: Attributes = {
    displayName: 'Sample Person',
    mail: `${login}@example.test`,
    location: 'Berlin',
    description: 'Engineer',
  };
  return { objectClass: 'account', login, enabled: true, attributes };
}

function peeked(found: Json, entitlements: readonly string[]): Peeked {
  return {
    login: String(found['login']),
    enabled: found['active'] === true && found['prohibit_login'] === false,
    attributes: {
      displayName: String(found['full_name']),
      mail: String(found['email']),
      location: String(found['location']),
      description: String(found['description']),
      externalId: String(found['login_name']),
    },
    entitlements,
  };
}
