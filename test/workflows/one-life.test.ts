import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { createWorld, day, eventually, hire, identityOf, settled } from '../support/world.js';
import type { World } from '../support/world.js';
import { brand } from '../../src/domain/process/ids.js';
import type { ApplicationSlug, IdentityId } from '../../src/domain/process/ids.js';

/** What the directory itself says of a login, past Tenure's own tables. */
async function atDirectory(world: World, login: string) {
  const users = await world.directory.store.users();
  return users.find((user) => user.userName === login);
}

describe('one life, end to end, on real targets', () => {
  let world: World;
  let id: IdentityId;
  let login: string;
  let nativeId: string;

  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world?.stop());

  const change = (n: number, fields: Record<string, unknown>) => ({
    source: 'hr',
    eventId: `a-change-${n}`,
    person: 'a',
    employment: 'a-1',
    kind: 'change',
    effectiveOn: day(-5),
    ...fields,
  });
  const verdicts = () =>
    world.deps.db
      .selectFrom('evidence')
      .select(['application', 'operation_key', 'check_kind', 'verdict', 'phase'])
      .where('identity_id', '=', id)
      .execute();

  it('a joiner is provisioned, enabled and proven', async () => {
    id = identityOf(await world.hr(hire(world, 'a', { startOn: day(-10) })));
    const rows = await settled(world, id, (all) => all.some((row) => row.state === 'completed'));
    expect(rows).toMatchObject([{ kind: 'joiner', outcome: 'provisioned' }]);
    login = `pa.test${world.tag}`;
    const user = await atDirectory(world, login);
    expect(user).toMatchObject({ active: true });
    nativeId = user?.id ?? '';
    expect((await verdicts()).every((row) => row.verdict === 'proven')).toBe(true);
  });

  it('a mover gains access in a second application and asks the manager for what is sensitive', async () => {
    await world.hr(hire(world, 'boss', { eventId: 'boss-hire' }));
    await world.hr(change(1, { attributes: { department: 'Finance' }, manager: 'boss' }));
    const approval = await eventually(
      () =>
        world.deps.db
          .selectFrom('approval')
          .innerJoin('process', 'process.process_id', 'approval.process_id')
          .select(['approval_id', 'approver_identity_id', 'workflow_id', 'entitlement_key'])
          .where('approval.identity_id', '=', id)
          .where('approval.status', '=', 'pending')
          .executeTakeFirst(),
      'an approval',
    );
    expect(approval.entitlement_key).toBe('erp/payments-approver');
    const decision = { approvalId: approval.approval_id, decisionId: randomUUID(), verdict: 'approved' as const };
    await expect(world.lifecycle.decideApproval(approval.workflow_id, { ...decision, decidedBy: id })).rejects.toThrow(
      'NotYourDecision',
    );
    const boss = approval.approver_identity_id;
    if (boss === null) throw new Error('nobody was asked');
    await world.lifecycle.decideApproval(approval.workflow_id, { ...decision, decidedBy: boss });
    await expect(
      world.lifecycle.decideApproval(approval.workflow_id, { ...decision, decisionId: randomUUID(), decidedBy: boss }),
    ).rejects.toThrow('AlreadyDecided');
    const account = await eventually(async () => {
      const row = await world.deps.db
        .selectFrom('account')
        .select('entitlements')
        .where('identity_id', '=', id)
        .where('application', '=', brand<ApplicationSlug>('erp'))
        .executeTakeFirst();
      return row?.entitlements.includes('payments-approver') === true ? row : undefined;
    }, 'the approved entitlement');
    expect(account.entitlements.sort()).toEqual(['ledger', 'payments-approver']);
  });

  it('a name change renames the same account', async () => {
    await world.hr(change(2, { attributes: { familyName: `Changed${world.tag}` } }));
    const renamed = `pa.changed${world.tag}`;
    await eventually(async () => atDirectory(world, renamed), 'the rename');
    expect((await atDirectory(world, renamed))?.id).toBe(nativeId);
    expect(await atDirectory(world, login)).toBeUndefined();
    login = renamed;
  });

  it('a cut disables everything, proven by a refused sign-in', async () => {
    await world.hr({
      source: 'hr',
      eventId: 'a-end',
      person: 'a',
      employment: 'a-1',
      kind: 'end',
      lastWorkingDay: day(-3),
      at: `${day(-3)}T12:00:00.000Z`,
      manner: 'immediate',
    });
    await settled(world, id, (rows) => rows.some((row) => row.kind === 'leaver' && row.state === 'tail'));
    expect(await atDirectory(world, login)).toMatchObject({ active: false });
    const cut = (await verdicts()).filter((row) => row.phase === 'cut');
    expect(cut.filter((row) => row.check_kind === 'sign-in').map((row) => [row.application, row.verdict])).toEqual(
      expect.arrayContaining([
        ['directory', 'proven'],
        ['erp', 'proven'],
      ]),
    );
    expect(cut.every((row) => row.verdict === 'proven')).toBe(true);
  });

  it('a rehire opens the former account again, without its old entitlements', async () => {
    await world.hr(
      hire(world, 'a', {
        eventId: 'a-rehire',
        employment: 'a-2',
        startOn: day(0),
        attributes: { familyName: `Changed${world.tag}`, department: 'Engineering' },
      }),
    );
    const rows = await settled(world, id, (all) =>
      all.some((row) => row.kind === 'rehire' && row.state === 'completed'),
    );
    expect(rows.find((row) => row.kind === 'leaver')).toMatchObject({ state: 'superseded', outcome: 'rehired' });
    expect(await atDirectory(world, login)).toMatchObject({ id: nativeId, active: true });
    const account = await world.deps.db
      .selectFrom('account')
      .select(['entitlements', 'application'])
      .where('identity_id', '=', id)
      .where('application', '=', brand<ApplicationSlug>('directory'))
      .executeTakeFirstOrThrow();
    expect(account.entitlements.sort()).toEqual(['all-staff', 'engineering']);
  });
});
