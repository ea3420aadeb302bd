import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { METADATA_ENCODING_KEY } from '@temporalio/common';
import proto from '@temporalio/proto';

// CommonJS without names that ESM can see.
const { Payload: PayloadProto } = proto.temporal.api.common.v1;

const ENCODING = 'binary/encrypted';
const KEY_ID = 'tenure-key-id';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Keys by id; the first one encrypts, every one decrypts, so that a key can be rotated while histories under the old one live on. */
export interface CodecKeys {
  readonly current: string;
  readonly keys: ReadonlyMap<string, Buffer>;
}

/**
 * Reads `id:base64,id:base64 …`, the newest first, each key 32 bytes. Throws naming the id that is wrong, never a key.
 */
export function parseCodecKeys(text: string): CodecKeys {
  const keys = new Map<string, Buffer>();
  for (const part of text.split(',').map((one) => one.trim())) {
    const [id = '', key = ''] = part.split(':');
    const bytes = Buffer.from(key, 'base64');
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(id) || bytes.length !== 32)
      throw new Error(`codec key ${id === '' ? '(unnamed)' : id}: expected id:base64 of 32 bytes`);
    keys.set(id, bytes);
  }
  const [current] = keys.keys();
  if (current === undefined) throw new Error('codec keys: expected at least one id:base64 of 32 bytes');
  return { current, keys };
}

/**
 * The second lock (design D7): Temporal holds no personal data in any case; with this codec it holds ciphertext (AES-256-GCM) even of ids and codes. A payload
 * names its key, is bound to it, and one that was never encrypted passes through, so that the codec can be switched on while workflows run.
 */
export class AesPayloadCodec implements PayloadCodec {
  constructor(private readonly keys: CodecKeys) {}

  encode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.resolve(payloads.map((payload) => this.#seal(payload)));
  }

  decode(payloads: Payload[]): Promise<Payload[]> {
    return Promise.resolve(payloads.map((payload) => this.#open(payload)));
  }

  #seal(payload: Payload): Payload {
    const id = this.keys.current;
    const plain = PayloadProto.encode(payload).finish();
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(id), iv).setAAD(Buffer.from(id));
    const body = Buffer.concat([cipher.update(plain), cipher.final()]);
    return {
      metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) },
      data: Buffer.concat([iv, cipher.getAuthTag(), body]),
    };
  }

  #open(payload: Payload): Payload {
    const encoding = payload.metadata?.[METADATA_ENCODING_KEY];
    if (encoding === undefined || encoding === null || Buffer.from(encoding).toString() !== ENCODING) return payload;
    const id = Buffer.from(payload.metadata?.[KEY_ID] ?? []).toString();
    const data = Buffer.from(payload.data ?? []);
    const decipher = createDecipheriv('aes-256-gcm', this.#key(id), data.subarray(0, IV_BYTES))
      .setAAD(Buffer.from(id))
      .setAuthTag(data.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    const plain = Buffer.concat([decipher.update(data.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
    return PayloadProto.decode(plain);
  }

  #key(id: string): Buffer {
    const key = this.keys.keys.get(id);
    if (key === undefined) throw new Error(`codec key ${id} is not configured`);
    return key;
  }
}

/** The data converter of a worker or client that shares these keys. Throws when they are not keys. */
export function encryptedBy(keys: string): DataConverter {
  return { payloadCodecs: [new AesPayloadCodec(parseCodecKeys(keys))] };
}
