import { createHash, createHmac } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import { newContext } from '../kit/checks.js';
import { ada, adaRef, Scripted } from './scripted.js';
import type { Asked, Reply } from './scripted.js';

let server: Scripted;
afterEach(() => server.stop());

/** Shows Ada to whoever is allowed in. */
async function guarded(isAllowed: (asked: Asked) => boolean, tokens?: (asked: Asked) => Reply): Promise<Scripted> {
  server = await new Scripted((asked, { pathname }) => {
    if (pathname === '/token' && tokens !== undefined) return tokens(asked);
    return isAllowed(asked) ? { body: pathname === '/users/u1' ? ada : [ada] } : { status: 401 };
  }).start();
  return server;
}

const get = (connector: ReturnType<Scripted['connector']>) => connector.get(adaRef, newContext());

describe('credentials that do not change', () => {
  const basic = `Basic ${Buffer.from('tenure:the-secret').toString('base64')}`;
  const kinds: [string, object, (asked: Asked) => boolean][] = [
    ['bearer', { type: 'bearer', token: 'env:T' }, (asked) => asked.headers.authorization === 'Bearer the-secret'],
    [
      'bearer of another scheme',
      { type: 'bearer', token: 'env:T', scheme: 'SSWS' },
      (asked) => asked.headers.authorization === 'SSWS the-secret',
    ],
    [
      'basic',
      { type: 'basic', username: 'tenure', password: 'env:T' },
      (asked) => asked.headers.authorization === basic,
    ],
    [
      'a key in a header',
      { type: 'apiKey', in: 'header', name: 'X-Api-Key', key: 'env:T' },
      (asked) => asked.headers['x-api-key'] === 'the-secret',
    ],
    [
      'a key in the query',
      { type: 'apiKey', in: 'query', name: 'key', key: 'env:T' },
      (asked) => asked.url.endsWith('?key=the-secret') && asked.headers.authorization === undefined,
    ],
  ];

  it.each(kinds)('%s', async (_name, auth, isAllowed) => {
    await guarded(isAllowed);
    expect((await get(server.connector({ auth })))?.login).toBe('ada');
    await expect(get(server.connector({ auth }, 'wrong'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('OAuth 2.0', () => {
  const grant = (url: string, changes: object = {}) => ({
    auth: {
      type: 'oauth2-client-credentials',
      tokenUrl: `${url}/token`,
      clientId: 'ten ure',
      clientSecret: 'env:T',
      scope: 'users',
      ...changes,
    },
  });
  let issued = 0;
  const issue =
    (life: number) =>
    (asked: Asked): Reply => {
      const pair = Buffer.from((asked.headers.authorization ?? '').slice(6), 'base64').toString();
      const form = new URLSearchParams(asked.body);
      if (pair !== 'ten%20ure:the-secret' || form.get('scope') !== 'users') return { status: 401 };
      issued += 1;
      return { body: { access_token: `t${issued}`, token_type: 'Bearer', expires_in: life } };
    };
  const tokens = (): number => server.count('POST', /^\/token$/);

  it('asks for one token, however many calls there are at once', async () => {
    await guarded((asked) => asked.headers.authorization === `Bearer t${issued}`, issue(300));
    const connector = server.connector(grant(server.url));
    const seen = await Promise.all(Array.from({ length: 10 }, () => get(connector)));
    expect(seen.every((account) => account?.login === 'ada')).toBe(true);
    expect(tokens()).toBe(1);
  });

  it('renews a token that the target ended early, once', async () => {
    await guarded((asked) => asked.headers.authorization === `Bearer t${issued}`, issue(300));
    const connector = server.connector(grant(server.url));
    await get(connector);
    issued += 1;
    expect((await get(connector))?.login).toBe('ada');
    expect(tokens()).toBe(2);
  });

  it('asks for another one when the life of the first is over', async () => {
    await guarded((asked) => asked.headers.authorization === `Bearer t${issued}`, issue(0));
    const connector = server.connector(grant(server.url));
    await get(connector);
    await get(connector);
    expect(tokens()).toBe(2);
  });

  it('does not go round in circles when every token is refused', async () => {
    await guarded(() => false, issue(300));
    const connector = server.connector(grant(server.url));
    await expect(get(connector)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect([tokens(), server.count('GET', /users/)]).toEqual([1, 1]);
    await expect(get(connector)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect([tokens(), server.count('GET', /users/)]).toEqual([2, 2]);
  });

  it('says UNAUTHENTICATED when the client is refused, and sends nothing to the target', async () => {
    await guarded(() => true, issue(300));
    const connector = server.connector(grant(server.url), 'wrong');
    await expect(get(connector)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', targetCode: 'token:http-401' });
    expect((await connector.health(newContext())).code).toBe('UNAUTHENTICATED');
    expect(server.count('GET', /users/)).toBe(0);
  });

  it('uses a refresh token, and the new one that the server gave for it', async () => {
    let good = 'the-secret';
    const rotate = (asked: Asked): Reply => {
      const form = new URLSearchParams(asked.body);
      if (form.get('grant_type') !== 'refresh_token' || form.get('refresh_token') !== good) return { status: 400 };
      good = `${good}+`;
      return { body: { access_token: 'a', expires_in: 0, refresh_token: good } };
    };
    await guarded((asked) => asked.headers.authorization === 'Bearer a', rotate);
    const changes = { type: 'oauth2-refresh-token', clientAuth: 'body', refreshToken: 'env:T', scope: undefined };
    const connector = server.connector(grant(server.url, changes));
    await get(connector);
    await get(connector);
    expect(good).toBe('the-secret++');
    await expect(get(server.connector(grant(server.url, changes)))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

describe('HMAC', () => {
  const auth = {
    type: 'hmac',
    algorithm: 'sha512',
    encoding: 'base64',
    keyId: 'k1',
    key: 'env:T',
    canonical: '[method, host, path, query, bodySha256, timestamp, nonce].join("\\n")',
    headers: {
      Authorization: '"Sig keyId=" + keyId + ",signature=" + signature',
      'X-Date': 'timestamp',
      'X-Nonce': 'nonce',
    },
  };
  /** Computed anew from the bytes that came, with no code of the connector. */
  const isSigned = (asked: Asked): boolean => {
    const [path = '', query = ''] = asked.url.split('?');
    const bodyHash = createHash('sha256').update(asked.body).digest('hex');
    const { host, 'x-date': date, 'x-nonce': nonce } = asked.headers;
    const text = [asked.method, host, path, query, bodyHash, date, nonce].join('\n');
    const wanted = createHmac('sha512', 'the-secret').update(text).digest('base64');
    return asked.headers.authorization === `Sig keyId=k1,signature=${wanted}`;
  };

  it('signs what is sent: method, path, query and body', async () => {
    server = await new Scripted((asked) => {
      if (!isSigned(asked)) return { status: 401 };
      if (asked.method === 'POST') return { status: 201, body: { id: 'u2' } };
      return { body: asked.url === '/users/u1' ? ada : [] };
    }).start();
    const connector = server.connector({ auth });
    expect((await get(connector))?.login).toBe('ada');
    const spec = { objectClass: 'account', login: 'zoë & "co"', enabled: true, attributes: {} } as const;
    expect((await connector.create!(spec, newContext())).ref.nativeId).toBe('u2');
    const dates = server.asked.map((asked) => asked.headers['x-nonce']);
    expect(new Set(dates).size).toBe(dates.length);
  });

  it('is refused with a wrong key, and when the signed text leaves something out', async () => {
    await guarded(isSigned);
    await expect(get(server.connector({ auth }, 'wrong'))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const less = { ...auth, canonical: '[method, host, path].join("\\n")' };
    await expect(get(server.connector({ auth: less }))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});
