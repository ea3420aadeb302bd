import { afterEach, describe, expect, it } from '@jest/globals';
import { Secret } from '../../../src/connectors/secret.js';
import { newContext } from '../kit/checks.js';
import { ada, adaRef, Scripted, smallest } from './scripted.js';
import type { Asked, Reply } from './scripted.js';

let server: Scripted;
afterEach(() => server.stop());

async function serve(answer: (asked: Asked, url: URL) => Reply | undefined): Promise<Scripted> {
  server = await new Scripted(answer).start();
  return server;
}

const one = { request: { path: '/by-login/{value}' }, items: '[body]' };
const gone = 'status == 404 && body.error == "nobody"';
const find = (login: object) => ({ operations: { find: { login } } });

describe('a search that gives one account or 404', () => {
  it('`absent` makes the 404 an empty list, and no other one', async () => {
    await serve((asked) => ({ status: 404, body: { error: asked.url.endsWith('/ada') ? 'nobody' : 'no such route' } }));
    const exact = server.connector(find({ ...one, absent: gone }));
    expect(await exact.find({ attribute: 'login', value: 'ada' }, newContext())).toEqual([]);
    await expect(exact.find({ attribute: 'login', value: 'bea' }, newContext())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const plain = server.connector(find(one)).find({ attribute: 'login', value: 'ada' }, newContext());
    await expect(plain).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('`thenGet` reads what was found; without it an account would be unknown, and one that is gone is not there', async () => {
    await serve((asked) => {
      if (asked.url.startsWith('/by-login/')) return { body: { id: asked.url.endsWith('ada') ? 'u1' : 'u2' } };
      return asked.url === '/users/u1' ? { body: ada } : { status: 404 };
    });
    const reading = server.connector(find({ ...one, thenGet: true }));
    const [found] = await reading.find({ attribute: 'login', value: 'ada' }, newContext());
    expect([found?.status, found?.attributes]).toEqual(['enabled', { title: 'Engineer' }]);
    expect(await reading.find({ attribute: 'login', value: 'bea' }, newContext())).toEqual([]);
    expect(await server.connector(find(one)).find({ attribute: 'login', value: 'ada' }, newContext())).toEqual([]);
  });
});

describe('what belongs to an account', () => {
  const steps = (path: string, body?: object) => [{ method: 'POST', path, ...(body === undefined ? {} : { body }) }];

  it('all sessions are ended in one request that names them', async () => {
    await serve((asked) => (asked.url === '/users/u1' ? { body: ada } : { body: [{ key: 's1' }, { key: 's2' }] }));
    const connector = server.connector({
      sessions: {
        list: { request: { path: '/sessions-of/{account.login}' } },
        revoke: steps('/end', { keys: 'sessions.map(each, each.key)' }),
      },
    });
    expect((await connector.revokeSessions!(adaRef, newContext())).outcome).toBe('applied');
    expect(server.asked.at(-1)?.body).toBe('{"keys":["s1","s2"]}');
    expect(server.count('GET', /^\/sessions-of\/ada$/)).toBe(1);
  });

  it('credentials come from every list, and each goes its own way; one refused after another was taken is PARTIAL', async () => {
    let refuses = true;
    await serve((asked) => {
      if (asked.url === '/users/u1') return { body: ada };
      if (asked.method === 'GET') return { body: [{ id: 7 }] };
      return asked.url === '/keys/7' && refuses ? { status: 403 } : { status: 204 };
    });
    const source = (name: string, kind: string) => ({
      list: { request: { path: `/${name}` } },
      id: `"${name}-" + string(int(item.id))`,
      kind: `"${kind}"`,
      revoke: steps(`/${name}/{credential.item.id}`),
    });
    const connector = server.connector({ credentials: [source('tokens', 'api-key'), source('keys', 'ssh-key')] });
    const { credentials } = await connector.listCredentials!(adaRef, newContext());
    expect(credentials).toEqual([
      { id: 'tokens-7', kind: 'api-key' },
      { id: 'keys-7', kind: 'ssh-key' },
    ]);
    await expect(connector.revokeCredentials!(adaRef, newContext())).rejects.toMatchObject({ code: 'PARTIAL' });
    refuses = false;
    expect((await connector.revokeCredentials!(adaRef, newContext())).outcome).toBe('applied');
  });
});

describe('a create', () => {
  it('of a login that is reserved writes nothing', async () => {
    await serve((asked) => {
      if (asked.url.startsWith('/free')) return asked.url.endsWith('=ada') ? { status: 400 } : { body: {} };
      return asked.method === 'POST' ? { status: 201, body: { id: 'u9' } } : { body: [] };
    });
    const { create } = smallest(server.url)['operations'] as { create: object };
    const taken = { request: { path: '/free', query: { name: 'login' } }, when: 'status == 400' };
    const connector = server.connector({ operations: { create: { ...create, taken } } });
    const spec = (login: string) => ({ objectClass: 'account', login, enabled: true, attributes: {} }) as const;
    const context = newContext();
    await expect(connector.create!(spec('ada'), context)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      sent: false,
    });
    expect([context.markers(), server.count('POST', /./)]).toEqual([0, 0]);
    expect((await connector.create!(spec('bea'), newContext())).ref.nativeId).toBe('u9');
  });
});

describe('a sign-in page', () => {
  it('is read as text where that is configured; the last cookie is in the sign-out', async () => {
    await serve((asked) => {
      if (asked.url === '/logout') return { body: asked.headers.cookie };
      const isRight = asked.body.includes('right');
      const cookies = ['sid=0001', 'sid=0002'] as unknown as string;
      return isRight ? { status: 303, headers: { 'set-cookie': cookies } } : { body: 'name or password is wrong' };
    });
    const page = {
      request: { method: 'POST', path: '/login', form: { user: 'login', password: 'secret' } },
      answers: [
        { status: 303, answer: 'accepted' },
        { status: 200, when: 'body.contains("is wrong")', answer: 'wrong-secret' },
      ],
      signOut: {
        method: 'POST',
        path: '/logout',
        headers: {
          Cookie: 'headers["set-cookie"].substring(headers["set-cookie"].lastIndexOf("sid="))',
        },
      },
    };
    const probe = async (secret: string, signIn: object) =>
      (await server.connector({ signIn }).probeSignIn!('ada', new Secret(secret), newContext())).answer;
    const text = { ...page, body: 'text' };
    expect([await probe('right', text), await probe('other', text)]).toEqual(['accepted', 'wrong-secret']);
    const out = server.asked.find((asked) => asked.url === '/logout');
    expect(out?.headers.cookie).toBe('sid=0002');
  });
});
