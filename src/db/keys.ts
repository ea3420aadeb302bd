import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { brand } from '../domain/process/ids.js';
import type { IdentityId } from '../domain/process/ids.js';
import type { Json } from '../domain/process/json.js';
import type { Queryable } from './database.js';

/** Owner of the keys and chain that belong to no person: HR records that could not be read, canaries, system audit. */
export const SYSTEM: IdentityId = brand<IdentityId>('00000000-0000-0000-0000-000000000000');

const ALGORITHM = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = 1;

/**
 * Per-person data keys, wrapped by the master key (envelope encryption, AES-256-GCM). A value is bound to its person and its context by the
 * additional data, so a ciphertext moved to another row does not open. Destroying a person's key makes every ciphertext of that person unreadable
 * and breaks no hash chain, because chains cover the ciphertext (design D7).
 */
export class KeyRing {
  // Key objects: a raw key is imported anew for every cipher, which takes longer than the cipher.
  readonly #master: KeyObject;
  readonly #masterId: string;
  readonly #index: Buffer;
  readonly #cache = new Map<string, { readonly key: KeyObject; readonly readAt: number }>();

  /** `masterKey`: 32 bytes, base64. Throws when it is not. */
  constructor(masterKey: string) {
    const bytes = Buffer.from(masterKey.trim(), 'base64');
    if (bytes.length !== 32) throw new Error('the master key must be 32 bytes in base64');
    const master = Buffer.from(hkdfSync('sha256', bytes, '', 'tenure/wrap/1', 32));
    this.#master = createSecretKey(master);
    this.#index = Buffer.from(hkdfSync('sha256', bytes, '', 'tenure/index/1', 32));
    this.#masterId = createHash('sha256').update(master).digest('hex').slice(0, 16);
  }

  /** Blind index of a strong key: equal texts meet, nobody reads them back without the master key. */
  blindIndex(scope: string, text: string): Buffer {
    return createHmac('sha256', this.#index).update(scope).update('\0').update(text).digest();
  }

  /** Creates the person's key when there is none. Safe to repeat; never replaces a destroyed key. */
  async ensureKey(db: Queryable, identityId: IdentityId): Promise<void> {
    if (this.#cache.has(identityId)) return;
    await db
      .insertInto('identity_key')
      .values({
        identity_id: identityId,
        wrapped: seal(this.#master, identityId, randomBytes(32)),
        master_key_id: this.#masterId,
        destroyed_at: null,
      })
      .onConflict((conflict) => conflict.column('identity_id').doNothing())
      .execute();
  }

  /** Takes a person's wrapped key from a statement that read it beside something else; null is no news. */
  learn(identityId: IdentityId, wrapped: Buffer | null): void {
    if (wrapped !== null && this.#fresh(identityId) === undefined) this.#remember(identityId, wrapped);
  }

  /** Encrypts a JSON value for one person. Throws when the person's key was destroyed: nothing new is written about an erased person. */
  async encryptFor(db: Queryable, identityId: IdentityId, context: string, value: Json): Promise<Buffer> {
    const key = await this.#keyOf(db, identityId);
    if (key === undefined) throw new Error('the data key of this identity was destroyed');
    return seal(key, `${identityId}/${context}`, Buffer.from(JSON.stringify(value)));
  }

  /** Decrypts; undefined when the person was erased. Throws when the ciphertext was changed or moved. */
  async decryptFor(
    db: Queryable,
    identityId: IdentityId,
    context: string,
    ciphertext: Buffer,
  ): Promise<Json | undefined> {
    const key = await this.#keyOf(db, identityId);
    if (key === undefined) return undefined;
    return JSON.parse(open(key, `${identityId}/${context}`, ciphertext).toString()) as Json;
  }

  /** Erasure: the key is gone, a tombstone stays. Not reversible. */
  async destroyKey(db: Queryable, identityId: IdentityId, at: string): Promise<void> {
    this.#cache.delete(identityId);
    await db
      .updateTable('identity_key')
      .set({ wrapped: null, destroyed_at: brand(at) })
      .where('identity_id', '=', identityId)
      .execute();
  }

  async #keyOf(db: Queryable, identityId: IdentityId): Promise<KeyObject | undefined> {
    const cached = this.#fresh(identityId);
    if (cached !== undefined) return cached;
    const read = () =>
      db.selectFrom('identity_key').select('wrapped').where('identity_id', '=', identityId).executeTakeFirst();
    let row = await read();
    if (row === undefined) {
      await this.ensureKey(db, identityId);
      row = await read();
    }
    if (row === undefined || row.wrapped === null) {
      this.#cache.delete(identityId);
      return undefined;
    }
    return this.#remember(identityId, row.wrapped);
  }

  #fresh(identityId: IdentityId): KeyObject | undefined {
    const cached = this.#cache.get(identityId);
    return cached !== undefined && performance.now() - cached.readAt < CACHE_MS ? cached.key : undefined;
  }

  #remember(identityId: IdentityId, wrapped: Buffer): KeyObject {
    const key = createSecretKey(open(this.#master, identityId, wrapped));
    if (this.#cache.size >= CACHE_LIMIT) this.#cache.clear();
    this.#cache.set(identityId, { key, readAt: performance.now() });
    return key;
  }
}

const CACHE_LIMIT = 10_000;
/** An erasure in another process is heard within this time. */
const CACHE_MS = 60_000;

let randomness = Buffer.alloc(0);

/** Asked of the operating system for many values at once: every answer takes as long as a cipher. */
function freshIv(): Buffer {
  if (randomness.length < IV_BYTES) randomness = randomBytes(IV_BYTES * 256);
  const iv = randomness.subarray(0, IV_BYTES);
  randomness = randomness.subarray(IV_BYTES);
  return iv;
}

function seal(key: KeyObject, context: string, plain: Buffer): Buffer {
  const iv = freshIv();
  const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(Buffer.from(context));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([Buffer.from([FORMAT]), iv, cipher.getAuthTag(), body]);
}

function open(key: KeyObject, context: string, sealed: Buffer): Buffer {
  if (sealed[0] !== FORMAT) throw new Error('unknown ciphertext format');
  const iv = sealed.subarray(1, 1 + IV_BYTES);
  const tag = sealed.subarray(1 + IV_BYTES, 1 + IV_BYTES + TAG_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key, iv).setAAD(Buffer.from(context)).setAuthTag(tag);
  return Buffer.concat([decipher.update(sealed.subarray(1 + IV_BYTES + TAG_BYTES)), decipher.final()]);
}
