import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, leaves, withoutHands } from './people.js';
import { DAY_MS, MINUTE_MS, afterMidnight, processOf, skipTo, wakeLater } from './skipping.js';

const LAST_DAY = 30;
/** Access ends when the last working day is over, archive and deletion count from there (policy/lifecycle.yaml). */
const CUT_AT = Date.parse(`${day(LAST_DAY + 1)}T00:00:00.000Z`);
const ARCHIVE_AT = CUT_AT + 30 * DAY_MS;
const DELETE_AT = CUT_AT + 90 * DAY_MS;

describe('a leaver in skipped time, on the real server', () => {
  let world: World;
  /** They mostly wait for the server's next skip, so they run side by side. */
  let stories: readonly Promise<void>[] = [];

  beforeAll(async () => {
    world = await createWorld({
      policy: (files) =>
        withoutHands(files).map((file) => ({
          ...file,
          // The looks after a cut leave evidence of their own, at their own instants: see stays-dead.test.ts.
          text: file.text.replace(/^staysDead: .*$/m, 'staysDead: []'),
        })),
    });
    stories = [alone(), hiredAgain()];
    for (const story of stories) story.catch(() => undefined);
  });
  afterAll(() => world?.stop());

  /** What the directory itself says, past Tenure's own tables. */
  const atDirectory = async (person: string) => {
    const user = (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0];
    return user && { id: user.id, active: user.active, archived: user.resource['userType'] === 'archived' };
  };
  const archived = (person: string) =>
    eventually(async () => ((await atDirectory(person))?.archived === true ? true : undefined), 'archive', 15_000);

  const evidence = (id: IdentityId) =>
    world.deps.db
      .selectFrom('evidence')
      .select(['phase', 'application', 'verdict', 'at', 'check_kind'])
      .where('identity_id', '=', id)
      .where('phase', 'in', ['notice', 'cut', 'deprovision', 'archive', 'delete'])
      .execute();

  async function alone(): Promise<void> {
    const id = await joined(world, 'solo');
    await leaves(world, 'solo', { manner: 'voluntary', lastWorkingDay: day(LAST_DAY), noticeOn: day(0) });
    const { workflow_id: leaver } = await processOf(world, id, 'leaver', (row) => row.blocked_on === 'date');
    const rights = async () =>
      (await world.deps.db.selectFrom('account').selectAll().where('identity_id', '=', id).execute()).map((one) => [
        one.application,
        [...one.entitlements].sort(),
      ]);
    expect(await rights()).toEqual(
      expect.arrayContaining([
        ['directory', ['all-staff', 'finance']],
        ['erp', ['ledger']],
      ]),
    );

    await skipTo(world, leaver, CUT_AT - 60 * MINUTE_MS);
    expect(await atDirectory('solo')).toMatchObject({ active: true });

    await skipTo(world, leaver, CUT_AT + MINUTE_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    expect(await atDirectory('solo')).toMatchObject({ active: false, archived: false });

    await skipTo(world, leaver, ARCHIVE_AT - 60 * MINUTE_MS);
    expect(await atDirectory('solo')).toMatchObject({ archived: false });
    await skipTo(world, leaver, ARCHIVE_AT + MINUTE_MS);
    await archived('solo');

    await skipTo(world, leaver, DELETE_AT - 60 * MINUTE_MS);
    expect(await atDirectory('solo')).toBeDefined();
    await skipTo(world, leaver, DELETE_AT + MINUTE_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect(await atDirectory('solo')).toBeUndefined();
    expect(await world.client.workflow.getHandle(leaver).result()).toMatchObject({ outcome: 'deleted', open: 0 });

    const rows = await evidence(id);
    expect(rows.filter((row) => row.verdict !== 'proven')).toEqual([]);
    const span = (phase: string) => rows.filter((row) => row.phase === phase).map((row) => Date.parse(row.at));
    for (const [phase, due] of [
      ['notice', Date.now()],
      ['cut', CUT_AT],
      ['deprovision', CUT_AT],
      ['archive', ARCHIVE_AT],
      ['delete', DELETE_AT],
    ] as const) {
      expect(span(phase).length).toBeGreaterThan(0);
      // Evidence carries the instant that the process lives in, not the machine's.
      for (const at of span(phase)) expect(Math.abs(at - due)).toBeLessThan(2 * MINUTE_MS);
    }
  }

  async function hiredAgain(): Promise<void> {
    const id = await joined(world, 'back');
    const native = (await atDirectory('back'))?.id;
    await leaves(world, 'back', { manner: 'immediate', lastWorkingDay: day(0) });
    const { workflow_id: leaver } = await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    await skipTo(world, leaver, Date.now() + 31 * DAY_MS);
    await archived('back');
    await skipTo(world, leaver, Date.now() + 57 * DAY_MS);

    // HR says early that the person returns on day 60; until the lead time begins there is nothing to do.
    await world.hr(
      hire(world, 'back', {
        eventId: 'back-again',
        employment: 'back-2',
        startOn: day(60),
        attributes: { department: 'Engineering' },
      }),
    );
    await eventually(async () => {
      const { next_due_at: due } = await world.deps.db
        .selectFrom('identity')
        .select('next_due_at')
        .where('identity_id', '=', id)
        .executeTakeFirstOrThrow();
      return due === null ? undefined : due;
    }, 'a next instant');
    await eventually(
      () => wakeLater(world, id, afterMidnight(day(57)) - Date.now()),
      'a queue that has nothing to do and may be started',
      15_000,
    );
    await processOf(world, id, 'rehire', (row) => row.state === 'completed');

    const rows = await world.deps.db.selectFrom('process').selectAll().where('identity_id', '=', id).execute();
    expect(rows.find((row) => row.kind === 'leaver')).toMatchObject({ state: 'superseded', outcome: 'rehired' });
    expect((await evidence(id)).filter((row) => row.phase === 'delete')).toEqual([]);
    expect(await world.client.workflow.getHandle(leaver).result()).toMatchObject({ outcome: 'rehired' });
    expect(await atDirectory('back')).toEqual({ id: native, active: true, archived: false });
    const groups = await world.directory.store.groups({ member: native ?? '' });
    expect(groups.map((group) => group.displayName).sort()).toEqual(['all-staff', 'engineering']);
    const rehire = rows.find((row) => row.kind === 'rehire');
    expect(Math.abs(Date.parse(rehire?.ended_at ?? '') - Date.parse(`${day(60)}T00:00:00.000Z`))).toBeLessThan(
      2 * MINUTE_MS,
    );
  }

  it('goes to day 120 alone: notice, cut, archive and deletion happen at the targets, each in its time', () =>
    stories[0]);

  it('that is hired again at day 60 is archived and never deleted, and comes back to the same account', () =>
    stories[1]);

  it('gives its activities the instant it lives in', async () => {
    await Promise.all(stories);
    const seen: Instant[] = [];
    const plans = await world.deps.db
      .selectFrom('plan')
      .innerJoin('process', 'process.process_id', 'plan.process_id')
      .select(['plan.phase', 'plan.created_at', 'process.effective_at'])
      .where('process.kind', '=', 'leaver')
      .where('plan.phase', 'in', ['archive', 'delete'])
      .execute();
    for (const plan of plans) {
      seen.push(plan.created_at);
      const days = plan.phase === 'archive' ? 30 : 90;
      expect(Date.parse(plan.created_at) - Date.parse(plan.effective_at)).toBeGreaterThanOrEqual(days * DAY_MS);
      expect(Date.parse(plan.created_at)).toBeGreaterThan(Date.now() + 20 * DAY_MS);
    }
    expect(seen).toHaveLength(3);
  });
});
