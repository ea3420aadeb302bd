import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { Connector } from '../../src/connectors/connector.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { createWorld, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { cut, joined, replaced, resolve, taskOf, withoutBadge } from './support/people.js';

/** The ERP is a real Postgres: what is owned there is seen with its own catalogue and the people's own sign-ins. */
describe('a leaver who owns tables in Postgres', () => {
  let world: World;
  let erp: pg.Pool;
  let sample: PolicyFiles;
  /** After a transfer that said done, this table is the leaver's again. */
  let keptBack: { readonly table: string; readonly login: string } | undefined;

  const own = (table: string, login: string) =>
    erp.query(`alter table ${table} owner to ${pg.escapeIdentifier(login)}`);
  const lying = (honest: Connector): Connector => ({
    ...honest,
    transferOwned: async (from, to, ctx) => {
      const result = await honest.transferOwned!(from, to, ctx);
      if (keptBack !== undefined) await own(keptBack.table, keptBack.login);
      return result;
    },
  });

  /** A transfer that waits gives up, and a person is asked, within seconds. */
  const handing = (to: string): PolicyFiles => {
    const erpFile = replaced(
      withoutBadge(sample),
      'erp.yaml',
      ['archive: archive', `archive: archive\nhandover: { ownership: ${to} }`],
      ['  archive: { column: archived }', '  archive: { column: archived }\n  requestTimeoutMs: 2000'],
    );
    return replaced(erpFile, 'lifecycle.yaml', ['visitPatience: 15m', 'visitPatience: 2s']);
  };

  beforeAll(async () => {
    const shipped = createShippedRegistry();
    const registry: ConnectorRegistry = {
      ...shipped,
      create: (kind, application, config, deps) => {
        const connector = shipped.create(kind, application, config, deps);
        return application === 'erp' ? lying(connector) : connector;
      },
    };
    world = await createWorld({
      registry,
      policy: (files) => {
        sample = files;
        return handing('manager');
      },
    });
    erp = new pg.Pool({ connectionString: world.erp.ownerUrl, max: 2 });
    erp.on('error', () => undefined);
    await joined(world, 'boss', { attributes: { department: 'Sales' } });
  }, 180_000);
  afterAll(async () => {
    await erp?.end();
    await world?.stop();
  });

  const loginOf = (person: string) => `p${person}.test${world.tag}`;

  /** Somebody in Sales who made these tables. */
  async function owner(person: string, ...tables: readonly string[]): Promise<IdentityId> {
    const id = await joined(world, person, { manager: 'boss', attributes: { department: 'Sales' } });
    for (const table of tables) {
      await erp.query(`create table ${table} (total int); insert into ${table} values (42)`);
      await own(table, loginOf(person));
    }
    return id;
  }
  async function ownedBy(person: string): Promise<readonly unknown[]> {
    const text = `select relname from pg_class where relkind = 'r' and relowner = $1::regrole order by 1`;
    return (await erp.query<{ relname: string }>(text, [pg.escapeIdentifier(loginOf(person))])).rows.map(
      (row) => row.relname,
    );
  }
  /** What the person's own sign-in reads, or the server's code when it refuses. */
  async function readAs(person: string, password: string, table: string): Promise<unknown> {
    const url = new URL(world.erp.serviceUrl);
    url.username = loginOf(person);
    url.password = password;
    const client = new pg.Client({ connectionString: url.href });
    try {
      await client.connect();
      return (await client.query(`select * from ${table}`)).rows;
    } catch (error) {
      return (error as { code?: unknown }).code;
    } finally {
      await client.end();
    }
  }
  async function withPassword(person: string): Promise<string> {
    const password = randomBytes(12).toString('hex');
    await erp.query(`alter role ${pg.escapeIdentifier(loginOf(person))} password ${pg.escapeLiteral(password)}`);
    return password;
  }
  const proofs = (id: IdentityId) =>
    world.deps.db
      .selectFrom('evidence')
      .innerJoin('process', 'process.process_id', 'evidence.process_id')
      .select(['application', 'check_kind', 'verdict', 'evidence.code', 'deadline_at', 'at'])
      .where('evidence.identity_id', '=', id)
      .where('process.kind', '=', 'leaver')
      .orderBy('at')
      .execute();
  const proven = (id: IdentityId, check: string) =>
    eventually(
      async () =>
        (await proofs(id)).find(
          (row) => row.application === 'erp' && row.check_kind === check && row.verdict === 'proven',
        ),
      `the proof of ${check}`,
      60_000,
    );

  it('hands them to the manager, who opens them with the manager’s own sign-in', async () => {
    const id = await owner('ada', 'erp.ada_plan', 'erp.ada_actuals');
    const [boss, ada] = [await withPassword('boss'), await withPassword('ada')];
    expect([await readAs('ada', ada, 'erp.ada_plan'), await readAs('boss', boss, 'erp.ada_plan')]).toEqual([
      [{ total: 42 }],
      '42501',
    ]);
    await cut(world, 'ada');
    const proof = await proven(id, 'ownership');
    expect(proof.at <= (proof.deadline_at ?? '')).toBe(true);
    expect(await readAs('boss', boss, 'erp.ada_plan')).toEqual([{ total: 42 }]);
    expect(await readAs('boss', boss, 'erp.ada_actuals')).toEqual([{ total: 42 }]);
    expect([await ownedBy('ada'), await ownedBy('boss')]).toEqual([[], ['ada_actuals', 'ada_plan']]);
    expect(await readAs('ada', ada, 'erp.ada_plan')).toBe('28P01');
  });

  it('never delays a cut by a transfer that cannot be done, and does it when it can', async () => {
    const id = await owner('busy', 'erp.busy');
    const reader = await erp.connect();
    try {
      await reader.query('begin; select * from erp.busy');
      await cut(world, 'busy');
      const proof = await proven(id, 'sign-in');
      expect(proof.at <= (proof.deadline_at ?? '')).toBe(true);
      const task = await taskOf(world, id);
      expect(task).toMatchObject({ kind: 'visit', application: 'erp' });
      expect(await ownedBy('busy')).toEqual(['busy']);
      const cuts = (await proofs(id)).filter((row) => row.check_kind === 'sign-in');
      expect(cuts.map((row) => row.application)).toEqual(expect.arrayContaining(['directory', 'erp']));
      expect(cuts.filter((row) => row.verdict !== 'proven' || row.at > (row.deadline_at ?? ''))).toEqual([]);
      await reader.query('commit');
      await resolve(world, task, 'retry');
    } finally {
      // Closes it: no lock outlives a test that failed.
      reader.release(true);
    }
    await proven(id, 'ownership');
    expect(await ownedBy('busy')).toEqual([]);
  });

  it('catches a target that says done and keeps one', async () => {
    const id = await owner('kept', 'erp.given', 'erp.kept');
    keptBack = { table: 'erp.kept', login: loginOf('kept') };
    await cut(world, 'kept');
    const task = await taskOf(world, id, 'still-owns');
    expect(task).toMatchObject({ kind: 'visit', application: 'erp' });
    expect((await proofs(id)).filter((row) => row.check_kind === 'ownership' && row.verdict === 'proven')).toEqual([]);
    expect(await ownedBy('kept')).toEqual(['kept']);
    await proven(id, 'sign-in');
    keptBack = undefined;
    await resolve(world, task, 'retry');
    await proven(id, 'ownership');
    expect(await ownedBy('kept')).toEqual([]);
  });

  it('hands them to the delegate that policy names; while there is no such account a person is asked', async () => {
    const office = loginOf('office');
    await publishPolicy(world.deps.db, handing(`{ login: ${office} }`), 'test');
    const id = await owner('gus', 'erp.gus_plan');
    await cut(world, 'gus');
    const task = await taskOf(world, id, 'heir-not-at-target');
    expect(task).toMatchObject({ kind: 'visit', application: 'erp' });
    await proven(id, 'sign-in');
    expect(await ownedBy('gus')).toEqual(['gus_plan']);
    await joined(world, 'office', { attributes: { department: 'Sales' } });
    await resolve(world, task, 'retry');
    await proven(id, 'ownership');
    expect(await readAs('office', await withPassword('office'), 'erp.gus_plan')).toEqual([{ total: 42 }]);
    expect([await ownedBy('gus'), await ownedBy('office')]).toEqual([[], ['gus_plan']]);
  });
});
