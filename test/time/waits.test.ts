import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { withoutHands } from './people.js';
import { DAY_MS, MINUTE_MS, processOf, skipTo } from './skipping.js';

const midnight = (days: number): number => Date.parse(`${day(days)}T00:00:00.000Z`);

describe('waits in skipped time, on the real server', () => {
  let world: World;
  /** They mostly wait for the server's next skip, so they run side by side. */
  let stories: readonly Promise<void>[] = [];

  beforeAll(async () => {
    world = await createWorld({
      policy: (files) =>
        withoutHands(files).map((file) => ({
          ...file,
          // Prepared long ahead, so that the process itself waits for the start.
          text: file.text.replace('leadTimeDays: 3', 'leadTimeDays: 60'),
        })),
    });
    stories = [preHire(), mover()];
    for (const story of stories) story.catch(() => undefined);
  });
  afterAll(() => world?.stop());

  const atDirectory = async (person: string) =>
    (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0];
  const waitsUntil = (id: IdentityId, kind: string, due: number) =>
    eventually(
      async () => {
        const row = await processOf(world, id, kind, (one) => one.state === 'running');
        return row.due_at !== null && Date.parse(row.due_at) === due ? row : undefined;
      },
      `${kind} waits until ${new Date(due).toISOString()}`,
      15_000,
    );

  async function preHire(): Promise<void> {
    const starts = (version: number, days: number) => world.hr(hire(world, 'pre', { version, startOn: day(days) }));
    const id = identityOf(await starts(1, 40));
    const { workflow_id: joiner } = await waitsUntil(id, 'joiner', midnight(40));
    const prepared = await atDirectory('pre');
    expect(prepared).toMatchObject({ active: false });

    await skipTo(world, joiner, midnight(5));
    await starts(2, 10);
    await waitsUntil(id, 'joiner', midnight(10));
    await skipTo(world, joiner, midnight(9));
    await starts(3, 20);
    await waitsUntil(id, 'joiner', midnight(20));

    // The second date passes, and so does the time shortly before the third.
    for (const instant of [midnight(10) + MINUTE_MS, midnight(20) - 60 * MINUTE_MS]) {
      await skipTo(world, joiner, instant);
      expect(await atDirectory('pre')).toMatchObject({ active: false });
    }
    await skipTo(world, joiner, midnight(20) + MINUTE_MS);
    const ended = await processOf(world, id, 'joiner', (row) => row.state === 'completed');
    expect(await atDirectory('pre')).toMatchObject({ id: prepared?.id, active: true });
    expect(Math.abs(Date.parse(ended.ended_at ?? '') - midnight(20))).toBeLessThan(2 * MINUTE_MS);
    expect(ended.revision).toBe(1);
  }

  async function mover(): Promise<void> {
    const id = identityOf(await world.hr(hire(world, 'move', { attributes: { department: 'Finance' } })));
    await processOf(world, id, 'joiner', (row) => row.state === 'completed');
    const change = (n: number, department: string) =>
      world.hr({
        source: 'hr',
        eventId: `move-${n}`,
        person: 'move',
        employment: 'move-1',
        kind: 'change',
        effectiveOn: day(0),
        attributes: { department },
      });
    const held = async () =>
      (await world.directory.store.groups({ member: (await atDirectory('move'))?.id ?? '' }))
        .map((group) => group.displayName)
        .sort();
    await change(1, 'Engineering');
    const { workflow_id: workflowId } = await waitsUntil(id, 'mover', midnight(0) + 7 * DAY_MS);
    expect(await held()).toEqual(['all-staff', 'engineering', 'finance']);
    await skipTo(world, workflowId, midnight(7) - 60 * MINUTE_MS);
    expect(await held()).toEqual(['all-staff', 'engineering', 'finance']);
    await skipTo(world, workflowId, midnight(7) + MINUTE_MS);
    await processOf(world, id, 'mover', (row) => row.state === 'completed');
    expect(await held()).toEqual(['all-staff', 'engineering']);
    const revoked = await world.deps.db
      .selectFrom('evidence')
      .select(['at', 'verdict'])
      .where('identity_id', '=', id)
      .where('phase', '=', 'revoke')
      .execute();
    expect(revoked.length).toBeGreaterThan(0);
    for (const row of revoked) {
      expect(row.verdict).toBe('proven');
      expect(Math.abs(Date.parse(row.at) - midnight(7))).toBeLessThan(2 * MINUTE_MS);
    }
  }

  it('a pre-hire in 40 days whose date moves earlier, then later, starts on the last date and on no other', () =>
    stories[0]);

  it('a mover keeps old access until the grace period ends, and not longer', () => stories[1]);
});
