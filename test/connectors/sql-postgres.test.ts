import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
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

describe('what a log-in of Postgres owns', () => {
  let erp: TestErp;
  let connector: Connector;
  let people = 0;
  beforeAll(async () => {
    erp = await startTestErp();
    connector = erp.connector();
  });
  afterAll(async () => {
    await connector?.close();
    await erp?.stop();
  });

  interface Person {
    readonly ref: AccountRef;
    readonly login: string;
    /** Reads a table with the person's own sign-in; the server's code when it refuses. */
    read(table: string): Promise<unknown>;
  }

  /** Their log-in has a password of its own, and all that needs quoting in its name. */
  async function person(name: string): Promise<Person> {
    const login = `${name}.O-B@${++people}_${erp.database.slice(-12)}`;
    const attributes = { displayName: 'Sample Person' };
    const { ref } = await connector.create!({ objectClass: 'account', login, enabled: true, attributes }, newContext());
    const secret = Secret.random();
    await connector.setSecret!(ref, secret, newContext());
    const read = async (table: string): Promise<unknown> => {
      const { hostname: host, port } = new URL(erp.serviceUrl);
      const own = { host, port: Number(port), database: erp.database, user: login, password: secret.reveal() };
      const client = new pg.Client(own);
      await client.connect();
      try {
        return (await client.query(`select * from ${table}`)).rows;
      } catch (error) {
        return (error as { code?: unknown }).code;
      } finally {
        await client.end();
      }
    };
    return { ref, login, read };
  }
  const own = async (kind: string, name: string, { login }: Person): Promise<void> =>
    void (await erp.query(`alter ${kind} ${name} owner to ${pg.escapeIdentifier(login)}`));
  const table = async (name: string, owner: Person): Promise<void> => {
    await erp.query(`create table ${name} (total int); insert into ${name} values (42)`);
    await own('table', name, owner);
  };
  const count = async ({ ref }: Person): Promise<number> => (await connector.listOwned!(ref, newContext())).count;
  const transfer = (from: Person, to: Person, through = connector, context = newContext()) =>
    through.transferOwned!(from.ref, to.ref, context);
  /** Log-ins whose rights the service role has kept: that it may hand rights on from what it made gives it none. */
  const borrowed = () =>
    erp.query(`select rolname from pg_roles where pg_has_role('erp_service', oid, 'usage')
      and rolname not in ('erp_service', 'erp_user', 'pg_signal_backend')`);

  it('opens to the heir’s own sign-in, all of it, and nothing is left under the leaver', async () => {
    const [leaver, heir] = [await person('leaver'), await person('heir')];
    const notes = pg.escapeIdentifier('Notes "2026"');
    await erp.query(`create schema ${notes}`);
    await own('schema', notes, leaver);
    await table(`${notes}.forecast`, leaver);
    await table('erp.forecast', leaver);
    await erp.query(`create view ${notes}.sums as select sum(total) as total from ${notes}.forecast;
      create sequence ${notes}.numbers; create function ${notes}.answer() returns int language sql as 'select 42'`);
    await own('view', `${notes}.sums`, leaver);
    await own('sequence', `${notes}.numbers`, leaver);
    await own('function', `${notes}.answer()`, leaver);
    const all = await erp.ownedBy(leaver.login);
    expect(all).toEqual(['Notes "2026"', 'answer', 'forecast', 'forecast', 'numbers', 'sums']);
    expect([await count(leaver), await count(heir)]).toEqual([6, 0]);
    expect([await heir.read('erp.forecast'), await heir.read(`${notes}.sums`)]).toEqual(['42501', '42501']);
    await connector.disable!(leaver.ref, newContext());
    // Whoever owns schemas may make them; only then may they change hands.
    await expect(transfer(leaver, heir)).rejects.toMatchObject({ code: 'FORBIDDEN', targetCode: '42501' });
    expect(await erp.ownedBy(leaver.login)).toEqual(all);
    await erp.query(`grant create on database ${pg.escapeIdentifier(erp.database)} to erp_service`);

    expect((await transfer(leaver, heir)).outcome).toBe('applied');

    expect([await heir.read('erp.forecast'), await heir.read(`${notes}.forecast`)]).toEqual([
      [{ total: 42 }],
      [{ total: 42 }],
    ]);
    expect(await heir.read(`${notes}.sums, ${notes}.numbers, ${notes}.answer()`)).toHaveLength(1);
    expect([await erp.ownedBy(leaver.login), await erp.ownedBy(heir.login)]).toEqual([[], all]);
    expect([await count(leaver), await count(heir)]).toEqual([0, 6]);
    expect(await borrowed()).toEqual([]);
    const context = newContext();
    expect((await transfer(leaver, heir, connector, context)).outcome).toBe('already-in-state');
    expect(context.markers()).toBe(0);
    // Nothing keeps the log-in any more.
    expect((await connector.delete!(leaver.ref, newContext())).outcome).toBe('applied');
  });

  it('gives all or nothing: an heir who may not have one of the things gets none', async () => {
    const [leaver, heir] = [await person('leaver'), await person('heir')];
    await table('erp.ledger', leaver);
    await erp.query(`create function erp.rate() returns int language sql as 'select 7'`);
    await own('function', 'erp.rate()', leaver);
    await expect(transfer(leaver, heir)).rejects.toMatchObject({ code: 'FORBIDDEN', targetCode: '42501' });
    expect([await erp.ownedBy(leaver.login), await erp.ownedBy(heir.login)]).toEqual([['ledger', 'rate'], []]);
    expect(await borrowed()).toEqual([]);
    await erp.query(`grant create on schema erp to ${pg.escapeIdentifier(heir.login)}`);
    expect((await transfer(leaver, heir)).outcome).toBe('applied');
    expect(await erp.ownedBy(heir.login)).toEqual(['ledger', 'rate']);
  });

  it('gives nothing to an heir without a log-in, and takes nothing from a log-in that is nobody’s account or somebody else’s to give', async () => {
    const [leaver, heir] = [await person('leaver'), await person('heir')];
    await table('erp.orders', leaver);
    await erp.query(`drop role ${pg.escapeIdentifier(heir.login)}`);
    await expect(transfer(leaver, heir)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      attribute: 'heir',
      targetCode: 'no-log-in',
    });
    const other = await person('other');
    for (const login of ['postgres', 'erp_service', 'erp_user']) {
      await erp.query('update erp.accounts set login = $2 where account_id = $1', [other.ref.nativeId, login]);
      await expect(transfer(other, leaver)).rejects.toMatchObject({ code: 'INVALID', attribute: 'login' });
      await expect(transfer(leaver, other)).rejects.toMatchObject({ code: 'INVALID', attribute: 'login' });
    }
    expect(await erp.ownedBy(leaver.login)).toEqual(['orders']);
    const byHand = await person('by-hand');
    const role = pg.escapeIdentifier(byHand.login);
    await erp.query(`drop role ${role}; create role ${role} login`);
    await table('erp.by_hand', byHand);
    await expect(transfer(byHand, leaver)).rejects.toMatchObject({ code: 'FORBIDDEN', targetCode: '42501' });
    expect(await erp.ownedBy(byHand.login)).toEqual(['by_hand']);
  });

  it('hands over from two leavers to one heir at the same time', async () => {
    const [one, two, heir] = [await person('one'), await person('two'), await person('heir')];
    await table('erp.first', one);
    await table('erp.second', two);
    const results = await Promise.all([transfer(one, heir), transfer(two, heir)]);
    expect(results.map(({ outcome }) => outcome)).toEqual(['applied', 'applied']);
    expect(await erp.ownedBy(heir.login)).toEqual(['first', 'second']);
    expect(await borrowed()).toEqual([]);
  });

  it('never lets a cut wait: while a transfer waits for a table, the leaver’s log-in is closed', async () => {
    const [leaver, heir] = [await person('leaver'), await person('heir')];
    await table('erp.busy', leaver);
    const reader = new pg.Client({ connectionString: erp.ownerUrl });
    await reader.connect();
    try {
      await reader.query('begin; select * from erp.busy');
      const waiting = transfer(leaver, heir);
      const isBlocked = `select count(*)::int as waiting from pg_locks l join pg_class c on c.oid = l.relation
        where c.relname = 'busy' and not l.granted`;
      while ((await erp.query(isBlocked))[0]?.['waiting'] !== 1) await new Promise((resolve) => setImmediate(resolve));
      expect((await connector.seal!(leaver.ref, Secret.random(), newContext())).outcome).toBe('applied');
      expect((await connector.get(leaver.ref, newContext()))?.status).toBe('disabled');
      expect(await erp.ownedBy(leaver.login)).toEqual(['busy']);
      await reader.query('commit');
      expect((await waiting).outcome).toBe('applied');
    } finally {
      await reader.end();
    }
    expect(await erp.ownedBy(leaver.login)).toEqual([]);
  });

  it('counts what is left: by a target that says done and keeps one, and in another database of the server', async () => {
    const [leaver, heir] = [await person('leaver'), await person('heir')];
    await table('erp.kept', leaver);
    await table('erp.given', leaver);
    const liar: Connector = {
      ...connector,
      transferOwned: async (from, to, ctx) => {
        const result = await connector.transferOwned!(from, to, ctx);
        await own('table', 'erp.kept', leaver);
        return result;
      },
    };
    expect((await transfer(leaver, heir, liar)).outcome).toBe('applied');
    expect(await count(leaver)).toBe(1);
    expect((await transfer(leaver, heir)).outcome).toBe('applied');
    expect(await count(leaver)).toBe(0);
    const elsewhere = await startTestErp();
    try {
      await elsewhere.query(
        `create table erp.far (); alter table erp.far owner to ${pg.escapeIdentifier(leaver.login)}`,
      );
      await transfer(leaver, heir);
      expect(await count(leaver)).toBe(1);
      expect(await elsewhere.ownedBy(leaver.login)).toEqual(['far']);
    } finally {
      await elsewhere.query('drop table erp.far');
      await elsewhere.stop();
    }
  });
});
