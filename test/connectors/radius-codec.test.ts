import { createHash, createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { describe, expect, it } from '@jest/globals';
import { exchange } from '../../src/connectors/radius/client.js';
import type { Request } from '../../src/connectors/radius/codec.js';
import {
  accessRequest,
  disconnectRequest,
  hidePassword,
  openAnswer,
  statusServer,
  textAttribute,
} from '../../src/connectors/radius/codec.js';
import { Secret } from '../../src/connectors/secret.js';

const secret = new Secret('xyzzy5461');
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** An answer as a server with this secret would make it; with a Message-Authenticator unless told otherwise. */
function answerTo(request: Request, code: number, options: { secret?: Secret; mark?: 'none' | 'wrong' } = {}): Buffer {
  const key = (options.secret ?? secret).reveal();
  const mark = options.mark === 'none' ? Buffer.alloc(0) : Buffer.from([80, 18, ...Buffer.alloc(16)]);
  const bytes = Buffer.concat([Buffer.from([code, request.identifier, 0, 0]), request.authenticator, mark]);
  bytes.writeUInt16BE(bytes.length, 2);
  if (mark.length > 0) {
    createHmac('md5', options.mark === 'wrong' ? 'other' : key)
      .update(bytes)
      .digest()
      .copy(bytes, 22);
  }
  createHash('md5').update(bytes).update(key).digest().copy(bytes, 4);
  return bytes;
}

describe('the RADIUS codec', () => {
  it('hides a password as in RFC 2865, 7.1', () => {
    const authenticator = hex('0f403f9473978057bd83d5cb98f4227a');
    const hidden = hidePassword('arctangent', authenticator, secret);
    expect(hidden.toString('hex')).toBe('0dbe708d93d413ce3196e43f782a0aee');
  });

  it('reads the answer of RFC 2865, 7.1, which has no Message-Authenticator, only where one may be missing', () => {
    const request = { bytes: Buffer.alloc(0), identifier: 0, authenticator: hex('0f403f9473978057bd83d5cb98f4227a') };
    const accept = hex('02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103');
    expect(openAnswer(accept, request, secret, true)?.attributes.map(({ type }) => type)).toEqual([6, 15, 14]);
    expect(openAnswer(accept, request, secret)).toBeUndefined();
    accept[37] = 4;
    expect(openAnswer(accept, request, secret, true)).toBeUndefined();
  });

  it('signs a Status-Server as in RFC 5997, 6.1', () => {
    const fresh = { authenticator: hex('8a54f4686fb394c52866e302185d0623'), identifier: 0xda };
    expect(statusServer(secret, fresh).bytes.toString('hex')).toBe(
      '0cda00268a54f4686fb394c52866e302185d062350125a665e2e1e8411f3e243822097c84fa3',
    );
  });

  it('sends the Message-Authenticator first, and computes the authenticator of a Disconnect-Request', () => {
    const given = { login: 'nemo', password: new Secret('arctangent'), nasIdentifier: 'tenure' };
    expect(accessRequest(given, secret).bytes[20]).toBe(80);
    const { bytes } = disconnectRequest([textAttribute(1, 'nemo')], secret);
    const zeroed = Buffer.from(bytes).fill(0, 4, 20);
    expect(createHash('md5').update(zeroed).update(secret.reveal()).digest()).toEqual(bytes.subarray(4, 20));
  });

  it('takes no answer that is forged, for another request, of another secret, unmarked or broken', () => {
    const request = statusServer(secret);
    const right = answerTo(request, 2);
    expect(openAnswer(right, request, secret)?.code).toBe(2);
    expect(openAnswer(answerTo(request, 2, { mark: 'none' }), request, secret)).toBeUndefined();
    expect(openAnswer(answerTo(request, 2, { mark: 'wrong' }), request, secret)).toBeUndefined();
    expect(openAnswer(answerTo(request, 2, { secret: new Secret('other') }), request, secret)).toBeUndefined();
    expect(openAnswer(right, { ...request, identifier: (request.identifier + 1) % 256 }, secret)).toBeUndefined();
    for (let length = 0; length < right.length; length += 1) {
      expect(openAnswer(right.subarray(0, length), request, secret)).toBeUndefined();
    }
    for (let at = 0; at < right.length; at += 1) {
      const bent = Buffer.from(right);
      bent[at] = (bent[at] ?? 0) ^ 1;
      expect(openAnswer(bent, request, secret)).toBeUndefined();
    }
  });
});

describe('the exchange over UDP', () => {
  it('sends the same packet again when it is lost, and passes over what is forged', async () => {
    const server = createSocket('udp4');
    const heard: string[] = [];
    const request = statusServer(secret);
    server.on('message', (bytes, { port }) => {
      heard.push(bytes.toString('hex'));
      if (heard.length === 1) return;
      server.send(answerTo(request, 2, { mark: 'none' }), port);
      server.send(answerTo(request, 2), port);
    });
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
    const { port } = server.address();
    const told = await exchange({ host: '127.0.0.1', port, secret }, request, AbortSignal.timeout(20_000));
    server.close();
    expect(told).toMatchObject({ packet: { code: 2 } });
    expect(heard.length).toBeGreaterThanOrEqual(2);
    expect(new Set(heard).size).toBe(1);
  });

  it('says why there is no answer', async () => {
    const server = createSocket('udp4');
    const request = statusServer(secret);
    server.on('message', (_bytes, { port }) => server.send(answerTo(request, 2, { mark: 'none' }), port));
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
    const { port } = server.address();
    const peer = { host: '127.0.0.1', port, secret };
    expect(await exchange(peer, request, AbortSignal.timeout(1_500))).toEqual({ silence: 'unauthentic-answer' });
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(await exchange(peer, request, AbortSignal.timeout(1_500))).toEqual({ silence: 'ECONNREFUSED' });
  });
});
