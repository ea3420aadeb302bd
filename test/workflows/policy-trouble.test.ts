import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { createWorld, eventually, hire, identityOf, processesOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { cut, resolve, taskOf, withoutBadge } from './support/people.js';
import { atRest } from './support/rest.js';

/** Type-checks, and fails for everybody whose cost centre is no number. */
const failing = `
slug: numbered
name: Numbered cost centres
when: int(employment.costCenter) > 100
grants:
  - { application: directory, entitlement: sales }
`;

describe('a policy that fails when it is used', () => {
  let world: World;
  let healthy: PolicyFiles = [];

  beforeAll(async () => {
    world = await createWorld({
      policy: (files) => {
        healthy = withoutBadge(files);
        return [...healthy, { path: 'roles/numbered.yaml', text: failing }];
      },
    });
  });

  afterAll(async () => world?.stop());

  const isActive = async (id: string): Promise<boolean | undefined> =>
    (await world.directory.store.users()).find((user) => user.externalId === id)?.active;

  it('asks an operator once, and goes on with the corrected policy', async () => {
    const id = identityOf(await world.hr(hire(world, 'nora', { attributes: { costCenter: 'four' } })));
    const task = await taskOf(world, id);
    expect([task.kind, task.code]).toEqual(['process', 'expression-failed']);
    await resolve(world, task, 'retry');
    // The same policy fails again: another question, not a loop.
    const second = await eventually(async () => {
      const again = await taskOf(world, id);
      return again.taskId === task.taskId ? undefined : again;
    }, 'the question again');
    await publishPolicy(world.deps.db, healthy, 'test');
    await resolve(world, second, 'retry');
    await atRest(world, [id]);
    const [joiner] = await processesOf(world, id);
    expect([joiner?.state, joiner?.outcome]).toEqual(['completed', 'provisioned']);
    expect(await isActive(id)).toBe(true);
  });

  it('holds no cut up: what nobody is employed for needs no rule', async () => {
    await publishPolicy(world.deps.db, healthy, 'test');
    const id = identityOf(await world.hr(hire(world, 'otto', { attributes: { costCenter: 'five' } })));
    await atRest(world, [id]);
    await publishPolicy(world.deps.db, [...healthy, { path: 'roles/numbered.yaml', text: failing }], 'test');
    await cut(world, 'otto');
    await atRest(world, [id]);
    expect(await isActive(id)).toBe(false);
  });
});
