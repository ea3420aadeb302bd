import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { appendAudit, appendAudits, verifyAudit } from '../../src/db/audit.js';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { KeyRing } from '../../src/db/keys.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { createTestDatabase } from '../support/stack.js';
import type { TestDatabase } from '../support/stack.js';

const at = brand<Instant>('2026-03-02T08:00:00.000Z');
const newIdentity = (): IdentityId => brand<IdentityId>(randomUUID());

describe('the audit chain of one person', () => {
  let database: TestDatabase;
  let db: Database;
  let admin: pg.Client;
  const keys = new KeyRing(randomBytes(32).toString('base64'));
  const entry = (action: string) => ({ at, actor: 'system', action, body: { action } });
  const append = (identityId: IdentityId, action: string): Promise<void> =>
    db.transaction().execute((trx) => appendAudit(trx, keys, { identityId, ...entry(action) }));
  const appendAll = (identityId: IdentityId, actions: readonly string[]): Promise<void> =>
    db.transaction().execute((trx) => appendAudits(trx, keys, identityId, actions.map(entry)));
  const actionsOf = async (identityId: IdentityId): Promise<readonly string[]> => {
    const rows = await db
      .selectFrom('audit')
      .select('action')
      .where('identity_id', '=', identityId)
      .orderBy('seq')
      .execute();
    return rows.map((row) => row.action);
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDatabase(database.app);
    admin = new pg.Client({ connectionString: database.admin });
    await admin.connect();
  });
  afterAll(async () => {
    await admin.end();
    await db.destroy();
    await database.drop();
  });

  it('takes several records at once in their order, beside single ones', async () => {
    const identityId = newIdentity();
    await appendAll(identityId, ['a', 'b', 'c']);
    await append(identityId, 'd');
    await appendAll(identityId, []);
    await appendAll(identityId, ['e', 'f']);
    expect(await actionsOf(identityId)).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
    expect(await verifyAudit(db, identityId)).toEqual({ chains: 1, records: 6, problems: [] });
  });

  it('stays one chain when many append at the same time', async () => {
    const identityId = newIdentity();
    const work = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? append(identityId, `one-${index}`) : appendAll(identityId, [`two-${index}`, `three-${index}`]),
    );
    await Promise.all(work);
    expect(await verifyAudit(db, identityId)).toEqual({ chains: 1, records: 18, problems: [] });
  });

  it('appends nothing when the transaction is undone', async () => {
    const identityId = newIdentity();
    await append(identityId, 'kept');
    const undone = db.transaction().execute(async (trx) => {
      await appendAudits(trx, keys, identityId, [entry('lost'), entry('lost too')]);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await append(identityId, 'after');
    expect(await actionsOf(identityId)).toEqual(['kept', 'after']);
    expect((await verifyAudit(db, identityId)).problems).toEqual([]);
  });

  it.each([
    ['changed', `update audit set action = 'other' where identity_id = $1 and seq = 2`, 'changed'],
    ['removed', 'delete from audit where identity_id = $1 and seq = 2', 'removed-or-reordered'],
    ['cut off', 'delete from audit where identity_id = $1 and seq = 3', 'cut-off'],
  ])('shows a record that was %s', async (_, statement, problem) => {
    const identityId = newIdentity();
    await appendAll(identityId, ['a', 'b', 'c']);
    await admin.query(statement, [identityId]);
    const { problems } = await verifyAudit(db, identityId);
    expect(problems.map((one) => one.problem)).toContain(problem);
  });
});
