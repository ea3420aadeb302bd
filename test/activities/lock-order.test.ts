import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { setHold } from '../../src/api/identities/legal-hold.js';
import { createMetrics } from '../../src/api/metrics.js';
import type { ApiDeps } from '../../src/api/deps.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { openTask } from '../../src/activities/decisions.js';
import { reserveNames } from '../../src/activities/names.js';
import { planPhaseActivity } from '../../src/activities/phase.js';
import { endProcess, enterCut, markProcess, openProcess } from '../../src/activities/process.js';
import { advanceQueue } from '../../src/activities/queue.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant, PlanId, ProcessId } from '../../src/domain/process/ids.js';
import { storeReport } from '../../src/report/store.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { changed } from '../workflows/support/people.js';

/**
 * The order that `appendAudit` asks of everybody: the chain's head is the last lock. Somebody else holds a row that a writer needs; while the writer waits for it, the
 * person's chain must be free. Two who break the order wait for each other.
 */
describe('who waits for a row does not hold the chain', () => {
  let world: World;
  let holder: pg.Client;
  let probe: pg.Client;

  beforeAll(async () => {
    world = await createWorld({ withWorkers: false });
    [holder, probe] = (await Promise.all(
      [0, 1].map(async () => {
        const client = new pg.Client({ connectionString: world.database.admin });
        await client.connect();
        return client;
      }),
    )) as [pg.Client, pg.Client];
  });
  afterAll(async () => {
    await holder?.end();
    await probe?.end();
    await world?.stop();
  });

  const now = (): Instant => brand<Instant>(new Date().toISOString());
  /** The leavers' last day is over. */
  const inThirtyDays = (): Instant => brand<Instant>(new Date(Date.now() + 30 * 86_400_000).toISOString());
  const look = (identityId: IdentityId) => advanceQueue(world.deps, { identityId, now: now() });

  interface Held {
    readonly table: string;
    readonly column: string;
    readonly id: string;
  }
  const processRow = (id: ProcessId): Held => ({ table: 'process', column: 'process_id', id });

  /** Runs the writer against a held row; whether the chain was free while it waited. */
  async function isChainFree(identityId: IdentityId, held: Held, write: () => Promise<unknown>): Promise<boolean> {
    await holder.query('begin');
    const { rowCount } = await holder.query(`select from ${held.table} where ${held.column} = $1 for no key update`, [
      held.id,
    ]);
    expect(rowCount).toBe(1);
    const { rows } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid');
    const written = write();
    try {
      await eventually(
        async () => {
          const waiting = await probe.query('select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))', [
            rows[0]?.pid,
          ]);
          return waiting.rowCount === 0 ? undefined : true;
        },
        `somebody who waits for a row of ${held.table}`,
        10_000,
      );
      return await probe.query('select from audit_head where identity_id = $1 for update nowait', [identityId]).then(
        ({ rowCount: heads }) => heads === 1,
        (error: unknown) => {
          if ((error as { code?: string }).code !== '55P03') throw error;
          return false;
        },
      );
    } finally {
      await holder.query('rollback');
      await written;
    }
  }

  const refOf = (identityId: IdentityId, processId: ProcessId) => ({ identityId, processId, now: now() });

  async function begin(identityId: IdentityId, kind: string): Promise<ProcessId> {
    const opened = (await look(identityId)).open.find((one) => one.kind === kind);
    if (opened === undefined) throw new Error(`no ${kind} was opened`);
    await openProcess(world.deps, refOf(identityId, opened.processId));
    return opened.processId;
  }

  async function joining(person: string): Promise<{ readonly id: IdentityId; readonly joiner: ProcessId }> {
    const id = identityOf(await world.hr(hire(world, person)));
    return { id, joiner: await begin(id, 'joiner') };
  }

  /** Has joined and gave notice; the leaver waits for its date. */
  async function leaving(person: string): Promise<{ readonly id: IdentityId; readonly leaver: ProcessId }> {
    const { id, joiner } = await joining(person);
    await endProcess(world.deps, { ...refOf(id, joiner), state: 'completed', outcome: 'provisioned', amendments: 0 });
    await world.hr(endOf(person, 20));
    const leaver = await begin(id, 'leaver');
    await markProcess(world.deps, { ...refOf(id, leaver), blockedOn: 'date' });
    return { id, leaver };
  }

  const endOf = (person: string, inDays: number) => ({
    source: 'hr',
    eventId: `${person}-end`,
    person,
    employment: `${person}-1`,
    kind: 'end',
    noticeOn: day(-1),
    lastWorkingDay: day(inDays),
    manner: 'voluntary',
  });

  const planOf = (id: IdentityId, processId: ProcessId) =>
    planPhaseActivity(world.deps, {
      ...refOf(id, processId),
      phase: 'activate',
      planId: brand<PlanId>(randomUUID()),
    });

  it('a plan', async () => {
    const { id, joiner } = await joining('plan');
    expect(await isChainFree(id, processRow(joiner), () => planOf(id, joiner))).toBe(true);
  });

  it('names', async () => {
    const { id, joiner } = await joining('name');
    const held = { table: 'identity_profile', column: 'identity_id', id };
    const reserve = () => reserveNames(world.deps, { ...refOf(id, joiner), renames: false });
    expect(await isChainFree(id, held, reserve)).toBe(true);
  });

  it('news of HR', async () => {
    const { id } = await joining('news');
    const held = { table: 'identity_profile', column: 'identity_id', id };
    const tell = () => world.hr(changed('news', 1, { attributes: { title: 'Fitter' } }));
    expect(await isChainFree(id, held, tell)).toBe(true);
  });

  it('the end of a process that still asks somebody', async () => {
    const { id, joiner } = await joining('asks');
    const { taskId } = await openTask(world.deps, { ...refOf(id, joiner), kind: 'process', code: 'expression-failed' });
    const end = () =>
      endProcess(world.deps, { ...refOf(id, joiner), state: 'completed', outcome: 'provisioned', amendments: 0 });
    expect(await isChainFree(id, { table: 'operator_task', column: 'task_id', id: taskId }, end)).toBe(true);
  });

  it('the end of a process whose transition is taken up again', async () => {
    const { id, joiner } = await joining('again');
    const held = { table: 'identity', column: 'identity_id', id };
    const outcome = { state: 'cancelled', outcome: 'undone', reopen: true, amendments: 0 } as const;
    const end = () => endProcess(world.deps, { ...refOf(id, joiner), ...outcome });
    expect(await isChainFree(id, held, end)).toBe(true);
  });

  it('a look at the queue that opens a cut and closes what ran', async () => {
    const { id, joiner } = await joining('queue');
    await world.hr({ ...endOf('queue', 0), noticeOn: undefined, manner: 'immediate', at: now() });
    expect(await isChainFree(id, processRow(joiner), () => look(id))).toBe(true);
    const rows = await world.deps.db.selectFrom('process').select('state').where('process_id', '=', joiner).execute();
    expect(rows).toEqual([{ state: 'cancelled' }]);
  });

  it('a cut that takes the leaver’s own tokens, too', async () => {
    const { id, leaver } = await leaving('token');
    await ensureToken(world.deps.db, { name: 'theirs', role: 'auditor', token: `token_${randomUUID()}` });
    await world.deps.db.updateTable('api_token').set({ identity_id: id }).where('name', '=', 'theirs').execute();
    const cut = () => enterCut(world.deps, { ...refOf(id, leaver), now: inThirtyDays() });
    expect(await isChainFree(id, processRow(leaver), cut)).toBe(true);
    const row = await world.deps.db
      .selectFrom('api_token')
      .select('revoked_at')
      .where('name', '=', 'theirs')
      .executeTakeFirstOrThrow();
    expect(row.revoked_at).not.toBeNull();
  });

  it('a legal hold', async () => {
    const { id, leaver } = await leaving('hold');
    const deps = { ...world.deps, dispatcher: world.dispatcher, metrics: createMetrics(), now } as unknown as ApiDeps;
    const hold = () => setHold(deps, { identityId: id, actor: 'counsel', reason: 'a dispute' });
    expect(await isChainFree(id, processRow(leaver), hold)).toBe(true);
  });

  it('a kept report lets those pass who only refer to its process', async () => {
    const { id, joiner } = await joining('kept');
    await holder.query('begin');
    try {
      await holder.query('select from process where process_id = $1 for key share', [joiner]);
      const made = { reportId: randomUUID(), identityId: id, processId: joiner, occasion: 'access-ended' as const };
      const keep = world.deps.db
        .transaction()
        .execute((trx) => storeReport(trx, world.deps.keys, { ...made, at: now(), keyId: 'key', text: 'signed' }));
      await expect(keep).resolves.toMatchObject({ version: 1 });
    } finally {
      await holder.query('rollback');
    }
  });

  it('planted: a statement whose mark is behind its record is seen', async () => {
    const { id, joiner } = await joining('planted');
    const record = `append_audit($1, array[now()], array['test'], array['test'], array['["x"]'], array['x'::bytea])`;
    const wrong = async () => {
      const client = new pg.Client({ connectionString: world.database.admin });
      await client.connect();
      try {
        await client.query('begin');
        await client.query(
          `with marked as (update process set blocked_on = null where process_id = '${joiner}') select ${record}`,
          [id],
        );
      } finally {
        await client.end();
      }
    };
    expect(await isChainFree(id, processRow(joiner), wrong)).toBe(false);
  });
});
