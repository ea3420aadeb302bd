import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import pg from 'pg';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { createTestDatabase } from '../support/stack.js';
import type { TestDatabase } from '../support/stack.js';

describe('prepared statements', () => {
  let database: TestDatabase;
  let db: Database;
  let admin: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDatabase(database.app, { max: 1 });
    admin = new pg.Client({ connectionString: database.admin });
    await admin.connect();
    await admin.query('create table thing (id integer, name text)');
    await admin.query(`insert into thing values (1, 'one')`);
    await admin.query('grant select, insert on thing to tenure_app');
  });
  afterAll(async () => {
    await admin.end();
    await db.destroy();
    await database.drop();
  });

  const things = (on: Database, id = 1) => sql`select * from thing where id = ${id}`.execute(on);
  const prepared = async (): Promise<number> => {
    const { rows } = await sql<{ count: string }>`select count(*) from pg_prepared_statements`.execute(db);
    return Number(rows[0]?.count);
  };

  it('are made once per connection and statement', async () => {
    await things(db);
    const before = await prepared();
    await things(db);
    await things(db, 2);
    expect(await prepared()).toBe(before);
    expect(before).toBeGreaterThan(0);
  });

  it('outlive a table that a migration changes', async () => {
    await things(db);
    await admin.query('alter table thing add column colour text');
    expect((await things(db)).rows).toEqual([{ id: 1, name: 'one', colour: null }]);
    expect((await things(db)).rows).toEqual([{ id: 1, name: 'one', colour: null }]);
  });

  it('fail a transaction that the change met, once, and nothing of it stays', async () => {
    await things(db);
    await admin.query('alter table thing add column size integer');
    const add = () =>
      db.transaction().execute(async (trx) => {
        await sql`insert into thing (id, name) values (${7}, ${'seven'})`.execute(trx);
        return things(trx, 7);
      });
    await expect(add()).rejects.toThrow('cached plan');
    expect((await add()).rows).toHaveLength(1);
  });

  it('are done without when the session does not know them any more, as behind some proxies', async () => {
    await things(db);
    await sql`deallocate all`.execute(db);
    expect((await things(db)).rows).toHaveLength(1);
    expect((await things(db)).rows).toHaveLength(1);
  });

  it('leave an error of the statement itself as it is', async () => {
    await expect(sql`select ${1}::integer / 0`.execute(db)).rejects.toMatchObject({ code: '22012' });
    await expect(sql`select ${1} from nowhere`.execute(db)).rejects.toMatchObject({ code: '42P01' });
    expect((await things(db)).rows).toHaveLength(1);
  });
});
