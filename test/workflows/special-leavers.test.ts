import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callerOf, ensureToken } from '../../src/api/http/tokens.js';
import { verifyAudit } from '../../src/db/audit.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { createWorld, day, eventually, hire, identityOf, processesOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { cut, inDirectory, joined, replaced, resolve, tasksOf, withoutBadge } from './support/people.js';
import { atRest } from './support/rest.js';

describe('leavers on whom others depend', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ policy: withoutBadge });
    const [mail, userName] = [`PFirst.Test${world.tag}@example.com`, `psecond.test${world.tag}`];
    const fallback = `onExpiry: deny\n  fallback: [${mail}, ${userName}]`;
    const { files } = (await world.deps.policies.active(world.deps.db)) ?? { files: [] };
    const administered = replaced(files, 'directory.yaml', ['mode: sync', 'administrators: [sales]\nmode: sync']);
    await publishPolicy(world.deps.db, replaced(administered, 'lifecycle.yaml', ['onExpiry: deny', fallback]), 'test');
  });
  afterAll(() => world?.stop());

  /** Somebody of Finance, whose payments role waits for a manager's yes. */
  async function waiting(person: string, manager: string): Promise<IdentityId> {
    const change = { startOn: day(-10), manager, attributes: { department: 'Finance' } };
    const id = identityOf(await world.hr(hire(world, person, change)));
    await eventually(() => approvalOf(id), 'an approval');
    return id;
  }
  const approvalOf = (id: IdentityId) =>
    world.deps.db
      .selectFrom('approval')
      .innerJoin('process', 'process.process_id', 'approval.process_id')
      .select(['approval_id', 'approver_identity_id as approver', 'approval.status', 'workflow_id'])
      .where('approval.identity_id', '=', id)
      .executeTakeFirst();
  async function decide(id: IdentityId, decidedBy: IdentityId): Promise<unknown> {
    const approval = await approvalOf(id);
    return world.lifecycle.decideApproval(approval?.workflow_id ?? '', {
      approvalId: approval?.approval_id ?? '',
      decisionId: randomUUID(),
      verdict: 'approved',
      decidedBy,
    });
  }
  const addressedTo = (id: IdentityId, approver: IdentityId | null) =>
    eventually(async () => {
      const approval = await approvalOf(id);
      if (approval?.approver === approver && approval.status === 'pending') return true;
      throw new Error(JSON.stringify(approval));
    }, 'the next in line');
  const rolesOf = async (id: IdentityId) => {
    const row = await world.deps.db
      .selectFrom('account')
      .select('entitlements')
      .where('identity_id', '=', id)
      .where('application', '=', 'erp' as never)
      .executeTakeFirst();
    return row?.entitlements ?? [];
  };

  it('an approver: what waits for them goes to the next in line at once, undecided; their own word comes too late', async () => {
    const chief = await joined(world, 'chief');
    const boss = await joined(world, 'boss', { manager: 'chief' });
    const worker = await waiting('worker', 'boss');
    const other = await waiting('other', 'boss');
    expect([(await approvalOf(worker))?.approver, (await approvalOf(other))?.approver]).toEqual([boss, boss]);

    await cut(world, 'boss');
    await Promise.all([addressedTo(worker, chief), addressedTo(other, chief)]);
    await expect(decide(worker, boss)).rejects.toThrow('NotYourDecision');
    expect(await rolesOf(worker)).not.toContain('payments-approver');
    expect((await approvalOf(worker))?.status).toBe('pending');

    await decide(worker, chief);
    await eventually(
      async () => ((await rolesOf(worker)).includes('payments-approver') ? true : undefined),
      'the role',
    );
    const records = await world.deps.db
      .selectFrom('audit')
      .select('action')
      .where('identity_id', '=', worker)
      .where('action', 'like', 'approval.%')
      .orderBy('seq')
      .execute();
    expect(records.map((row) => row.action)).toEqual(['approval.handed-on', 'approval.approved']);
    await atRest(world, [worker]);
    expect((await verifyAudit(world.deps.db, worker)).problems).toEqual([]);

    // Planted: an approval that was left with somebody who has gone. Their yes is refused where it would be written, too.
    await world.deps.db
      .updateTable('approval')
      .set({ approver_identity_id: boss })
      .where('identity_id', '=', other)
      .execute();
    await expect(decide(other, boss)).rejects.toThrow('NotYourDecision');
    expect((await approvalOf(other))?.status).toBe('pending');
  });

  it('with nobody up the line the policy names who decides, never the person themselves; with nobody at all nobody can', async () => {
    const second = await joined(world, 'second');
    const lone = await joined(world, 'lone');
    const first = await waiting('first', 'lone');
    const led = await waiting('led', 'lone');
    await cut(world, 'lone');
    await Promise.all([addressedTo(led, first), addressedTo(first, second)]);
    // Asked for after the manager has gone: addressed to the same from the start.
    const late = await waiting('late', 'lone');
    await addressedTo(late, first);
    for (const id of [led, lone, second]) await expect(decide(led, id)).rejects.toThrow('NotYourDecision');

    await cut(world, 'first');
    await Promise.all([led, late].map((id) => addressedTo(id, second)));
    await cut(world, 'second');
    await Promise.all([led, late].map((id) => addressedTo(id, null)));
    for (const id of [lone, first, second, led]) await expect(decide(led, id)).rejects.toThrow('NotYourDecision');
    expect(await rolesOf(led)).not.toContain('payments-approver');
  });

  /** Who administers the directory: here, as policy has it, the sales group. */
  const administrator = (person: string) => joined(world, person, { attributes: { department: 'Sales' } });
  const incidents = async (id: IdentityId) =>
    (await tasksOf(world, id)).filter((task) => task.kind === 'last-administrator');
  const closed = (id: IdentityId) =>
    eventually(async () => {
      const rows = await processesOf(world, id);
      return rows.some((row) => row.kind === 'leaver' && row.state === 'tail') ? true : undefined;
    }, 'the cut');

  it('the last administrator: access ends on time, and an operator is told which application has nobody left', async () => {
    const [one, two] = [await administrator('one'), await administrator('two')];
    await cut(world, 'one');
    await closed(one);
    expect(await incidents(one)).toEqual([]);

    await cut(world, 'two');
    await closed(two);
    expect(await incidents(two)).toMatchObject([{ application: 'directory', code: 'last-administrator' }]);
    expect(await inDirectory(world, 'ptwo')).toMatchObject([{ active: false }]);
    const { instructions } = await world.deps.db
      .selectFrom('operator_task')
      .select('instructions')
      .where('identity_id', '=', two)
      .where('kind', '=', 'last-administrator')
      .executeTakeFirstOrThrow();
    const words = await world.deps.keys.decryptFor(world.deps.db, two, 'task', instructions ?? Buffer.alloc(0));
    expect(words).toContain('- application: directory\n- administrative: sales');
  });

  it('two who leave together are no help to each other; one whose account is closed at the target is none either', async () => {
    const [left, right] = [await administrator('left'), await administrator('right')];
    await Promise.all([cut(world, 'left'), cut(world, 'right')]);
    await Promise.all([closed(left), closed(right)]);
    expect([...(await incidents(left)), ...(await incidents(right))].length).toBeGreaterThan(0);

    // Planted: a member of the group whose account somebody has closed behind Tenure's back looks like an administrator.
    const [asleep, last] = [await administrator('asleep'), await administrator('last')];
    const [sleeper] = await inDirectory(world, 'pasleep');
    if (sleeper === undefined) throw new Error('nobody sleeps');
    const { externalId, ...state } = sleeper;
    await world.directory.store.writeUser(
      sleeper.id,
      { ...state, externalId: externalId ?? undefined, active: false },
      undefined,
    );
    await cut(world, 'last');
    await closed(last);
    expect(await incidents(last)).toMatchObject([{ application: 'directory' }]);
    expect(await incidents(asleep)).toEqual([]);
  });

  it('is told when notice is given already, and who leaves as the last admin of Tenure is told of with their tokens gone', async () => {
    const id = await administrator('early');
    const token = `early_${randomUUID()}`;
    await ensureToken(world.deps.db, { name: 'early', role: 'admin', identityId: id, token });
    const call = { db: world.deps.db, keys: world.deps.keys };
    const caller = () => callerOf(call, `Bearer ${token}`, new Date().toISOString() as Instant);
    const end = { manner: 'voluntary', at: undefined, noticeOn: day(0), lastWorkingDay: day(20) };
    await cut(world, 'early', end);
    await eventually(async () => ((await incidents(id)).length === 2 ? true : undefined), 'both tasks');
    expect((await incidents(id)).map((task) => task.application).sort()).toEqual(['directory', null]);
    expect(await caller()).toMatchObject({ identityId: id });

    // Somebody is found for the directory; and the notice becomes a cut.
    const heir = await administrator('heir');
    for (const task of await incidents(id)) await resolve(world, task, 'done-by-hand');
    await cut(world, 'early', { eventId: 'early-now' });
    await closed(id);
    expect(await caller()).toBeUndefined();
    expect(await incidents(id)).toMatchObject([{ application: null }]);
    const { revoked_at: revokedAt } = await world.deps.db
      .selectFrom('api_token')
      .select('revoked_at')
      .where('identity_id', '=', id)
      .executeTakeFirstOrThrow();
    expect(revokedAt).not.toBeNull();
    // Whoever starts the server with the same token again does not let them in.
    await ensureToken(world.deps.db, { name: 'early', role: 'admin', identityId: id, token });
    expect(await caller()).toBeUndefined();
    expect(heir).not.toBe(id);
  });
});
