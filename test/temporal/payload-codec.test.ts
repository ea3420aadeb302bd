import { describe, expect, it } from '@jest/globals';
import { defaultPayloadConverter } from '@temporalio/common';
import { randomBytes } from 'node:crypto';
import { AesPayloadCodec, parseCodecKeys } from '../../src/temporal/payload-codec.js';

const key = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;

describe('the payload codec', () => {
  const old = key('k1');
  const rotated = `${key('k2')},${old}`;
  const payload = defaultPayloadConverter.toPayload({ processId: 'a/joiner/1/r1' });

  it('hides the payload and names its key', async () => {
    const [sealed] = await new AesPayloadCodec(parseCodecKeys(old)).encode([payload]);
    expect(Buffer.from(sealed?.data ?? []).toString('latin1')).not.toContain('joiner');
    expect(Buffer.from(sealed?.metadata?.['tenure-key-id'] ?? []).toString()).toBe('k1');
  });

  it('opens what an older key sealed after a rotation, and what was never sealed', async () => {
    const [sealed] = await new AesPayloadCodec(parseCodecKeys(old)).encode([payload]);
    const codec = new AesPayloadCodec(parseCodecKeys(rotated));
    const [opened, plain] = await codec.decode([sealed ?? payload, payload]);
    expect(defaultPayloadConverter.fromPayload(opened ?? {})).toEqual({ processId: 'a/joiner/1/r1' });
    expect(plain).toBe(payload);
  });

  it('refuses a payload that was changed, or whose key is not there', async () => {
    const [sealed] = await new AesPayloadCodec(parseCodecKeys(old)).encode([payload]);
    const data = Buffer.from(sealed?.data ?? []);
    data[data.length - 1] = (data.at(-1) ?? 0) ^ 1;
    expect(() => new AesPayloadCodec(parseCodecKeys(old)).decode([{ ...sealed, data }])).toThrow();
    expect(() => new AesPayloadCodec(parseCodecKeys(key('k9'))).decode([sealed ?? payload])).toThrow(/k1/);
  });

  it.each(['', 'k1', 'k1:short', 'bad id:AAAA'])('says which key is wrong: %s', (text) => {
    expect(() => parseCodecKeys(text)).toThrow(/codec key/);
  });
});
