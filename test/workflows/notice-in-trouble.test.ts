import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createWorld, day, eventually, hire, identityOf, settled } from '../support/world.js';
import type { World } from '../support/world.js';

describe('a notice that waits for somebody', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({
      policy: (files) => [
        ...files,
        {
          path: 'roles/vault.yaml',
          text: [
            'slug: vault',
            'name: Vault',
            'when: employment.worker == "employee"',
            'cutAtNotice: true',
            'grants:',
            '  - { application: badge, entitlement: vault }',
            '',
          ].join('\n'),
        },
      ],
    });
  });
  afterAll(() => world?.stop());

  const end = (change: Record<string, unknown>) =>
    world.hr({ source: 'hr', person: 'n', employment: 'n-1', kind: 'end', ...change });

  it('does not hold up the cut', async () => {
    const id = identityOf(await world.hr(hire(world, 'n', { startOn: day(-10) })));
    await settled(world, id, (rows) => rows.some((row) => row.state === 'completed'));
    const user = async () => (await world.directory.store.users({ userName: `pn.test${world.tag}` }))[0];
    expect(await user()).toMatchObject({ active: true });

    await end({ eventId: 'n-notice', manner: 'voluntary', lastWorkingDay: day(20), noticeOn: day(-1) });
    const openTasks = () =>
      world.deps.db
        .selectFrom('operator_task')
        .innerJoin('visit', 'visit.visit_id', 'operator_task.visit_id')
        .select(['visit.phase', 'operator_task.status'])
        .where('operator_task.identity_id', '=', id)
        .where('visit.phase', 'in', ['notice', 'cut'])
        .execute();
    await eventually(
      async () => ((await openTasks()).some((task) => task.phase === 'notice') ? true : undefined),
      'somebody is asked to take the vault away',
    );
    expect(await user()).toMatchObject({ active: true });

    await end({ eventId: 'n-now', manner: 'immediate', lastWorkingDay: day(0), at: new Date().toISOString() });
    await eventually(async () => ((await user())?.active === false ? true : undefined), 'the cut', 15_000);
    // What notice still asked is asked no more: the cut asks for the whole account.
    const tasks = await eventually(async () => {
      const found = await openTasks();
      return found.some((task) => task.phase === 'cut') ? found : undefined;
    }, 'somebody is asked to take the badge away');
    expect(tasks.filter((task) => task.phase === 'notice').map((task) => task.status)).toEqual(['withdrawn']);
    await settled(world, id, (rows) => rows.some((row) => row.kind === 'leaver' && row.state === 'tail'));

    // Both ends were a mistake: what the tail hears, the queue must hear the end of, although nothing else was under way.
    for (const corrects of ['n-now', 'n-notice'])
      await world.hr({
        source: 'hr',
        person: 'n',
        employment: 'n-1',
        eventId: `${corrects}-withdrawn`,
        kind: 'withdraw',
        corrects,
        version: 2,
      });
    await settled(world, id, (rows) => rows.some((row) => row.kind === 'rehire' && row.state === 'completed'));
    expect(await user()).toMatchObject({ active: true });
  });
});
