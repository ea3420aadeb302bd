import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { scream } from '../../src/api/service-accounts/change.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined } from './people.js';
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
import { DAY_MS, skipTo, timeIn } from './skipping.js';

/** A test's service: log-ins are shared by the whole database server. */
const run = randomUUID().slice(0, 6);
const login = (name: string): string => `svc_${name}_${run}`;

describe('a service account, in skipped time on the real server', () => {
  let services: Services;
  let world: World;
  let ann: IdentityId;
  let bob: IdentityId;
  beforeAll(async () => {
    services = await serviceAccountPolicy(['whole', 'missed', 'quiet', 'split'].map(login));
    world = await createWorld({ policy: services.policy });
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
});
