import { afterEach, describe, expect, it } from '@jest/globals';
import type { Connector } from '../../../src/connectors/connector.js';
import { newContext } from '../kit/checks.js';
import type { Config } from './example.js';
import { ada, adaRef, Scripted } from './scripted.js';
import type { Asked, Reply } from './scripted.js';

let server: Scripted;
afterEach(() => server.stop());

const people = (): (typeof ada)[] => Array.from({ length: 7 }, (_, index) => ({ ...ada, id: `u${index}` }));

async function serve(answer: (asked: Asked, url: URL) => Reply | undefined): Promise<Scripted> {
  server = await new Scripted(answer).start();
  return server;
}

function listing(paging: Config, items = 'body.items'): Config {
  return { operations: { list: { request: { path: '/users' }, items, paging } } };
}

async function walk(connector: Connector, between?: () => void) {
  const ids: string[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 40; pages += 1) {
    const page = await connector.list({ objectClass: 'account', pageSize: 3, cursor }, newContext());
    expect(page.items.length).toBeLessThanOrEqual(3);
    ids.push(...page.items.map((item) => item.ref.nativeId));
    if (page.next === undefined) return { ids, complete: page.complete };
    if (pages === 0) between?.();
    cursor = page.next;
  }
  throw new Error('the list does not end');
}

const slice = (all: readonly unknown[], from: number, size: number) => all.slice(from, from + size);

type Kind = [string, Config, (all: readonly unknown[], url: URL, base: string) => Reply];
const kinds: Kind[] = [
  ['everything at once', { type: 'none' }, (all) => ({ body: { items: all } })],
  [
    'Link header',
    { type: 'link', size: { param: 'limit' } },
    (all, url) => {
      const [at, size] = [Number(url.searchParams.get('at')), Number(url.searchParams.get('limit'))];
      const next = `</users?limit=${size}&at=${at + size}>; title="a, b"; rel="next"`;
      const link = `<https://elsewhere.example/>; rel="help", ${next}`;
      return {
        body: { items: slice(all, at, size) },
        headers: at + size < all.length ? { link } : { link: '</users>; rel="first"' },
      };
    },
  ],
  [
    'URL in the body',
    { type: 'url', next: 'body[?"@next"]', size: { param: 'limit' } },
    (all, url, base) => {
      const [at, size] = [Number(url.searchParams.get('at')), Number(url.searchParams.get('limit'))];
      const next = at + size < all.length ? { '@next': `${base}/users?limit=${size}&at=${at + size}` } : {};
      return { body: { items: slice(all, at, size), ...next } };
    },
  ],
  [
    'cursor in the body',
    { type: 'cursor', param: 'after', next: 'body.?next', size: { param: 'limit' } },
    (all, url) => {
      const at = Number((url.searchParams.get('after') ?? 'c0').slice(1));
      const size = Number(url.searchParams.get('limit'));
      return { body: { items: slice(all, at, size), ...(at + size < all.length ? { next: `c${at + size}` } : {}) } };
    },
  ],
  [
    'page number',
    { type: 'page', param: 'page', size: { param: 'limit' } },
    (all, url) => {
      const size = Number(url.searchParams.get('limit'));
      return { body: { items: slice(all, (Number(url.searchParams.get('page')) - 1) * size, size) } };
    },
  ],
  [
    'offset',
    { type: 'offset', param: 'start', size: { param: 'limit' } },
    (all, url) => ({
      body: { items: slice(all, Number(url.searchParams.get('start')), Number(url.searchParams.get('limit'))) },
    }),
  ],
];

describe('paging', () => {
  it.each(kinds)('%s: everyone once', async (_name, paging, answer) => {
    const all = people();
    await serve((_asked, url) => answer(all, url, server.url));
    const walked = await walk(server.connector(listing(paging)));
    expect(walked).toEqual({ ids: all.map((one) => one.id), complete: true });
  });

  const moving = kinds.filter(([name]) => ['everything at once', 'page number', 'offset'].includes(name));
  it.each(moving)(
    '%s: somebody goes between two pages, and the list does not call itself complete',
    async (...kind) => {
      const [, paging, answer] = kind;
      const all = people();
      await serve((_asked, url) => answer(all, url, server.url));
      const walked = await walk(server.connector(listing(paging)), () => void all.splice(0, 1, ...[]));
      expect(walked.complete).toBe(false);
    },
  );

  it.each(['https://evil.example/users', '//evil.example/users', 'http://127.0.0.1:9/users', 'file:///etc/passwd'])(
    'a next page at %s is refused',
    async (next) => {
      await serve(() => ({ body: { items: [ada], next } }));
      const connector = server.connector(listing({ type: 'url', next: 'body.next' }));
      await expect(walk(connector)).rejects.toMatchObject({ code: 'FORBIDDEN', targetCode: 'other-origin' });
      expect(server.asked.length).toBe(1);
      await server.stop();
      await serve(() => ({ body: { items: [ada] }, headers: { link: `<${next}>; rel=next` } }));
      const again = server.connector(listing({ type: 'link' }));
      await expect(walk(again)).rejects.toMatchObject({ code: 'FORBIDDEN', targetCode: 'other-origin' });
      expect(server.asked.length).toBe(1);
    },
  );

  it('a cursor from outside cannot lead elsewhere', async () => {
    await serve(() => ({ body: { items: [ada] } }));
    const cursor = Buffer.from(JSON.stringify({ index: 1, url: 'http://127.0.0.1:9/users' })).toString('base64url');
    const list = server
      .connector(listing({ type: 'link' }))
      .list({ objectClass: 'account', pageSize: 3, cursor }, newContext());
    await expect(list).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(server.asked.length).toBe(0);
  });

  it('a server that gives the same cursor again is noticed', async () => {
    await serve(() => ({ body: { items: [ada], next: 'c1' } }));
    const connector = server.connector(listing({ type: 'cursor', param: 'after', next: 'body.next' }));
    await expect(walk(connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'cursor-repeats' });
  });

  it('an answer without its list is not an empty list', async () => {
    await serve(() => ({ body: { error: 'busy' } }));
    const connector = server.connector(listing({ type: 'none' }));
    await expect(walk(connector)).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'no-items' });
  });
});

describe('what an answer says', () => {
  it('404 of a wrong path is not "no such account" where the target tells them apart', async () => {
    await serve(() => ({ status: 404, body: { error: 'no such route' } }));
    const get = { request: { path: '/users/{account.id}' }, absent: 'status == 404 && body.error == "no such user"' };
    const exact = server.connector({ operations: { get } });
    await expect(exact.get(adaRef, newContext())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      targetCode: 'http-404',
    });
    expect(await server.connector().get(adaRef, newContext())).toBeUndefined();
  });

  it.each([
    ['true', true, 'enabled'],
    ['false', false, 'disabled'],
    ['a word', 'locked', 'locked'],
    ['an unknown word', 'suspended', 'unknown'],
    ['nothing', undefined, 'unknown'],
    ['null', null, 'unknown'],
    ['a number', 1, 'unknown'],
  ])('a status that is %s', async (_name, active, status) => {
    await serve(() => ({ body: { ...ada, active } }));
    expect((await server.connector().get(adaRef, newContext()))?.status).toBe(status);
  });

  it('another account than the one asked for is refused', async () => {
    await serve(() => ({ body: { ...ada, id: 'u2' } }));
    const get = server.connector().get(adaRef, newContext());
    await expect(get).rejects.toMatchObject({ code: 'UNAVAILABLE', targetCode: 'other-account' });
  });

  it('a fuzzy search does no harm', async () => {
    await serve(() => ({ body: [ada, { ...ada, id: 'u2', login: 'adam' }] }));
    const found = await server.connector().find({ attribute: 'login', value: 'Ada' }, newContext());
    expect(found.map((one) => one.ref.nativeId)).toEqual(['u1']);
  });

  it.each(['../admin', '..', 'a/b?c=d#e', '%2e%2e', 'u1;x=y', 'ü & "q"'])(
    'the id %s stays one part of the path',
    async (id) => {
      await serve((asked) => ({ body: { ...ada, id: decodeURIComponent(asked.url.slice('/users/'.length)) } }));
      const get = server.connector().get({ ...adaRef, nativeId: id }, newContext());
      if (id === '..') {
        await expect(get).rejects.toMatchObject({ code: 'INVALID', targetCode: 'expression:dot-path-part' });
      } else {
        expect((await get)?.ref.nativeId).toBe(id);
        expect(server.asked[0]?.url).toMatch(/^\/users\/[^/?#]+$/);
      }
    },
  );
});
