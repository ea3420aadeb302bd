import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, withoutHands } from './people.js';
import { MINUTE_MS, afterMidnight, processOf, wakeLater } from './skipping.js';

describe('leaves of absence in skipped time, on the real server', () => {
  let world: World;
  /** They mostly wait for the server's next skip, so they run side by side. */
  let stories: readonly Promise<void>[] = [];

  beforeAll(async () => {
    world = await createWorld({ policy: withoutHands });
    stories = [months(), longerThanExpected(), leaverInLeave()];
    for (const story of stories) story.catch(() => undefined);
  });
  afterAll(() => world?.stop());

  const says = (person: string, event: string, kind: string, fields: object) =>
    world.hr({ source: 'hr', eventId: `${person}-${event}`, person, employment: `${person}-1`, kind, ...fields });
  const isActive = async (person: string) =>
    (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0]?.active;
  const dueAt = (id: IdentityId, on: string) =>
    eventually(
      async () => {
        const row = await world.deps.db
          .selectFrom('identity')
          .select('next_due_at')
          .where('identity_id', '=', id)
          .executeTakeFirstOrThrow();
        if (row.next_due_at?.startsWith(on) === true) return true;
        throw new Error(String(row.next_due_at));
      },
      `next due on ${on}`,
      15_000,
    );
  /** Lets the schedule wake the person's queue just after a day has begun. */
  async function wakeOn(id: IdentityId, days: number): Promise<void> {
    await dueAt(id, day(days));
    await eventually(
      () => wakeLater(world, id, afterMidnight(day(days)) - Date.now()),
      'a queue that has nothing to do and may be started',
      15_000,
    );
  }
  const kindsOf = async (id: IdentityId) =>
    (
      await world.deps.db
        .selectFrom('process')
        .select('kind')
        .where('identity_id', '=', id)
        .orderBy('opened_at')
        .execute()
    ).map((row) => row.kind);
  async function expectAbout(id: IdentityId, phase: 'suspend' | 'resume', days: number): Promise<void> {
    const rows = await world.deps.db
      .selectFrom('evidence')
      .select(['at', 'verdict'])
      .where('identity_id', '=', id)
      .where('phase', '=', phase)
      .execute();
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      expect(row.verdict).toBe('proven');
      expect(Math.abs(Date.parse(row.at) - Date.parse(`${day(days)}T00:00:00.000Z`))).toBeLessThan(5 * MINUTE_MS);
    }
  }

  async function months(): Promise<void> {
    const id = await joined(world, 'long');
    await says('long', 'leave', 'leave', { startOn: day(10), expectedEndOn: day(100) });
    await wakeOn(id, 10);
    await processOf(world, id, 'leave-start', (row) => row.state === 'completed');
    expect(await isActive('long')).toBe(false);
    await expectAbout(id, 'suspend', 10);

    // HR moves the return twice; nothing opens on the dates that were given up.
    await says('long', 'back', 'return', { on: day(60) });
    await dueAt(id, day(60));
    await says('long', 'back', 'return', { version: 2, on: day(120) });
    await wakeOn(id, 120);
    await processOf(world, id, 'leave-end', (row) => row.state === 'completed');
    expect(await isActive('long')).toBe(true);
    await expectAbout(id, 'resume', 120);
    expect(await kindsOf(id)).toEqual(['joiner', 'leave-start', 'leave-end']);
  }

  async function longerThanExpected(): Promise<void> {
    const id = await joined(world, 'short');
    await says('short', 'leave', 'leave', { startOn: day(3), expectedEndOn: day(9) });
    // Nobody says that it is over: on its 31st day it is an extended one.
    await wakeOn(id, 33);
    await processOf(world, id, 'leave-start', (row) => row.state === 'completed');
    expect(await isActive('short')).toBe(false);
    await expectAbout(id, 'suspend', 33);
  }

  async function leaverInLeave(): Promise<void> {
    const id = await joined(world, 'ends');
    await says('ends', 'leave', 'leave', { startOn: day(2), expectedEndOn: day(90) });
    await wakeOn(id, 2);
    await processOf(world, id, 'leave-start', (row) => row.state === 'completed');
    await says('ends', 'back', 'return', { on: day(50) });
    await says('ends', 'end', 'end', { manner: 'voluntary', lastWorkingDay: day(19) });
    await wakeOn(id, 20);
    await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    expect(await isActive('ends')).toBe(false);
    const cut = await world.deps.db
      .selectFrom('evidence')
      .select(['application', 'check_kind'])
      .where('identity_id', '=', id)
      .where('phase', '=', 'cut')
      .where('verdict', '=', 'proven')
      .execute();
    // Closed already, and proven closed by the cut all the same.
    expect(cut).toEqual(expect.arrayContaining([{ application: 'directory', check_kind: 'sign-in' }]));
    expect(await kindsOf(id)).toEqual(['joiner', 'leave-start', 'leaver']);
  }

  it('an extended one closes on its first day and opens on the day of the return, however often that moves', () =>
    stories[0]);

  it('a short one that goes on closes when it has lasted as long as an extended one', () => stories[1]);

  it('an end in the leave is a cut like any other, and the return that HR had stated opens nothing', () => stories[2]);
});
