import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { listDue } from '../../src/activities/due.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { brand } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { cut, joined, withoutBadge } from './support/people.js';

const DAY_MS = 86_400_000;

describe('after a downtime', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ policy: withoutBadge });
  }, 180_000);
  afterAll(() => world?.stop());

  const visitsOf = (ids: readonly IdentityId[], phase: 'cut' | 'activate') =>
    world.deps.db
      .selectFrom('visit')
      .select(['outcome', 'first_write_at', 'settled_at'])
      .where('identity_id', 'in', [...ids])
      .where('phase', '=', phase)
      .execute();

  it('those who are to be cut come first, although they came last', async () => {
    const leavers = await Promise.all(['d1', 'd2', 'd3'].map((person) => joined(world, person)));
    await world.stopWorkers();
    const joiners: IdentityId[] = [];
    for (let serial = 1; serial <= 20; serial += 1) joiners.push(identityOf(await world.hr(hire(world, `j${serial}`))));
    for (const person of ['d1', 'd2', 'd3']) await cut(world, person);
    await world.startWorkers();
    const cuts = await eventually(async () => {
      const visits = await visitsOf(leavers, 'cut');
      return visits.length >= leavers.length && visits.every((visit) => visit.settled_at !== null) ? visits : undefined;
    }, 'the cuts');
    expect(new Set(cuts.map((visit) => visit.outcome))).toEqual(new Set(['proven']));
    const lastCut = cuts.map((visit) => visit.settled_at ?? '').reduce((a, b) => (a > b ? a : b));
    const writes = await eventually(async () => {
      const visits = await visitsOf(joiners, 'activate');
      return visits.length >= joiners.length && visits.every((visit) => visit.first_write_at !== null)
        ? visits.map((visit) => visit.first_write_at ?? '')
        : undefined;
    }, 'the joiners');
    // A few may have begun before the worker had heard of the first cut.
    expect(writes.filter((at) => at < lastCut).length).toBeLessThan(writes.length / 4);
  }, 120_000);

  it('people are woken in the order in which they came due', async () => {
    const days = [30, 10, 20];
    const ids = new Map<number, IdentityId>();
    for (const days_ of days)
      ids.set(days_, identityOf(await world.hr(hire(world, `w${days_}`, { startOn: day(days_) }))));
    await eventually(async () => {
      const rows = await world.deps.db
        .selectFrom('identity')
        .select('next_due_at')
        .where('identity_id', 'in', [...ids.values()])
        .execute();
      return rows.every((row) => row.next_due_at !== null) ? rows : undefined;
    }, 'the instants they wait for');
    const now = brand<Instant>(new Date(Date.now() + 60 * DAY_MS).toISOString());
    const found: IdentityId[] = [];
    let after: Awaited<ReturnType<typeof listDue>>['after'];
    do {
      const page = await listDue(world.deps, {
        now,
        horizonMs: 0,
        limit: 2,
        ...(after === undefined ? {} : { after }),
      });
      found.push(...page.identityIds);
      after = page.after;
    } while (after !== undefined);
    const asked = new Set(ids.values());
    expect(found.filter((id) => asked.has(id))).toEqual([ids.get(10), ids.get(20), ids.get(30)]);
  });
});
