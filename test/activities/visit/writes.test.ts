import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { planPhaseActivity } from '../../../src/activities/phase.js';
import { openProcess } from '../../../src/activities/process.js';
import { advanceQueue, raiseGeneration } from '../../../src/activities/queue.js';
import { VisitWrites } from '../../../src/activities/visit/writes.js';
import type { FencedWrite, NewLink } from '../../../src/activities/visit/writes.js';
import { brand } from '../../../src/domain/process/ids.js';
import type {
  AccountId,
  ApplicationSlug,
  IdentityId,
  Instant,
  PlanId,
  VisitId,
} from '../../../src/domain/process/ids.js';
import { createWorld, hire, identityOf } from '../../support/world.js';
import type { World } from '../../support/world.js';

describe('writes of visits at the same moment', () => {
  let world: World;
  const at = brand<Instant>('2026-03-02T08:00:00.000Z');
  const until = brand<Instant>('2026-03-02T08:00:05.000Z');

  beforeAll(async () => {
    world = await createWorld({ withWorkers: false });
  });
  afterAll(() => world?.stop());

  /** A person with planned visits at directory and ERP, none begun. */
  async function planned(person: string): Promise<{ readonly id: IdentityId; readonly visits: readonly VisitId[] }> {
    const id = identityOf(await world.hr(hire(world, person, { attributes: { department: 'Finance' } })));
    const now = brand<Instant>(new Date().toISOString());
    const [opened] = (await advanceQueue(world.deps, { identityId: id, now })).open;
    const ref = { identityId: id, processId: opened!.processId, now };
    await openProcess(world.deps, ref);
    const planId = brand<PlanId>(randomUUID());
    const { visits } = await planPhaseActivity(world.deps, { ...ref, phase: 'activate', planId });
    return { id, visits: visits.map((visit) => visit.visitId) };
  }

  const fencedBy = (identityId: IdentityId, visitId: VisitId, generation: number | null): FencedWrite => ({
    identityId,
    visitId,
    generation,
    destroys: false,
    at,
    until,
  });
  const inFlight = async (visitIds: readonly VisitId[]): Promise<readonly VisitId[]> => {
    const rows = await world.deps.db
      .selectFrom('visit')
      .select('visit_id')
      .where('visit_id', 'in', [...visitIds])
      .where('write_in_flight', '=', true)
      .execute();
    return rows.map((row) => row.visit_id);
  };

  async function account(id: IdentityId, nativeId: string, doneBy?: NewLink['doneBy']) {
    const row = await new VisitWrites(world.deps.db).link({
      ...(doneBy === undefined ? {} : { doneBy }),
      account_id: brand<AccountId>(randomUUID()),
      identity_id: id,
      application: brand<ApplicationSlug>('directory'),
      native_id: nativeId,
      login: 'a',
      status: 'disabled',
      attributes: { title: 'one' },
      entitlements: ['staff'],
      created_by_process: null,
      closed_by_tenure: false,
      observed_at: at,
    });
    return row;
  }

  it('are let through or stopped one by one: a cut stops its own person only, and not the cut itself', async () => {
    const [cut, other] = [await planned('fa'), await planned('fb')];
    await raiseGeneration(world.deps.db, cut.id);
    const writes = new VisitWrites(world.deps.db);
    const [first, second] = [cut.visits[0]!, cut.visits[1]!];
    const passed = await Promise.all([
      writes.fence(fencedBy(cut.id, first, 0)),
      writes.fence(fencedBy(cut.id, second, null)),
      writes.fence(fencedBy(other.id, other.visits[0]!, 0)),
    ]);
    expect(passed).toEqual(['outdated', 'passed', 'passed']);
    expect(new Set(await inFlight([...cut.visits, ...other.visits]))).toEqual(new Set([second, other.visits[0]]));
    expect(await writes.fence(fencedBy(cut.id, first, 1))).toBe('passed');
  });

  it('that link an account note the operation that made it as finished, unless the account is somebody else’s', async () => {
    const [mine, other] = [await planned('fl'), await planned('fm')];
    const writes = new VisitWrites(world.deps.db);
    const by = (visitId: VisitId) => ({ visitId, operationKey: 'directory/account' });
    const steps = (visitId: VisitId) => world.deps.visitRows.begin(visitId);
    await writes.fence(fencedBy(mine.id, mine.visits[0]!, null));
    await writes.fence(fencedBy(other.id, other.visits[0]!, null));
    expect(await account(mine.id, 'native-fl', by(mine.visits[0]!))).toMatchObject({ identity_id: mine.id });
    expect(await account(other.id, 'native-fl', by(other.visits[0]!))).toBeUndefined();
    expect([...(await steps(mine.visits[0]!))]).toEqual(['directory/account']);
    expect([...(await steps(other.visits[0]!))]).toEqual([]);
    expect(await inFlight([mine.visits[0]!, other.visits[0]!])).toEqual([other.visits[0]]);
  });

  it('that end an operation change what they name and leave the rest', async () => {
    const { id, visits } = await planned('fc');
    const writes = new VisitWrites(world.deps.db);
    const made = await world.deps.db
      .updateTable('account')
      .set({ secret: Buffer.from('sealed') })
      .where('account_id', '=', (await account(id, 'native-fc'))!.account_id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await writes.fence(fencedBy(id, visits[0]!, null));
    const finish = (operationKey: string, changes: Parameters<typeof writes.finish>[0]['changes']) =>
      writes.finish({ visitId: visits[0]!, operationKey, at, accountId: made.account_id, changes });
    expect(await finish('one', {})).toEqual(made);
    expect(await inFlight(visits)).toEqual([]);
    expect(await finish('two', { entitlements: ['staff', 'ledger'] })).toMatchObject({
      status: 'disabled',
      entitlements: ['staff', 'ledger'],
      attributes: { title: 'one' },
      secret: Buffer.from('sealed'),
    });
    expect(await finish('three', { status: 'enabled', secret: null, attributes: { title: null } })).toMatchObject({
      status: 'enabled',
      secret: null,
      entitlements: ['staff', 'ledger'],
      attributes: { title: null },
    });
    expect(await finish('four', { entitlements: [], unlinked_at: until })).toMatchObject({
      entitlements: [],
      unlinked_at: until,
    });
    const steps = await world.deps.db
      .selectFrom('visit_step')
      .select('operation_key')
      .where('visit_id', '=', visits[0]!)
      .execute();
    expect(steps.map((step) => step.operation_key).sort()).toEqual(['four', 'one', 'three', 'two']);
  });

  it('that link an account find one’s own again, and never take somebody else’s', async () => {
    const [owner, other] = [await planned('fd'), await planned('fe')];
    const made = await account(owner.id, 'native-fd');
    expect((await account(owner.id, 'native-fd'))?.account_id).toBe(made?.account_id);
    expect(await account(other.id, 'native-fd')).toBeUndefined();
  });
});
