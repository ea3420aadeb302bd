import { describe, expect, it } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { Client } from 'pg';
import { createTestDatabase, createTestNamespace } from './stack.js';

describe('the test run’s servers', () => {
  it('give each test a database of its own with three roles', async () => {
    const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
    expect(one.name).not.toBe(two.name);
    await query(one.owner, 'create table mine (id int)');
    await expect(query(two.owner, 'select * from mine')).rejects.toThrow(/does not exist/);
    await expect(query(one.app, 'select * from mine')).rejects.toThrow(/permission denied/);
    expect(await query(one.auditor, 'select current_user as name')).toEqual([{ name: 'tenure_auditor' }]);
    expect(await query(one.admin, 'show fsync')).toEqual([{ fsync: 'off' }]);
    await expect(query(one.app.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toThrow(/password authentication/);
    await one.drop();
    await one.drop();
    await expect(query(one.owner, 'select 1')).rejects.toThrow(/does not exist/);
    await two.drop();
  });

  it('give each test a Temporal namespace with its search attributes', async () => {
    const { address, namespace } = await createTestNamespace({ IdentityId: 'Keyword', DueAt: 'Datetime' });
    const connection = await Connection.connect({ address });
    try {
      const known = await connection.operatorService.listSearchAttributes({ namespace });
      expect(Object.keys(known.customAttributes).sort()).toEqual(['DueAt', 'IdentityId']);
    } finally {
      await connection.close();
    }
  });
});

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString });
  try {
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
