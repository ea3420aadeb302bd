import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, leaves, withoutHands } from './people.js';
import { DAY_MS, MINUTE_MS, processOf, skipTo, timeIn } from './skipping.js';

const LOOKS_MS = [MINUTE_MS, 15 * MINUTE_MS, DAY_MS, 7 * DAY_MS, 90 * DAY_MS];

describe('what was cut stays dead, in skipped time on the real server', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({
      policy: withoutHands,
    });
  });
  afterAll(() => world?.stop());

  async function gone(person: string): Promise<{ id: IdentityId; workflow: string; cutAt: number }> {
    const id = await joined(world, person);
    await leaves(world, person, { manner: 'immediate', lastWorkingDay: day(0) });
    const { workflow_id: workflow } = await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    return { id, workflow, cutAt: await timeIn(world, workflow) };
  }
  const user = async (person: string) =>
    (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0];
  const evidence = (id: IdentityId) =>
    world.deps.db
      .selectFrom('evidence')
      .select(['application', 'check_kind', 'verdict', 'code', 'at'])
      .where('identity_id', '=', id)
      .where('phase', '=', 'cut')
      .where('check_kind', 'in', ['state', 'sign-in'])
      .orderBy('at')
      .execute();
  const incidents = (id: IdentityId) =>
    world.deps.db
      .selectFrom('operator_task')
      .selectAll()
      .where('identity_id', '=', id)
      .where('kind', '=', 'came-back')
      .execute();
  /** Waits for the evidence of the look that fell due last. */
  const looked = (id: IdentityId, afterMs: number) =>
    eventually(
      async () => {
        const rows = (await evidence(id)).filter((row) => Date.parse(row.at) >= afterMs - 5_000);
        return rows.some((row) => row.application === 'directory') ? rows : undefined;
      },
      `a look at ${new Date(afterMs).toISOString()}`,
    );
  async function reopen(person: string): Promise<void> {
    const found = await user(person);
    const answer = await fetch(`${world.directory.scimUrl}/Users/${found?.id}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
        Operations: [{ op: 'replace', path: 'active', value: true }],
      }),
    });
    expect([answer.ok, (await user(person))?.active]).toEqual([true, true]);
  }

  it('is looked at in each interval: proven each time, nobody is asked', async () => {
    const { id, workflow, cutAt } = await gone('quiet');
    for (const after of LOOKS_MS.slice(0, 4)) {
      await skipTo(world, workflow, cutAt + after + MINUTE_MS / 2);
      const rows = await looked(id, cutAt + after);
      expect(rows.filter((row) => row.verdict === 'refuted' || row.verdict === 'pending')).toEqual([]);
      for (const check of ['state', 'sign-in'])
        expect(rows.some((row) => row.application === 'directory' && row.check_kind === check)).toBe(true);
    }
    expect(await incidents(id)).toEqual([]);
    await skipTo(world, workflow, cutAt + 90 * DAY_MS + 5 * MINUTE_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    // The last look falls due with the deletion: it was made just before that, and not left out.
    const last = (await evidence(id)).filter((row) => Date.parse(row.at) > cutAt + 89 * DAY_MS);
    expect(last.filter((row) => row.application === 'directory').map((row) => [row.check_kind, row.verdict])).toEqual(
      expect.arrayContaining([
        ['state', 'proven'],
        ['sign-in', 'proven'],
      ]),
    );
    expect(await incidents(id)).toEqual([]);
    expect(await user('quiet')).toBeUndefined();
  });

  it('is cut again and raised each time a target opens the account, once a look', async () => {
    const { id, workflow, cutAt } = await gone('undead');
    for (const [index, after] of LOOKS_MS.slice(0, 3).entries()) {
      await reopen('undead');
      await skipTo(world, workflow, cutAt + after + MINUTE_MS / 2);
      await eventually(async () => ((await user('undead'))?.active === false ? true : undefined), 'the cut again');
      const rows = await eventually(async () => {
        const found = (await evidence(id)).filter((row) => row.application === 'directory');
        return found.at(-1)?.verdict === 'proven' ? found : undefined;
      }, 'the new proof');
      const caught = rows.filter((row) => row.code === 'came-back' && row.check_kind === 'state');
      expect(caught).toHaveLength(index + 1);
    }
    const [incident, ...more] = await incidents(id);
    expect([incident?.application, incident?.code, incident?.status, more]).toEqual([
      'directory',
      'came-back',
      'open',
      [],
    ]);
    const text = await world.deps.keys.decryptFor(world.deps.db, id, 'task', incident?.instructions as Buffer);
    expect(text).toMatch(/last proven closed: \d{4}-.*\n- seen alive: \d{4}-/);
    const recuts = await world.deps.db
      .selectFrom('plan')
      .select('plan_id')
      .where('identity_id', '=', id)
      .where('phase', '=', 'cut')
      .execute();
    expect(recuts).toHaveLength(4);
  });
});
