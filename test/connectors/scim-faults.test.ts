import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Connector } from '../../src/connectors/connector.js';
import { scimFactory } from '../../src/connectors/scim/index.js';
import { Secret } from '../../src/connectors/secret.js';
import { newContext } from './kit/checks.js';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A SCIM server that answers each request as a test says. */
const servers: Server[] = [];
const connectors: Connector[] = [];
const requests: string[] = [];

async function start(handler: Handler, changes: object = {}): Promise<Connector> {
  requests.length = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      requests.push(`${request.method ?? ''} ${decodeURIComponent(request.url ?? '')} ${body}`);
      handler(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`;
  const config = { baseUrl, token: 'env:T', ...changes };
  servers.push(server);
  const connector = scimFactory.create('x', config, {
    secrets: () => new Secret('token'),
    logger: newContext().logger,
  });
  connectors.push(connector);
  return connector;
}

afterEach(async () => {
  await Promise.all(connectors.splice(0).map((connector) => connector.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const spec = { objectClass: 'account', login: 'ada', enabled: true, attributes: { externalId: 'key-1' } } as const;
const empty = JSON.stringify({ totalResults: 0, Resources: [] });
const one = (id: string): string =>
  JSON.stringify({ totalResults: 1, Resources: [{ id, userName: 'ada', active: true, externalId: 'key-1' }] });

/** Reads find nothing; the create is answered by the test. */
function onCreate(answer: (response: ServerResponse) => void): Handler {
  return (request, response) => {
    if (request.method === 'POST') {
      answer(response);
    } else {
      response.end(empty);
    }
  };
}

describe('answers to a create', () => {
  const cases: [string, number, Record<string, string>, string, object][] = [
    ['400', 400, {}, '{"scimType":"invalidValue"}', { code: 'INVALID', targetCode: 'http-400 invalidValue' }],
    ['401', 401, {}, '', { code: 'UNAUTHENTICATED' }],
    ['403', 403, {}, '<html>no</html>', { code: 'FORBIDDEN' }],
    ['409', 409, {}, '{"scimType":"uniqueness"}', { code: 'ALREADY_EXISTS' }],
    ['429 in seconds', 429, { 'retry-after': '7' }, '', { code: 'RATE_LIMITED', retryAfterMs: 7000 }],
    ['429 without a time', 429, {}, '', { code: 'RATE_LIMITED', retryAfterMs: undefined }],
    ['500', 500, {}, 'oops', { code: 'AMBIGUOUS', sent: true }],
    ['502', 502, {}, '', { code: 'AMBIGUOUS', sent: true }],
    ['503', 503, { 'retry-after': '1' }, '', { code: 'UNAVAILABLE', retryAfterMs: 1000 }],
    ['501', 501, {}, '', { code: 'UNSUPPORTED' }],
    ['a redirect', 302, { location: 'http://127.0.0.1:9/' }, '', { code: 'UNAVAILABLE' }],
    ['a body that is no JSON', 201, {}, '<html>', { code: 'AMBIGUOUS', sent: true }],
    ['no body and nothing to find', 201, {}, '', { code: 'AMBIGUOUS', sent: true }],
  ];

  it.each(cases)('%s', async (_name, status, headers, body, wanted) => {
    const made = await start(onCreate((response) => response.writeHead(status, headers).end(body)));
    await expect(made.create!(spec, newContext())).rejects.toMatchObject(wanted);
    expect(requests.filter((request) => request.startsWith('POST'))).toHaveLength(1);
  });

  it('429 with an HTTP date', async () => {
    const at = new Date(Date.now() + 60_000).toUTCString();
    const made = await start(onCreate((response) => response.writeHead(429, { 'retry-after': at }).end()));
    const error = await made.create!(spec, newContext()).catch((thrown: unknown) => thrown as { retryAfterMs: number });
    const { retryAfterMs } = error as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(55_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it('201 without a body: the id is taken from Location, or found by the key', async () => {
    const located = await start(onCreate((response) => response.writeHead(201, { location: '/v2/Users/77' }).end()));
    expect((await located.create!(spec, newContext())).ref.nativeId).toBe('77');
    let made = false;
    const found = await start((request, response) => {
      made ||= request.method === 'POST';
      response
        .writeHead(request.method === 'POST' ? 201 : 200)
        .end(request.method === 'POST' ? '' : made ? one('78') : empty);
    });
    expect((await found.create!(spec, newContext())).ref.nativeId).toBe('78');
  });

  it('409 for an account that carries our key is ours', async () => {
    let asked = 0;
    const made = await start((request, response) => {
      asked += request.method === 'GET' ? 1 : 0;
      response.writeHead(request.method === 'POST' ? 409 : 200).end(asked > 1 ? one('5') : empty);
    });
    expect(await made.create!(spec, newContext())).toMatchObject({
      outcome: 'already-in-state',
      ref: { nativeId: '5' },
    });
  });
});

describe('reads', () => {
  it('are never reported as sent, whatever happens', async () => {
    const statuses: [number, string][] = [
      [500, 'UNAVAILABLE'],
      [503, 'UNAVAILABLE'],
      [429, 'RATE_LIMITED'],
      [401, 'UNAUTHENTICATED'],
    ];
    for (const [status, code] of statuses) {
      const made = await start((_request, response) => response.writeHead(status).end());
      await expect(made.find({ attribute: 'login', value: 'ada' }, newContext())).rejects.toMatchObject({
        code,
        sent: false,
      });
    }
    const malformed = await start((_request, response) => response.end('{"Resources": ['));
    await expect(malformed.find({ attribute: 'login', value: 'a' }, newContext())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  it('take a user without `active` for unknown, not for enabled', async () => {
    const made = await start((request, response) => {
      response.end(request.url?.includes('/Groups') === true ? empty : JSON.stringify({ id: '1', userName: 'ada' }));
    });
    const ref = { application: 'x', objectClass: 'account', nativeId: '1' };
    expect((await made.get(ref, newContext()))?.status).toBe('unknown');
    expect((await made.verify({ ref, exists: true, status: 'disabled' }, newContext())).verdict).toBe('unknown');
  });

  it('page by cursor when the server announces cursors', async () => {
    const made = await start((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      if (url.pathname.endsWith('/ServiceProviderConfig')) {
        response.end(JSON.stringify({ patch: { supported: true }, pagination: { cursor: true } }));
        return;
      }
      const cursor = url.searchParams.get('cursor') ?? '-';
      const next = { '': 'a', a: 'b' }[cursor];
      response.end(
        JSON.stringify({
          Resources: [{ id: `after-${cursor}`, userName: 'x' }],
          ...(next === undefined ? {} : { nextCursor: next }),
        }),
      );
    });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await made.list({ objectClass: 'account', pageSize: 1, cursor }, newContext());
      seen.push(...page.items.map((item) => item.ref.nativeId));
      cursor = page.next;
      expect(page.complete).toBe(cursor === undefined);
    } while (cursor !== undefined);
    expect(seen).toEqual(['after-', 'after-a', 'after-b']);
    await expect(
      made.list({ objectClass: 'account', pageSize: 1, cursor: 'made-up' }, newContext()),
    ).rejects.toMatchObject({ code: 'INVALID' });
  });

  it('send If-Match where ETags are announced, and a stale one is a CONFLICT', async () => {
    const made = await start((request, response) => {
      if (request.url?.endsWith('/ServiceProviderConfig') === true) {
        response.end(JSON.stringify({ patch: { supported: true }, etag: { supported: true } }));
      } else if (request.method === 'PATCH') {
        response.writeHead(request.headers['if-match'] === 'W/"7"' ? 412 : 200).end('{}');
      } else {
        response.writeHead(200, { etag: 'W/"7"' }).end(JSON.stringify({ id: '1', userName: 'ada', active: true }));
      }
    });
    const ref = { application: 'x', objectClass: 'account', nativeId: '1' };
    await expect(made.disable!(ref, newContext())).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});

describe('a sign-in probe', () => {
  const signIn = {
    path: '/sign-in',
    answers: [
      { status: 401, error: 'disabled', answer: 'disabled' },
      { status: 200, answer: 'accepted' },
    ],
  };
  const answers: [string, number, string, string, string][] = [
    ['the configured answer', 401, '{"error":"disabled"}', 'disabled', '401 disabled'],
    ['an error nobody configured', 401, '{"error":"expired"}', 'unknown', '401 expired'],
    ['free text, which is not kept', 403, '{"error":"Ada Lovelace may not"}', 'unknown', '403'],
    ['a page instead of an answer', 503, '<html>', 'unknown', '503'],
  ];

  it.each(answers)('reads %s', async (_name, status, body, answer, code) => {
    const made = await start((_request, response) => response.writeHead(status).end(body), { signIn });
    expect(await made.probeSignIn!('ada', new Secret('x'), newContext())).toMatchObject({ answer, code });
  });

  it('of a server that is gone is unknown, and carries no token of ours', async () => {
    let authorization: string | undefined = 'none seen';
    const made = await start(
      (request, response) => {
        authorization = request.headers.authorization;
        response.socket?.destroy();
      },
      { signIn },
    );
    expect((await made.probeSignIn!('ada', new Secret('x'), newContext())).answer).toBe('unknown');
    expect(authorization).toBeUndefined();
  });
});
