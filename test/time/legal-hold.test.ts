import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { liftHold, setHold } from '../../src/api/identities/legal-hold.js';
import type { ApiDeps } from '../../src/api/deps.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { Connector } from '../../src/connectors/connector.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, leaves, withoutHands } from './people.js';
import { DAY_MS, MINUTE_MS, processOf, skipTo, timeIn } from './skipping.js';

/** Runs what a test has to say just before a connector begins a deletion: later than every look before, earlier than the fence. */
function interrupted(before: (application: string) => Promise<void>): ConnectorRegistry {
  const shipped = createShippedRegistry();
  return {
    ...shipped,
    create(kind, application, config, deps) {
      const inner = shipped.create(kind, application, config, deps);
      return new Proxy(inner, {
        get(target, name) {
          const found: unknown = Reflect.get(target, name);
          if (typeof found !== 'function') return found;
          const method = found.bind(target) as (...given: unknown[]) => unknown;
          if (name !== 'delete') return method;
          return async (...given: Parameters<NonNullable<Connector['delete']>>) => {
            await before(application);
            return method(...given);
          };
        },
      });
    },
  };
}

describe('a legal hold, in skipped time on the real server', () => {
  let world: World;
  let door: ApiDeps;
  let beforeDelete: (application: string) => Promise<void> = async () => undefined;
  beforeAll(async () => {
    world = await createWorld({
      registry: interrupted((application) => beforeDelete(application)),
      policy: withoutHands,
    });
    door = {
      ...world.deps,
      dispatcher: world.dispatcher,
      now: () => new Date().toISOString() as Instant,
    } as unknown as ApiDeps;
  });
  afterAll(() => world?.stop());

  const hold = (identityId: IdentityId) =>
    setHold(door, { identityId, actor: 'legal', reason: 'a claim', reference: 'case 7' });
  const lift = (identityId: IdentityId) => liftHold(door, { identityId, actor: 'legal', reason: 'settled' });

  async function leaver(person: string, id: IdentityId): Promise<string> {
    await leaves(world, person, { manner: 'immediate', lastWorkingDay: day(0) });
    return (await processOf(world, id, 'leaver', (row) => row.state === 'tail')).workflow_id;
  }

  /** What the targets themselves hold, past Tenure's own tables. */
  async function atTargets(person: string) {
    const filter = { userName: `p${person}.test${world.tag}` };
    const [directory, wiki] = await Promise.all([world.directory.store.users(filter), world.wiki.store.users(filter)]);
    return {
      directory: directory.map((user) => ({ active: user.active, archived: user.resource['userType'] === 'archived' })),
      wiki: wiki.map((user) => user.active),
    };
  }
  const destroyed = (id: IdentityId) =>
    world.deps.db
      .selectFrom('visit')
      .select(['application', 'phase', 'wrote_at', 'outcome'])
      .where('identity_id', '=', id)
      .where('phase', 'in', ['archive', 'delete'])
      .where('wrote_at', 'is not', null)
      .execute();
  const waits = (id: IdentityId) => processOf(world, id, 'leaver', (row) => row.blocked_on === 'legal-hold');

  it('set before the end lets the cut go on, and nothing is archived or deleted until it is lifted', async () => {
    const id = await joined(world, 'early');
    await hold(id);
    const workflow = await leaver('early', id);
    expect((await atTargets('early')).directory).toEqual([{ active: false, archived: false }]);

    await skipTo(world, workflow, (await timeIn(world, workflow)) + 100 * DAY_MS);
    await waits(id);
    expect((await atTargets('early')).directory).toEqual([{ active: false, archived: false }]);
    expect(await destroyed(id)).toEqual([]);

    await lift(id);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect(await atTargets('early')).toEqual({ directory: [], wiki: [] });
    expect((await destroyed(id)).length).toBeGreaterThan(1);
  });

  it('set during the wait stops what is to come, and says why in row, query and details', async () => {
    const id = await joined(world, 'mid');
    const workflow = await leaver('mid', id);
    const start = await timeIn(world, workflow);
    await skipTo(world, workflow, start + 40 * DAY_MS);
    await eventually(
      async () => ((await atTargets('mid')).directory[0]?.archived === true ? true : undefined),
      'archive',
    );
    await hold(id);
    const before = await destroyed(id);
    await skipTo(world, workflow, start + 120 * DAY_MS);
    await waits(id);
    expect(await world.client.workflow.getHandle(workflow).query('progress')).toMatchObject({
      waitingFor: 'legal-hold',
    });
    expect(await destroyed(id)).toEqual(before);
    expect((await atTargets('mid')).directory).toHaveLength(1);

    await lift(id);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect((await atTargets('mid')).directory).toEqual([]);
  });

  it('holds up no look: at +90 d, too, an account that came back is found, cut again and kept', async () => {
    const id = await joined(world, 'watched');
    await hold(id);
    const workflow = await leaver('watched', id);
    const cutAt = await timeIn(world, workflow);
    const looks = async () => {
      const rows = await world.deps.db
        .selectFrom('evidence')
        .select(['code', 'verdict', 'at'])
        .where('identity_id', '=', id)
        .where('application', '=', 'directory' as never)
        .where('phase', '=', 'cut')
        .where('check_kind', '=', 'state')
        .where('at', '>', new Date(cutAt + 60 * DAY_MS).toISOString() as Instant)
        .orderBy('at')
        .execute();
      return rows.map((row) => `${row.verdict} ${row.code ?? ''}`);
    };
    // Past the day on which archiving would have begun: from here on the process waits for the hold alone.
    await skipTo(world, workflow, cutAt + 60 * DAY_MS);
    await waits(id);
    expect(await looks()).toEqual([]);
    const [user] = await world.directory.store.users({ userName: `pwatched.test${world.tag}` });
    const answer = await fetch(`${world.directory.scimUrl}/Users/${user?.id}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
        Operations: [{ op: 'replace', path: 'active', value: true }],
      }),
    });
    expect([answer.ok, (await atTargets('watched')).directory]).toEqual([true, [{ active: true, archived: false }]]);
    await skipTo(world, workflow, cutAt + 90 * DAY_MS + MINUTE_MS / 2);
    const seen = await eventually(async () => {
      const found = await looks();
      return found.length > 1 ? found : undefined;
    }, 'the look and the cut after it');
    expect([seen[0], seen.at(-1)]).toEqual(['refuted came-back', expect.stringMatching(/^proven/)]);
    expect((await atTargets('watched')).directory).toEqual([{ active: false, archived: false }]);
    expect(await destroyed(id)).toEqual([]);
    await waits(id);

    await lift(id);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect((await atTargets('watched')).directory).toEqual([]);
  });

  it.each([
    ['set while deletion runs stops every write that has not begun', true],
    ['is missed by a gate that only looks before: the planted one is seen at the target', false],
  ])('%s', async (_name, isGateWhole) => {
    const person = isGateWhole ? 'late' : 'leak';
    const id = await joined(world, person);
    const workflow = await leaver(person, id);
    let isSet = false;
    beforeDelete = async () => {
      if (isSet) return;
      isSet = true;
      await hold(id);
      // The planted gate: the mark that the fence reads is lost, as if only an earlier look had been made.
      if (!isGateWhole)
        await world.deps.db.updateTable('identity').set({ held_since: null }).where('identity_id', '=', id).execute();
    };
    await skipTo(world, workflow, (await timeIn(world, workflow)) + 90 * DAY_MS + 5 * MINUTE_MS);
    if (!isGateWhole) {
      await eventually(async () => ((await atTargets(person)).directory.length === 0 ? true : undefined), 'the leak');
      beforeDelete = async () => undefined;
      return;
    }
    await waits(id);
    const there = await atTargets(person);
    expect([there.directory.length, (await destroyed(id)).filter((row) => row.phase === 'delete')]).toEqual([1, []]);
    beforeDelete = async () => undefined;
    await lift(id);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect(await atTargets(person)).toEqual({ directory: [], wiki: [] });
  });
});
