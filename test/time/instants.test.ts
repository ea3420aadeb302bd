import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { advanceQueue } from '../../src/activities/queue.js';
import { brand, identityWorkflowId } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, leaves, withoutHands } from './people.js';
import { DAY_MS, MINUTE_MS, processOf, skipTo, wakeLater } from './skipping.js';

/** Clocks there go forward and back at midnight: on the second Sunday of March 00:00 does not exist, on the first of November it comes twice. */
const ZONE = 'America/Havana';
const SOON_MS = 10 * DAY_MS;

/** The next such Sunday that is not too near, told without the product's own arithmetic. */
function nextSunday(month: 3 | 11, which: 1 | 2): { readonly sunday: string; readonly saturday: string } {
  for (let year = new Date().getUTCFullYear(); ; year += 1) {
    const first = new Date(Date.UTC(year, month - 1, 1));
    const sunday = Date.UTC(year, month - 1, 1 + ((7 - first.getUTCDay()) % 7) + 7 * (which - 1));
    if (sunday < Date.now() + SOON_MS) continue;
    const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
    return { sunday: dateOf(sunday), saturday: dateOf(sunday - DAY_MS) };
  }
}

const gap = nextSunday(3, 2);
const overlap = nextSunday(11, 1);
const at = (day: string, time: string): number => Date.parse(`${day}T${time}:00.000Z`);
/** The first instant after the gap; the first of two 00:00, still in summer time. */
const AFTER_GAP = at(gap.sunday, '05:00');
const FIRST_MIDNIGHT = at(overlap.sunday, '04:00');

describe('exact instants, across changes of the clocks', () => {
  let world: World;
  /** They mostly wait for the server's next skip, so they run side by side. */
  let stories: readonly Promise<void>[] = [];

  beforeAll(async () => {
    world = await createWorld({
      policy: (files) =>
        withoutHands(files).map((file) => ({
          ...file,
          text: file.text
            .replace('leadTimeDays: 3', 'leadTimeDays: 0')
            // A later look is evidence of its own, with an instant of its own.
            .replace(/^staysDead:.*$/mu, 'staysDead: []'),
        })),
    });
    stories = [
      cutAt('gap', gap.saturday, AFTER_GAP),
      cutAt('twice', overlap.saturday, FIRST_MIDNIGHT),
      startInOverlap(),
      movedInTheLastMinute(),
    ];
    for (const story of stories) story.catch(() => undefined);
  });
  afterAll(() => world?.stop());

  const isActive = async (person: string): Promise<boolean | undefined> =>
    (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0]?.active;
  const dueAt = (id: IdentityId, kind: string, instant: number) =>
    processOf(world, id, kind, (row) => row.due_at !== null && Date.parse(row.due_at) === instant);

  /** Nothing of a cut was written or proven before its instant, and all of it soon after. */
  async function expectCutAt(id: IdentityId, instant: number): Promise<void> {
    const visits = await world.deps.db
      .selectFrom('visit')
      .select(['first_write_at', 'outcome'])
      .where('identity_id', '=', id)
      .where('phase', '=', 'cut')
      .execute();
    expect(visits.length).toBeGreaterThan(0);
    for (const visit of visits) {
      expect(visit.outcome).toBe('proven');
      expect(Date.parse(visit.first_write_at ?? '')).toBeGreaterThanOrEqual(instant);
      expect(Date.parse(visit.first_write_at ?? '')).toBeLessThan(instant + 2 * MINUTE_MS);
    }
  }

  async function cutAt(person: string, lastWorkingDay: string, instant: number): Promise<void> {
    const id = await joinedIn(person);
    await leaves(world, person, { lastWorkingDay, manner: 'voluntary', noticeOn: day(-1) });
    const { workflow_id: leaver } = await dueAt(id, 'leaver', instant);
    await skipTo(world, leaver, instant - MINUTE_MS);
    expect(await isActive(person)).toBe(true);
    await skipTo(world, leaver, instant + MINUTE_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    await expectCutAt(id, instant);
    expect(await isActive(person)).toBe(false);
  }

  async function joinedIn(person: string): Promise<IdentityId> {
    const id = identityOf(await world.hr(hire(world, person, { zone: ZONE })));
    await processOf(world, id, 'joiner', (row) => row.state === 'completed');
    return id;
  }

  async function startInOverlap(): Promise<void> {
    const id = identityOf(await world.hr(hire(world, 'starts', { zone: ZONE, startOn: overlap.sunday })));
    const queue = identityWorkflowId(id);
    const inMs = FIRST_MIDNIGHT - 10 * MINUTE_MS - Date.now();
    await eventually(() => wakeLater(world, id, inMs), 'a queue that sleeps in Postgres');
    const processes = () => world.deps.db.selectFrom('process').selectAll().where('identity_id', '=', id).execute();
    await skipTo(world, queue, FIRST_MIDNIGHT - MINUTE_MS);
    expect(await processes()).toEqual([]);
    await skipTo(world, queue, FIRST_MIDNIGHT + MINUTE_MS);
    const { opened_at: openedAt } = await processOf(world, id, 'joiner', (row) => row.state === 'completed');
    expect(Date.parse(openedAt)).toBeGreaterThanOrEqual(FIRST_MIDNIGHT);
    expect(Date.parse(openedAt)).toBeLessThan(FIRST_MIDNIGHT + 2 * MINUTE_MS);
  }

  async function movedInTheLastMinute(): Promise<void> {
    const id = await joined(world, 'moved');
    const ends = (version: number, days: number) =>
      leaves(world, 'moved', { version, lastWorkingDay: day(days), manner: 'voluntary', noticeOn: day(-1) });
    const [before, after] = [at(day(21), '00:00'), at(day(22), '00:00')];
    await ends(1, 20);
    const { workflow_id: leaver } = await dueAt(id, 'leaver', before);
    await skipTo(world, leaver, before - MINUTE_MS);
    await ends(2, 21);
    await dueAt(id, 'leaver', after);
    await skipTo(world, leaver, before + 60 * MINUTE_MS);
    expect(await isActive('moved')).toBe(true);
    await skipTo(world, leaver, after + MINUTE_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    await expectCutAt(id, after);
  }

  it(
    'a last day before a midnight that does not exist ends at the first instant after the gap',
    () => stories[0],
    240_000,
  );

  it('a last day before a midnight that comes twice ends at the first of them', () => stories[1], 240_000);

  it('a first day whose midnight comes twice begins with the day, at the first of them', () => stories[2], 240_000);

  it('an end that is moved in its last minute never comes at the old instant', () => stories[3], 240_000);

  it('to the millisecond: the old instant opens nothing when it was moved just before, and would have', async () => {
    const start = (person: string, version: number, startOn: string) =>
      world.hr(hire(world, person, { zone: ZONE, version, startOn }));
    const [moved, unmoved] = [
      identityOf(await start('last', 1, overlap.sunday)),
      identityOf(await start('other', 1, overlap.sunday)),
    ];
    const look = (identityId: IdentityId, ms: number) =>
      advanceQueue(world.deps, { identityId, now: brand<Instant>(new Date(ms).toISOString()) });
    for (const id of [moved, unmoved]) {
      const early = await look(id, FIRST_MIDNIGHT - 1);
      expect(early).toMatchObject({ open: [], nextDueAt: new Date(FIRST_MIDNIGHT).toISOString() });
    }
    const monday = new Date(FIRST_MIDNIGHT + DAY_MS + 60 * MINUTE_MS).toISOString();
    await start('last', 2, monday.slice(0, 10));
    // The day of the change has 25 hours.
    expect(await look(moved, FIRST_MIDNIGHT)).toMatchObject({ open: [], nextDueAt: monday });
    expect((await look(unmoved, FIRST_MIDNIGHT)).open).toMatchObject([{ kind: 'joiner' }]);
  });
});
