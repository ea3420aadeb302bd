import { createServer, request as send } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HttpRequestSeen {
  readonly method: string;
  /** Path and query, as on the wire. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The connection is cut when half of the body has left. */
  readonly cut?: true;
}

/** Answers a request itself, or passes it on (changed, if it likes) and answers what it makes of the target's reply. */
export type Intercept = (
  request: HttpRequestSeen,
  forward: (changed?: Partial<HttpRequestSeen>) => Promise<HttpReply>,
) => Promise<HttpReply>;

export interface HttpProxy {
  /** The proxy's own origin, `http://127.0.0.1:port`. */
  readonly origin: string;
  /** What came in since the last call of `clear`, in order. */
  readonly requests: readonly HttpRequestSeen[];
  clear(): void;
  intercept(by: Intercept | undefined): void;
  close(): Promise<void>;
}

/** An HTTP reverse proxy before a real target (its origin, plain HTTP). Without an interceptor it passes everything on. */
export async function startHttpProxy(targetOrigin: string, by?: Intercept): Promise<HttpProxy> {
  let current = by;
  const requests: HttpRequestSeen[] = [];
  const server = createServer((incoming, outgoing) => {
    void answer(incoming, outgoing).catch(() => outgoing.destroy());
  });
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const seen: HttpRequestSeen = {
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: plain(incoming.headers),
      body: await textOf(incoming),
    };
    requests.push(seen);
    const forward = (changed: Partial<HttpRequestSeen> = {}) => exchange(targetOrigin, { ...seen, ...changed });
    const reply = await (current === undefined ? forward() : current(seen, forward));
    const {
      'transfer-encoding': _chunked,
      'content-length': _length,
      connection: _connection,
      ...headers
    } = reply.headers;
    const body = Buffer.from(reply.body, 'latin1');
    const bodyless = reply.status === 204 || reply.status === 304;
    outgoing.writeHead(reply.status, bodyless ? headers : { ...headers, 'content-length': String(body.length) });
    if (reply.cut === true) {
      outgoing.write(body.subarray(0, body.length / 2), () => outgoing.socket?.destroy());
      return;
    }
    outgoing.end(bodyless ? undefined : body);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    clear: () => void requests.splice(0),
    intercept: (next) => void (current = next),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function exchange(targetOrigin: string, seen: HttpRequestSeen): Promise<HttpReply> {
  return new Promise((resolve, reject) => {
    const { host: _host, connection: _connection, 'transfer-encoding': _chunked, ...headers } = seen.headers;
    const body = Buffer.from(seen.body, 'latin1');
    const sized: OutgoingHttpHeaders = { ...headers, 'content-length': body.length };
    const options = { method: seen.method, headers: sized, agent: false } as const;
    const outgoing = send(new URL(seen.path, targetOrigin), options, (incoming) => {
      textOf(incoming).then(
        (text) => resolve({ status: incoming.statusCode ?? 502, headers: plain(incoming.headers), body: text }),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Bytes as they are, one character each: the proxy must not repair what it passes on. */
async function textOf(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('latin1');
}

function plain(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}

/**
 * What stands between client and target. `before`: the target never hears of the request. `after`: the target has acted, and its reply is
 * replaced or spoiled.
 */
export const httpFaults = {
  'too-many-seconds': before(429, { 'retry-after': '7' }),
  'too-many-date': {
    when: 'before',
    reply: () => replyOf(429, { 'retry-after': new Date(Date.now() + 60_000).toUTCString() }),
  },
  'too-many-silent': before(429),
  'error-before': before(500, {}, 'Internal Server Error'),
  'error-after': { when: 'after', reply: () => replyOf(500, {}, 'Internal Server Error') },
  'gateway-after': {
    when: 'after',
    reply: () => replyOf(502, { 'content-type': 'text/html' }, '<html>Bad Gateway</html>'),
  },
  unavailable: before(503, { 'retry-after': '3' }),
  'login-redirect': before(302, { location: '/login?next=%2F' }),
  'login-page': before(200, { 'content-type': 'text/html' }, '<!doctype html><title>Sign in</title><form></form>'),
  'error-in-200': before(
    200,
    { 'content-type': 'application/json' },
    '{"error":{"code":"backend_down","message":"try later"}}',
  ),
  truncated: {
    when: 'after',
    reply: (real) => ({ ...real, body: real.body.slice(0, Math.floor(real.body.length / 2)) }),
  },
  'cut-off': { when: 'after', reply: (real) => ({ ...real, cut: true }) },
  garbage: before(200, { 'content-type': 'application/json' }, '\u0000\u00ff\u00fe{]\u0007'),
} as const satisfies Readonly<Record<string, HttpFaultKind>>;

export type HttpFault = keyof typeof httpFaults;

interface HttpFaultKind {
  readonly when: 'before' | 'after';
  readonly reply: (real: HttpReply) => HttpReply;
}

function replyOf(status: number, headers: Readonly<Record<string, string>> = {}, body = ''): HttpReply {
  return { status, headers, body };
}

function before(...reply: Parameters<typeof replyOf>): HttpFaultKind & { readonly when: 'before' } {
  return { when: 'before', reply: () => replyOf(...reply) };
}

/** What a proxy of the kit does at the moment: `pass`, or one fault for writes only or for every request. */
export interface HttpFaultProxy extends HttpProxy {
  fail(fault: HttpFault | 'pass', whom?: 'writes' | 'all'): void;
}

/** A reverse proxy that fails as asked. `isWrite` tells the writes from requests that only look like one (a search or a token by POST). */
export async function startHttpFaultProxy(
  targetOrigin: string,
  isWrite: (request: HttpRequestSeen) => boolean = ({ method }) => !['GET', 'HEAD', 'OPTIONS'].includes(method),
): Promise<HttpFaultProxy> {
  const proxy = await startHttpProxy(targetOrigin);
  return {
    ...proxy,
    fail: (fault, whom = 'writes') => {
      if (fault === 'pass') {
        proxy.intercept(undefined);
        return;
      }
      const kind: HttpFaultKind = httpFaults[fault];
      proxy.intercept(async (request, forward) => {
        if (whom === 'writes' && !isWrite(request)) return forward();
        return kind.reply(kind.when === 'after' ? await forward() : replyOf(0));
      });
    },
  };
}
