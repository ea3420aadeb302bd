import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { appendAudit, verifyAudit } from '../../src/db/audit.js';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { KeyRing } from '../../src/db/keys.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { createTestDatabase } from '../support/stack.js';
import type { TestDatabase } from '../support/stack.js';

describe('audit', () => {
  let database: TestDatabase;
  let db: Database;
  let superuser: pg.Client;
  let identity: IdentityId;
  const keys = new KeyRing(randomBytes(32).toString('base64'));

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDatabase(database.app);
    superuser = new pg.Client({ connectionString: database.admin });
    await superuser.connect();
  });
  afterAll(async () => {
    await superuser?.end();
    await db?.destroy();
    await database?.drop();
  });
  beforeEach(async () => {
    identity = await someone();
    for (let n = 1; n <= 5; n += 1) await append(identity, n);
  });

  async function someone(): Promise<IdentityId> {
    const id = brand<IdentityId>(randomUUID());
    await superuser.query('insert into identity (identity_id) values ($1)', [id]);
    return id;
  }

  function append(id: IdentityId, n: number): Promise<void> {
    const at = brand<Instant>(new Date(Date.UTC(2026, 0, n)).toISOString());
    return db.transaction().execute((trx) =>
      appendAudit(trx, keys, {
        identityId: id,
        at,
        actor: 'test',
        action: `step.${n}`,
        body: { note: `Marker ${n}` },
      }),
    );
  }

  const found = async (id = identity) => (await verifyAudit(db, id)).problems.map((one) => [one.seq, one.problem]);

  it('a chain as it was written verifies, each by itself and all together', async () => {
    const other = await someone();
    await append(other, 1);
    expect(await verifyAudit(db, identity)).toEqual({ chains: 1, records: 5, problems: [] });
    const all = await verifyAudit(db);
    expect(all.problems).toEqual([]);
    expect(all.chains).toBeGreaterThanOrEqual(2);
  });

  it('records appended at once stand one after the other', async () => {
    await Promise.all([6, 7, 8, 9, 10].map((n) => append(identity, n)));
    expect(await verifyAudit(db, identity)).toEqual({ chains: 1, records: 10, problems: [] });
  });

  it('a record whose action was rolled back is not there', async () => {
    const failing = db.transaction().execute(async (trx) => {
      await appendAudit(trx, keys, {
        identityId: identity,
        at: brand<Instant>('2026-02-01T00:00:00.000Z'),
        actor: 'test',
        action: 'never',
        body: {},
      });
      throw new Error('the action failed');
    });
    await expect(failing).rejects.toThrow('the action failed');
    expect(await verifyAudit(db, identity)).toEqual({ chains: 1, records: 5, problems: [] });
  });

  it.each([
    ['body', `body = body || '\\x00'`],
    ['action', `action = 'step.other'`],
    ['actor', `actor = 'somebody'`],
    ['instant', `at = at + interval '1 second'`],
  ])('a changed %s is found', async (_what, change) => {
    await superuser.query(`update audit set ${change} where identity_id = $1 and seq = 3`, [identity]);
    expect(await found()).toEqual([[3, 'changed']]);
  });

  it('a changed record whose hash was made to fit breaks the chain behind it', async () => {
    await superuser.query(
      `update audit set action = 'step.other', hash = sha256('anything') where identity_id = $1 and seq = 3`,
      [identity],
    );
    expect(await found()).toEqual(expect.arrayContaining([[4, 'removed-or-reordered']]));
  });

  it('a removed record is found', async () => {
    await superuser.query('delete from audit where identity_id = $1 and seq = 3', [identity]);
    expect(await found()).toEqual([[4, 'removed-or-reordered']]);
  });

  it('a removed record whose gap was closed is found', async () => {
    await superuser.query('delete from audit where identity_id = $1 and seq = 3', [identity]);
    await superuser.query('update audit set seq = seq - 1 where identity_id = $1 and seq > 3', [identity]);
    expect((await found()).length).toBeGreaterThan(0);
  });

  it('two records that changed places are found', async () => {
    await superuser.query('update audit set seq = -seq where identity_id = $1 and seq in (2, 3)', [identity]);
    await superuser.query('update audit set seq = seq + 5 where identity_id = $1 and seq < 0', [identity]);
    const problems = await found();
    expect(problems).toEqual(expect.arrayContaining([[2, 'removed-or-reordered']]));
  });

  it('a cut-off tail is found by the head outside the chain', async () => {
    await superuser.query('delete from audit where identity_id = $1 and seq > 3', [identity]);
    expect(await found()).toEqual([[3, 'cut-off']]);
  });

  it('a chain that was removed as a whole is found', async () => {
    await superuser.query('delete from audit where identity_id = $1', [identity]);
    expect(await found()).toEqual([[0, 'cut-off']]);
  });

  it('a chain whose head was removed, and a head that was set back, are found', async () => {
    const { rows } = await superuser.query<{ hash: Buffer }>(
      'select hash from audit where identity_id = $1 and seq = 3',
      [identity],
    );
    await superuser.query('update audit_head set seq = 3, hash = $2 where identity_id = $1', [identity, rows[0]?.hash]);
    expect(await found()).toEqual([[5, 'cut-off']]);
    await superuser.query('delete from audit_head where identity_id = $1', [identity]);
    expect(await found()).toEqual([[5, 'head-missing']]);
    // No audit, no action: a chain without its head takes no more records.
    await expect(append(identity, 6)).rejects.toThrow();
  });

  it('erasure destroys the plaintext and breaks no chain', async () => {
    const sealed = async (): Promise<Buffer> => {
      const row = await db
        .selectFrom('audit')
        .select('body')
        .where('identity_id', '=', identity)
        .where('seq', '=', 2)
        .executeTakeFirstOrThrow();
      return row.body;
    };
    expect(await keys.decryptFor(db, identity, 'audit', await sealed())).toEqual({ note: 'Marker 2' });
    expect((await sealed()).toString('latin1')).not.toContain('Marker');
    await keys.destroyKey(db, identity, '2026-03-01T00:00:00.000Z');
    expect(await keys.decryptFor(db, identity, 'audit', await sealed())).toBeUndefined();
    expect(await verifyAudit(db, identity)).toEqual({ chains: 1, records: 5, problems: [] });
  });
});

describe('database roles', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database?.drop());

  async function refusals(url: string, statements: readonly string[]): Promise<readonly string[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const passed: string[] = [];
    for (const statement of statements)
      await client.query(statement).then(
        () => passed.push(statement),
        (error: unknown) => {
          // 42501: not allowed. Anything else would be a statement that proves nothing.
          if ((error as { code?: string }).code !== '42501') passed.push(`${statement}: ${String(error)}`);
        },
      );
    await client.end();
    return passed;
  }

  it('the app adds to what proves, and changes or removes none of it', async () => {
    const tables = ['fact', 'evidence', 'audit', 'plan', 'decision', 'policy_version'];
    const column: Record<string, string> = {
      fact: 'source',
      evidence: 'road',
      audit: 'actor',
      plan: 'hash',
      decision: 'verdict',
      policy_version: 'hash',
    };
    const writes = tables.flatMap((table) => [
      `update ${table} set ${column[table] ?? ''} = 'x'`,
      `delete from ${table}`,
      `truncate ${table}`,
    ]);
    expect(await refusals(database.app, writes)).toEqual([]);
    expect(
      await refusals(database.app, [
        'delete from audit_head',
        'drop table audit',
        'alter table audit disable trigger all',
      ]),
    ).toEqual([]);
    // The owner may, so the refusals are the role's.
    expect(await refusals(database.owner, [`update fact set source = 'x'`])).toHaveLength(1);
  });

  it('the auditor only reads, and reads no secrets', async () => {
    const client = new pg.Client({ connectionString: database.auditor });
    await client.connect();
    const { rows } = await client.query<{ table_name: string }>(
      `select table_name from information_schema.tables where table_schema = 'public'`,
    );
    await client.end();
    const tables = rows.map((row) => row.table_name);
    expect(tables).toEqual(expect.arrayContaining(['fact', 'evidence', 'audit', 'audit_head', 'process']));
    const writes = tables.flatMap((table) => [`delete from ${table}`, `insert into ${table} default values`]);
    expect(await refusals(database.auditor, writes)).toEqual([]);
    const secrets = ['api_token', 'idempotency', 'credential_handover', 'canary', 'identity_key'];
    expect(
      await refusals(
        database.auditor,
        secrets.map((table) => `select * from ${table}`),
      ),
    ).toEqual([]);
  });

  it('the auditor can verify every chain', async () => {
    const db = openDatabase(database.auditor);
    expect(await verifyAudit(db)).toMatchObject({ problems: [] });
    await db.destroy();
  });
});
