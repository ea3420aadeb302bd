import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttp } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { LookupAddress } from 'node:dns';
import { HttpClient } from '../../src/connectors/shared/http/client.js';
import type { HttpOptions } from '../../src/connectors/shared/http/client.js';
import { baseUrlOf, guardedLookup, isForbiddenAddress, sameOrigin } from '../../src/connectors/shared/http/guard.js';
import { parseRateReset, parseRetryAfter } from '../../src/connectors/shared/http/retry-after.js';
import { makeCertificates } from '../systems/debian.js';
import type { Certificates } from '../systems/debian.js';
import { newContext } from './kit/checks.js';
import { startFaultProxy } from './kit/fault-proxy.js';

const servers: Server[] = [];
const clients: HttpClient[] = [];

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const plain = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(createHttp(listener))}`;

function client(options: Partial<HttpOptions> = {}): HttpClient {
  const made = new HttpClient({ timeoutMs: 10_000, ...options });
  clients.push(made);
  return made;
}

const get = (url: string) => ({ operation: 'read', method: 'GET', url, write: false }) as const;
const post = (url: string) => ({ operation: 'write', method: 'POST', url, body: {}, write: true }) as const;

afterEach(async () => {
  await Promise.all(clients.splice(0).map((made) => made.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

describe('where no target can be', () => {
  it.each([
    ...[
      '169.254.169.254',
      '0.0.0.0',
      '224.0.0.1',
      '255.255.255.255',
      '100.100.100.200',
      'fe80::1',
      'ff02::1',
      '::',
      'fd00:ec2::254',
    ],
    ...['::ffff:169.254.169.254', '::ffff:a9fe:a9fe'],
  ])('%s is refused', (address) => {
    expect(isForbiddenAddress(address)).toBe(true);
  });

  it.each(['127.0.0.1', '10.0.0.1', '192.168.1.1', '172.16.0.1', '::1', 'fd12::1', '203.0.113.5'])(
    '%s is allowed',
    (address) => {
      expect(isForbiddenAddress(address)).toBe(false);
    },
  );

  it.each([
    ['http://directory.example.com/v2', /must be https/],
    ['http://127.0.0.1.example.com/v2', /must be https/],
    ['http://10.0.0.1/v2', /must be https/],
    ['ftp://localhost/', /https URL/],
    ['nonsense', /https URL/],
    ['https://user:secret@host.example.com/', /must not hold a password/],
    ['https://169.254.169.254/latest', /no target can be/],
    ['https://[fe80::1]/', /no target can be/],
    ['https://[::ffff:169.254.169.254]/', /no target can be/],
    ['https://0xa9fea9fe/', /no target can be/],
  ])('%s is refused as a base', (url, problem) => {
    expect(() => baseUrlOf('x', url)).toThrow(problem);
    expect(() => baseUrlOf('x', url)).not.toThrow(/secret/);
  });

  it('unencrypted HTTP is for loopback', () => {
    const bases = ['http://localhost:1/v2/', 'http://127.0.0.1:1', 'http://[::1]:1', 'https://host.example.com/a/'];
    expect(bases.map((url) => baseUrlOf('x', url))).toEqual([
      'http://localhost:1/v2',
      'http://127.0.0.1:1',
      'http://[::1]:1',
      'https://host.example.com/a',
    ]);
  });

  it('a name is looked at when it is resolved', async () => {
    const resolve = (name: string, all: boolean) =>
      new Promise<unknown>((done) =>
        guardedLookup(name, { all }, (error, address: string | LookupAddress[]) => done(error?.code ?? address)),
      );
    // The resolver reads a literal address as a name that resolves to it.
    expect(await resolve('169.254.169.254', true)).toBe('EADDRREFUSED');
    expect(await resolve('0.0.0.0', false)).toBe('EADDRREFUSED');
    expect(await resolve('127.0.0.1', false)).toBe('127.0.0.1');
    const refused = client().send(get('http://localhost.invalid/'), newContext());
    await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
  });
});

describe('answers that lead elsewhere', () => {
  it.each([
    'https://evil.example.com/next',
    '//evil.example.com/next',
    'http://127.0.0.1:2/next',
    'file:///etc/passwd',
    'https://127.0.0.1:1/',
  ])('%s is refused as a next page', async (named) => {
    const taken = async () => Promise.resolve(sameOrigin('http://127.0.0.1:1/v2', named, 'list'));
    await expect(taken()).rejects.toMatchObject({ code: 'FORBIDDEN', sent: false, targetCode: 'other-origin' });
  });

  it('a next page at the target is taken', () => {
    expect(sameOrigin('http://127.0.0.1:1/v2', '/v2/Users?page=2', 'list')).toBe('http://127.0.0.1:1/v2/Users?page=2');
    expect(sameOrigin('http://127.0.0.1:1/v2', 'Users', 'list')).toBe('http://127.0.0.1:1/v2/Users');
  });

  it('a redirect is not followed, and nothing is sent there', async () => {
    let reached = 0;
    const elsewhere = await plain((_request, response) => {
      reached += 1;
      response.end('{}');
    });
    for (const status of [301, 302, 303, 307, 308]) {
      const base = await plain((_request, response) => response.writeHead(status, { location: elsewhere }).end());
      const authorize = () => Promise.resolve({ authorization: 'Bearer secret' });
      await expect(client({ authorize }).send(get(base), newContext())).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        sent: false,
        targetCode: `http-${status}`,
      });
    }
    expect(reached).toBe(0);
  });
});

describe('TLS', () => {
  let folder: string;
  let files: Certificates;
  const text = (file: string): string => readFileSync(file, 'utf8');
  const start = async (mutual = false): Promise<string> => {
    const options = { cert: text(files.cert), key: text(files.key), ca: text(files.ca) };
    const server = createHttps(
      { ...options, requestCert: mutual, rejectUnauthorized: mutual },
      (_request, response) => void response.end('{"ok":true}'),
    );
    return `https://localhost:${await listen(server)}`;
  };
  const fingerprint = (file: string): string =>
    execFileSync('openssl', ['x509', '-in', file, '-noout', '-fingerprint', '-sha256'], { encoding: 'utf8' })
      .trim()
      .split('=')[1] ?? '';
  const reads = (url: string, tls?: HttpOptions['tls']) =>
    client(tls === undefined ? {} : { tls }).send(get(url), newContext());

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenure-http-'));
    files = await makeCertificates(folder);
  }, 60_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('trusts the pinned authority and no other; a write that was refused was not sent', async () => {
    const url = await start();
    expect((await reads(url, { ca: text(files.ca) })).body).toEqual({ ok: true });
    for (const tls of [undefined, { ca: text(files.otherCa) }]) {
      await expect(reads(url, tls)).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
      const write = client(tls === undefined ? {} : { tls }).send(post(url), newContext());
      await expect(write).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
    }
  });

  it('takes the one certificate whose fingerprint is configured', async () => {
    const url = await start();
    const ca = text(files.ca);
    const right = fingerprint(files.cert);
    expect((await reads(url, { ca, fingerprint: right })).status).toBe(200);
    expect((await reads(url, { ca, fingerprint: right.replaceAll(':', '').toLowerCase() })).status).toBe(200);
    await expect(reads(url, { ca, fingerprint: fingerprint(files.clientCert) })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      sent: false,
      targetCode: 'FINGERPRINT_MISMATCH',
    });
  });

  it('shows its own certificate where the server asks for one', async () => {
    const url = await start(true);
    const ca = text(files.ca);
    const clientCertificate = { cert: text(files.clientCert), key: text(files.clientKey) };
    expect((await reads(url, { ca, clientCertificate })).status).toBe(200);
    await expect(reads(url, { ca })).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
  });
});

describe('connections', () => {
  it('an idle one that died is not a failed first call', async () => {
    let served = 0;
    const base = await plain((_request, response) => {
      served += 1;
      response.end('{}');
    });
    const proxy = await startFaultProxy({ host: '127.0.0.1', port: Number(new URL(base).port) }, () => false);
    const http = client({ connections: 1 });
    const url = `http://127.0.0.1:${proxy.port}`;
    await http.send(post(url), newContext());
    proxy.fail('refuse');
    await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.fail('pass');
    await http.send(post(url), newContext());
    expect(served).toBe(2);
    await proxy.close();
  });

  it('a body beyond the limit is refused instead of filling the memory', async () => {
    const part = Buffer.alloc(2 ** 20, 0x20);
    const base = await plain((_request, response) => {
      response.on('error', () => undefined);
      for (let sent = 0; sent < 34; sent += 1) response.write(part);
      response.end('{}');
    });
    await expect(client().send(get(base), newContext())).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
  });

  it('a cancel ends a call that hangs within a second', async () => {
    const base = await plain(() => undefined);
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 100);
    const started = Date.now();
    const context = newContext({ signal: stop.signal });
    await expect(client().send(post(base), context)).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    expect(Date.now() - started).toBeLessThan(1_100);
    await expect(client().send(get(base), newContext({ withinMs: 100 }))).rejects.toMatchObject({ code: 'TIMEOUT' });
  });
});

describe('delays that a target asks for', () => {
  const now = Date.UTC(2026, 0, 1);
  it.each<[string, number | undefined]>([
    ['7', 7_000],
    [' 0 ', 0],
    [new Date(now + 60_000).toUTCString(), 60_000],
    [new Date(now - 60_000).toUTCString(), 0],
    ['soon', undefined],
    ['-1', undefined],
    ['1.5', undefined],
  ])('Retry-After: %s', (header, wanted) => {
    expect(parseRetryAfter(header, now)).toBe(wanted);
  });

  it.each<[Record<string, string>, number | undefined]>([
    [{ 'x-ratelimit-reset': '12' }, 12_000],
    [{ 'x-ratelimit-reset': String(now / 1000 + 30) }, 30_000],
    [{ 'x-ratelimit-reset': String(now + 30_000) }, 30_000],
    [{ 'ratelimit-reset': '5' }, 5_000],
    [{ 'x-rate-limit-reset': new Date(now + 9_000).toISOString() }, 9_000],
    [{ 'x-ratelimit-reset': 'garbage' }, undefined],
    [{}, undefined],
  ])('reset headers %j', (headers, wanted) => {
    expect(parseRateReset(headers, now)).toBe(wanted);
  });
});
