import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { KeyRing } from '../../src/db/keys.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createTestDatabase } from '../support/stack.js';
import type { TestDatabase } from '../support/stack.js';

const masterKey = randomBytes(32).toString('base64');

describe('data keys', () => {
  let database: TestDatabase;
  let db: Database;
  const ada = brand<IdentityId>(randomUUID());
  const bob = brand<IdentityId>(randomUUID());

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDatabase(database.app);
  });
  afterAll(async () => {
    await db?.destroy();
    await database?.drop();
  });

  it('opens what it sealed, in another process too, and the text is nowhere in the ciphertext', async () => {
    const sealed = await new KeyRing(masterKey).encryptFor(db, ada, 'fact', { name: 'Ada Marker' });
    expect(sealed.toString('latin1')).not.toContain('Marker');
    expect(await new KeyRing(masterKey).decryptFor(db, ada, 'fact', sealed)).toEqual({ name: 'Ada Marker' });
  });

  it('a ciphertext moved to another person or another kind of row does not open', async () => {
    const keys = new KeyRing(masterKey);
    const sealed = await keys.encryptFor(db, ada, 'secret/1', 'marker');
    await keys.ensureKey(db, bob);
    await expect(keys.decryptFor(db, bob, 'secret/1', sealed)).rejects.toThrow();
    await expect(keys.decryptFor(db, ada, 'secret/2', sealed)).rejects.toThrow();
    await expect(keys.decryptFor(db, ada, 'fact', sealed)).rejects.toThrow();
    expect(await keys.decryptFor(db, ada, 'secret/1', sealed)).toBe('marker');
  });

  it('a wrapped key moved to another person does not open either', async () => {
    const keys = new KeyRing(masterKey);
    const sealed = await keys.encryptFor(db, ada, 'fact', 'marker');
    const { wrapped } = await db
      .selectFrom('identity_key')
      .select('wrapped')
      .where('identity_id', '=', ada)
      .executeTakeFirstOrThrow();
    const carol = brand<IdentityId>(randomUUID());
    await db
      .insertInto('identity_key')
      .values({ identity_id: carol, wrapped, master_key_id: 'moved', destroyed_at: null })
      .execute();
    await expect(new KeyRing(masterKey).decryptFor(db, carol, 'fact', sealed)).rejects.toThrow();
  });

  it.each([0, 1, 13, 29, -1])('a ciphertext changed at byte %i does not open', async (at) => {
    const keys = new KeyRing(masterKey);
    const sealed = await keys.encryptFor(db, ada, 'fact', 'marker');
    const changed = Buffer.from(sealed);
    const index = at < 0 ? changed.length + at : at;
    changed[index] = (changed[index] ?? 0) ^ 1;
    await expect(keys.decryptFor(db, ada, 'fact', changed)).rejects.toThrow();
  });

  it('another master key opens nothing', async () => {
    const sealed = await new KeyRing(masterKey).encryptFor(db, ada, 'fact', 'marker');
    const stranger = new KeyRing(randomBytes(32).toString('base64'));
    await expect(stranger.decryptFor(db, ada, 'fact', sealed)).rejects.toThrow();
    expect(() => new KeyRing('short')).toThrow('32 bytes');
  });

  it('a destroyed key is gone for good: nothing opens, nothing is written, no new key takes its place', async () => {
    const keys = new KeyRing(masterKey);
    const gone = brand<IdentityId>(randomUUID());
    const sealed = await keys.encryptFor(db, gone, 'fact', 'marker');
    await keys.destroyKey(db, gone, '2026-01-01T00:00:00.000Z');
    for (const ring of [keys, new KeyRing(masterKey)]) {
      await ring.ensureKey(db, gone);
      expect(await ring.decryptFor(db, gone, 'fact', sealed)).toBeUndefined();
      await expect(ring.encryptFor(db, gone, 'fact', 'more')).rejects.toThrow('destroyed');
    }
  });

  it('a blind index meets for equal texts of one scope only', () => {
    const keys = new KeyRing(masterKey);
    expect(keys.blindIndex('person/hr', '4711')).toEqual(new KeyRing(masterKey).blindIndex('person/hr', '4711'));
    expect(keys.blindIndex('person/hr', '4711')).not.toEqual(keys.blindIndex('person/other', '4711'));
    expect(keys.blindIndex('a', 'b')).not.toEqual(new KeyRing(randomBytes(32).toString('base64')).blindIndex('a', 'b'));
  });
});
