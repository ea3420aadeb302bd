import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { join } from 'node:path';
import { startWorkers } from '../../src/worker/run-workers.js';
import { ensureBuild } from '../support/build.js';
import { createWorld, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { cut, joined, replaced, resolve, taskOf, tasksOf, visitsOf, withoutBadge } from './support/people.js';
import { atRest } from './support/rest.js';

const portal = (slug: string, extra: string): string => `
slug: ${slug}
name: ${slug}
connector: scim
config:
  baseUrl: env:TENURE_SANDBOX_WIKI_URL
  token: env:TENURE_SANDBOX_SCIM_TOKEN
  groups: false
mode: sync
criticality: low
login: '"${slug}." + account.userName'
attributes:
  externalId: '"${slug}/" + person.id'
correlation:
  strong: [externalId]
${extra}
`;
const role = (slug: string, department: string): string => `
slug: ${slug}-users
name: ${slug} users
when: employment.department == "${department}"
grants:
  - { application: ${slug} }
`;
/** Open for as long as any test may run. */
const allDay = 'maintenance: [{ from: "00:00", to: "00:00", zone: Etc/UTC }]';

describe('what holds visits back', () => {
  let world: World;
  const kinds = [
    { slug: 'paced', department: 'Pace', extra: 'rate: { perSecond: 2, burst: 1 }' },
    { slug: 'closed', department: 'Night', extra: allDay },
    { slug: 'onsite', department: 'Paris', extra: 'site: paris' },
  ];

  beforeAll(async () => {
    world = await createWorld({
      policy: (files) => [
        ...replaced(withoutBadge(files), 'directory.yaml', [
          'sweepTimeout: 5s',
          'sweepTimeout: 5s\nquarantine: { after: 3, pause: 2s, longestPause: 4s }',
        ]),
        ...kinds.flatMap(({ slug, department, extra }) => [
          { path: `applications/${slug}.yaml`, text: portal(slug, extra) },
          { path: `roles/${slug}-users.yaml`, text: role(slug, department) },
        ]),
      ],
    });
  });
  afterAll(async () => world?.stop());
  afterEach(() => world.directory.behave({}));

  const inDepartment = (department: string) => ({ attributes: { department } });
  const visitTo = async (id: Parameters<typeof visitsOf>[1], application: string) =>
    (await visitsOf(world, id)).find((visit) => visit.application === application);
  const stateOf = (application: string) =>
    world.deps.db
      .selectFrom('application_state')
      .selectAll()
      .where('application', '=', application as 'x' & { readonly __brand: never })
      .executeTakeFirst();

  it('a target that is down for several people is asked by one of them, and the others wait without a task', async () => {
    world.directory.behave({ refuse: { status: 503 } });
    const people = ['qa', 'qb', 'qc'];
    const ids = [];
    for (const person of people) ids.push(identityOf(await world.hr(hire(world, person))));
    await eventually(async () => (await stateOf('directory'))?.quarantined_since ?? undefined, 'quarantine');
    const late = identityOf(await world.hr(hire(world, 'qd')));
    // The newcomer's visit waits and has not even begun.
    await eventually(async () => ((await visitTo(late, 'directory')) === undefined ? undefined : true), 'a visit');
    expect((await visitTo(late, 'directory'))?.attempt).toBe(0);
    expect(await tasksOf(world, late)).toEqual([]);
    world.directory.behave({});
    await atRest(world, [...ids, late]);
    expect(await stateOf('directory')).toMatchObject({ failures: 0, quarantined_since: null, quarantined_until: null });
    expect((await visitTo(late, 'directory'))?.outcome).toBe('proven');
  });

  it('a cut asks a target in quarantine all the same', async () => {
    const id = await joined(world, 'ra');
    await world.deps.db
      .insertInto('application_state')
      .values({
        application: 'directory' as never,
        failures: 9,
        code: 'UNAVAILABLE',
        refilled_at: null,
        quarantined_since: new Date().toISOString() as never,
        quarantined_until: new Date(Date.now() + 3_600_000).toISOString() as never,
      })
      .onConflict((conflict) =>
        conflict.column('application').doUpdateSet((eb) => ({
          quarantined_since: eb.ref('excluded.quarantined_since'),
          quarantined_until: eb.ref('excluded.quarantined_until'),
        })),
      )
      .execute();
    await cut(world, 'ra');
    await atRest(world, [id]);
    expect((await visitsOf(world, id, 'cut')).find((visit) => visit.application === 'directory')?.outcome).toBe(
      'proven',
    );
    await world.deps.db
      .updateTable('application_state')
      .set({ quarantined_since: null, quarantined_until: null })
      .execute();
  });

  it('a refused credential asks one person, holds the others, and ends with the operator’s retry', async () => {
    world.directory.behave({ refuse: { status: 401 } });
    const first = identityOf(await world.hr(hire(world, 'ua')));
    const task = await taskOf(world, first);
    expect(task.code).toContain('UNAUTHENTICATED');
    const second = identityOf(await world.hr(hire(world, 'ub')));
    await eventually(async () => ((await visitTo(second, 'directory')) === undefined ? undefined : true), 'a visit');
    expect(await tasksOf(world, second)).toEqual([]);
    world.directory.behave({});
    await resolve(world, task, 'retry');
    await atRest(world, [first, second]);
    expect((await visitTo(second, 'directory'))?.outcome).toBe('proven');
  });

  it('a target gets its visits at its rate', async () => {
    const ids = [];
    for (const person of ['pa', 'pb', 'pc', 'pd'])
      ids.push(identityOf(await world.hr(hire(world, person, inDepartment('Pace')))));
    await atRest(world, ids);
    for (const id of ids) expect((await visitTo(id, 'paced'))?.outcome).toBe('proven');
    const made = (await world.wiki.store.effects({}))
      .filter((effect) => effect.changed && effect.operation === 'create')
      .map((effect) => Date.parse(String(effect.at)))
      .sort((a, b) => a - b);
    // Four visits at two a second with a burst of one: the last one comes at least a second and a half after the first, less what the first was late.
    expect((made.at(-1) ?? 0) - (made[0] ?? 0)).toBeGreaterThan(1_000);
  });

  it('nobody but a cut writes in a maintenance window', async () => {
    const id = identityOf(await world.hr(hire(world, 'ma', inDepartment('Night'))));
    await eventually(
      async () => ((await visitTo(id, 'directory'))?.outcome === 'proven' ? true : undefined),
      'the rest',
    );
    expect(await visitTo(id, 'closed')).toMatchObject({ attempt: 0, outcome: null });
    expect(await tasksOf(world, id)).toEqual([]);
    await cut(world, 'ma');
    await atRest(world, [id]);
    expect((await world.wiki.store.users()).filter((user) => user.userName.startsWith('closed.'))).toEqual([]);
  });

  it('a site’s target is reached by the workers of that site alone', async () => {
    const id = identityOf(await world.hr(hire(world, 'sa', inDepartment('Paris'))));
    await eventually(
      async () => ((await visitTo(id, 'directory'))?.outcome === 'proven' ? true : undefined),
      'the rest',
    );
    expect(await visitTo(id, 'onsite')).toMatchObject({ attempt: 0, outcome: null });
    const connection = await NativeConnection.connect({ address: world.address });
    const workers = await startWorkers({
      connection,
      namespace: world.namespace,
      deps: { ...world.deps, sites: new Set(['paris']) },
      bundle: { codePath: join(await ensureBuild(), 'build', 'workflow-bundle.js') },
      applications: [],
      sites: ['paris'],
      shutdownGraceTime: '5s',
    });
    try {
      await atRest(world, [id]);
      expect((await visitTo(id, 'onsite'))?.outcome).toBe('proven');
    } finally {
      await workers.stop();
      await connection.close();
    }
  });
});
