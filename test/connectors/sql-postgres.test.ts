import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { newContext } from './kit/checks.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { TestErp } from './sql-harness.js';
import { startTestErp } from './sql-harness.js';

describe('the sql connector on Postgres', () => {
  let erp: TestErp;
  let connector: Connector;
  let ref: AccountRef;
  beforeAll(async () => {
    erp = await startTestErp();
    connector = erp.connector(erp.serviceUrl, { logins: undefined });
    const attributes = { displayName: 'Sample Person', department: 'Research' };
    const spec = { objectClass: 'account', login: `u_${Date.now()}`, enabled: true, attributes } as const;
    ref = (await connector.create!(spec, newContext())).ref;
  });
  afterAll(async () => {
    await connector?.close();
    await erp?.stop();
  });

  it('gives up within a second while a statement waits for a lock, and nothing is written later', async () => {
    const holder = new pg.Client({ connectionString: erp.ownerUrl });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('select 1 from erp.accounts where account_id = $1 for update', [ref.nativeId]);
      const stop = new AbortController();
      const started = Date.now();
      setTimeout(() => stop.abort(), 200);
      const context = newContext({ signal: stop.signal });
      const write = connector.update!(ref, [{ attribute: 'department', op: 'replace', value: 'Late' }], context);
      await expect(write).rejects.toMatchObject({ code: 'TIMEOUT' });
      expect(Date.now() - started).toBeLessThan(1_200);
    } finally {
      await holder.end();
    }
    await connector.disable!(ref, newContext());
    const [row] = await erp.query('select department from erp.accounts where account_id = $1', [ref.nativeId]);
    expect(row?.['department']).toBe('Research');
  });

  it('survives connections that died, or went silent, while they lay idle', async () => {
    const target = new URL(erp.serviceUrl);
    const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, () => false);
    target.port = String(proxy.port);
    const proxied = erp.connector(target.href, { logins: undefined });
    const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    try {
      await proxied.get(ref, newContext());
      proxy.fail('refuse');
      proxy.fail('pass');
      await wait(200);
      expect((await proxied.get(ref, newContext()))?.login).toBeDefined();
      await wait(1_100);
      // A firewall that drops without a word: the connection stays up and answers nothing.
      proxy.fail('hang');
      setTimeout(() => proxy.fail('pass'), 300);
      expect((await proxied.get(ref, newContext()))?.login).toBeDefined();
    } finally {
      await proxy.close();
      await proxied.close();
    }
  });

  it('reads its schema from the live database', async () => {
    const { objectClasses } = await connector.schema(newContext());
    const columns = objectClasses.find(({ name }) => name === 'table:erp.accounts')?.attributes ?? [];
    const column = (wanted: string) => columns.find(({ name }) => name === wanted);
    expect(column('account_id')).toEqual({ name: 'account_id', type: 'number', required: false, writable: false });
    expect(column('display_name')).toEqual({ name: 'display_name', type: 'string', required: true, writable: true });
    expect(column('tags')?.type).toBe('strings');
    expect(column('enabled')).toMatchObject({ type: 'boolean', required: true });
  });
});
