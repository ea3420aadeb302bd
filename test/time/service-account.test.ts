import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { scream, setOwners } from '../../src/api/service-accounts/change.js';
import { startImport } from '../../src/api/applications/onboarding.js';
import type { Connector } from '../../src/connectors/connector.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, leaves } from './people.js';
import {
  atTarget,
  declared,
  doorOf,
  makeService,
  manager,
  openTask,
  operator,
  proofsOf,
  says,
  serviceAccountPolicy,
  serviceGetsIn,
  stands,
} from './service-accounts.js';
import type { Services } from './service-accounts.js';
import { DAY_MS, processOf, skipTo, timeIn } from './skipping.js';

/** A test's service: log-ins are shared by the whole database server. */
const run = randomUUID().slice(0, 6);
const login = (name: string): string => `svc_${name}_${run}`;

/** The shipped connectors, but for an ERP that says "disabled", by whatever road it is read, and does nothing, while it lies. */
function lyingErp(isLying: () => boolean): ConnectorRegistry {
  const shipped = createShippedRegistry();
  return {
    ...shipped,
    create(kind, application, config, deps) {
      const inner = shipped.create(kind, application, config, deps);
      if (application !== 'erp') return inner;
      const lies: Partial<Connector> = {
        disable: (ref) => Promise.resolve({ outcome: 'applied', ref, changed: [] }),
        verify: () => Promise.resolve({ verdict: 'ok', mismatches: [], road: 'lie', seen: {} }),
      };
      return new Proxy(inner, {
        get(target, name) {
          const found: unknown =
            isLying() && name in lies ? lies[name as keyof typeof lies] : Reflect.get(target, name);
          return typeof found === 'function' ? (found.bind(target) as unknown) : found;
        },
      });
    },
  };
}

describe('a service account, in skipped time on the real server', () => {
  let services: Services;
  let isLying = false;
  let world: World;
  let ann: IdentityId;
  let bob: IdentityId;
  beforeAll(async () => {
    services = await serviceAccountPolicy(['whole', 'missed', 'quiet', 'split', 'liar', 'left'].map(login));
    world = await createWorld({ policy: services.policy, registry: lyingErp(() => isLying) });
    [ann, bob] = await Promise.all([joined(world, 'ann'), joined(world, 'bob')]);
  });
  afterAll(async () => {
    await world?.stop();
    await services?.end();
  });

  it('is closed when all owners agree, and removed after the window when one of them says so again', async () => {
    const name = login('whole');
    await makeService(world, name);
    expect(await serviceGetsIn(world, name)).toBe(true);
    const { id, workflow } = await declared(world, name, [ann, bob]);
    await says(world, id, ann, 'remove');
    await stands(world, id, (row) => row.blocked === 'approval');
    expect(await serviceGetsIn(world, name)).toBe(true);

    await says(world, id, bob, 'remove');
    const waiting = await stands(world, id, (row) => row.blocked === 'scream-test');
    expect(await serviceGetsIn(world, name)).toBe(false);
    expect(await proofsOf(world, id)).toEqual(expect.arrayContaining(['scream-test sign-in proven']));
    const days = (Date.parse(waiting.due_at ?? '') - (await timeIn(world, workflow))) / DAY_MS;
    expect(Math.round(days)).toBe(14);

    await skipTo(world, workflow, (await timeIn(world, workflow)) + 14.1 * DAY_MS);
    await stands(world, id, (row) => row.blocked === 'approval');
    expect(await atTarget(world, name)).toMatchObject({ account: [{ enabled: false }] });
    await says(world, id, bob, 'remove');
    await stands(world, id, (row) => row.outcome === 'removed');
    expect(await atTarget(world, name)).toEqual({ account: [], role: [] });
    expect((await proofsOf(world, id)).at(-1)).toBe('delete absence proven');
  });

  it('is opened again exactly as it was when somebody screams, by an owner or an operator and by nobody else', async () => {
    const name = login('missed');
    await makeService(world, name);
    const before = await atTarget(world, name);
    const { id } = await declared(world, name, [ann, bob]);
    const word = (caller: Parameters<typeof scream>[1]['caller']) =>
      scream(doorOf(world), { identityId: id, reason: 'payroll stands still', caller });
    await expect(word(operator)).rejects.toMatchObject({ body: { type: '/problems/not-closed' } });
    for (const owner of [ann, bob]) await says(world, id, owner, 'remove');
    await stands(world, id, (row) => row.blocked === 'scream-test');
    expect(await serviceGetsIn(world, name)).toBe(false);

    const stranger = await joined(world, 'eve');
    await expect(word(manager(stranger))).rejects.toMatchObject({ body: { type: '/problems/not-an-owner' } });
    await word(manager(ann));
    await stands(world, id, (row) => row.outcome === 'restored');
    expect(await atTarget(world, name)).toEqual(before);
    expect(await serviceGetsIn(world, name)).toBe(true);
    expect((await proofsOf(world, id)).filter((one) => one.startsWith('restore'))).toEqual([
      'restore sign-in proven',
      'restore state proven',
    ]);
  });

  it('is kept on one "keep"; that the owners disagree is an operator’s task, and never a deletion', async () => {
    const name = login('split');
    await makeService(world, name);
    const before = await atTarget(world, name);
    const { id, workflow } = await declared(world, name, [ann, bob]);
    await says(world, id, ann, 'remove');
    await says(world, id, bob, 'keep');
    const task = await openTask(world, id, 'owners-disagree');
    expect(task.kind).toBe('orphan');
    await world.lifecycle.resolveTask(workflow, { taskId: task.task_id, decisionId: randomUUID(), resolution: 'skip' });
    await stands(world, id, (row) => row.outcome === 'kept');
    expect(await atTarget(world, name)).toEqual(before);
  });

  it('is left alone when an owner does not answer: an operator is asked, and may ask again', async () => {
    const name = login('quiet');
    await makeService(world, name);
    const { id, workflow } = await declared(world, name, [ann, bob]);
    await says(world, id, ann, 'remove');
    await stands(world, id, (row) => row.blocked === 'approval');
    await skipTo(world, workflow, (await timeIn(world, workflow)) + 6 * DAY_MS);
    const task = await openTask(world, id, 'owners-silent');
    expect(await serviceGetsIn(world, name)).toBe(true);
    await world.lifecycle.resolveTask(workflow, {
      taskId: task.task_id,
      decisionId: randomUUID(),
      resolution: 'retry',
    });
    // Everybody is asked anew: what was said in a round that came to nothing does not count.
    await says(world, id, bob, 'remove');
    await says(world, id, ann, 'keep');
    await openTask(world, id, 'owners-disagree');
    expect(await serviceGetsIn(world, name)).toBe(true);
  });

  it('is not removed by a target that only says it is disabled: the service still gets in, and an operator is asked', async () => {
    const name = login('liar');
    await makeService(world, name);
    const before = await atTarget(world, name);
    const { id, workflow } = await declared(world, name, [ann, bob]);
    isLying = true;
    for (const owner of [ann, bob]) await says(world, id, owner, 'remove');
    const task = await openTask(world, id, 'sign-in-accepted');
    isLying = false;
    expect([task.kind, await proofsOf(world, id)]).toEqual([
      'visit',
      expect.arrayContaining(['scream-test sign-in refuted']),
    ]);
    await world.lifecycle.resolveTask(workflow, { taskId: task.task_id, decisionId: randomUUID(), resolution: 'skip' });
    await stands(world, id, (row) => row.outcome === 'kept');
    expect(await atTarget(world, name)).toEqual(before);
  });

  it('of an owner who leaves goes to the next in line, who is asked; what the leaver said does not count', async () => {
    const name = login('left');
    await makeService(world, name);
    const dora = await joined(world, 'dora');
    const carl = identityOf(await world.hr(hire(world, 'carl', { manager: 'dora' })));
    await processOf(world, carl, 'joiner', (row) => row.state === 'completed');
    const { id } = await declared(world, name, [ann, carl]);
    await says(world, id, carl, 'remove');
    await leaves(world, 'carl', { manner: 'immediate', lastWorkingDay: day(0) });
    await says(world, id, ann, 'remove');
    const owners = await eventually(async () => {
      const rows = await world.deps.db
        .selectFrom('service_account_owner')
        .select('owner_identity_id')
        .where('identity_id', '=', id)
        .where('ended_at', 'is', null)
        .execute();
      const ids = rows.map((row) => row.owner_identity_id);
      return ids.includes(dora) ? ids : undefined;
    }, 'the heir');
    expect([...owners].sort()).toEqual([ann, dora].sort());
    expect(await serviceGetsIn(world, name)).toBe(true);
    await says(world, id, dora, 'remove');
    await stands(world, id, (row) => row.blocked === 'scream-test');
    expect(await serviceGetsIn(world, name)).toBe(false);

    // Nobody is in line behind Dora: one owner is not enough, also while it is closed.
    await leaves(world, 'dora', { manner: 'immediate', lastWorkingDay: day(0) });
    const task = await openTask(world, id, 'owners-missing');
    expect(task.kind).toBe('orphan');
    await setOwners(doorOf(world), { identityId: id, owners: [ann, bob], actor: 'operator' });
    await says(world, id, bob, 'keep');
    await openTask(world, id, 'owners-disagree');
    expect(await serviceGetsIn(world, name)).toBe(true);
  });

  it('that belongs to nobody is found by an import, once, and waits for owners', async () => {
    const name = login('found');
    await makeService(world, name);
    const imported = async () => {
      const { importId } = await startImport(doorOf(world), 'erp', { link: false, pageSize: 50, actor: 'operator' });
      await eventually(async () => {
        const row = await world.deps.db
          .selectFrom('account_import')
          .select(['state', 'code'])
          .where('import_id', '=', importId)
          .executeTakeFirstOrThrow();
        if (row.state === 'running') return undefined;
        expect(row).toEqual({ state: 'done', code: null });
        return true;
      }, 'the import');
      return world.deps.db
        .selectFrom('service_account')
        .select(['identity_id', 'origin'])
        .where('login', '=', name)
        .execute();
    };
    const [found] = await imported();
    expect(found?.origin).toBe('discovered');
    const id = found?.identity_id as IdentityId;
    await openTask(world, id, 'owners-missing');
    expect(await imported()).toHaveLength(1);
    await setOwners(doorOf(world), { identityId: id, owners: [ann, bob], actor: 'operator' });
    await says(world, id, ann, 'keep');
    await stands(world, id, (row) => row.outcome === 'kept');
    const others = await world.deps.db
      .selectFrom('service_account')
      .select('login')
      .where('origin', '=', 'discovered')
      .execute();
    expect(others).toEqual([{ login: name }]);
  });
});
