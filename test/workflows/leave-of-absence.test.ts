import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, processesOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { withoutHands } from '../time/people.js';
import { cut, evidenceOf, inDirectory, joined, resolve, taskOf, tasksOf } from './support/people.js';
import { readTargets, stillOpen } from './support/at-targets.js';
import { atRest } from './support/rest.js';

describe('a leave of absence', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ policy: withoutHands });
  });
  afterAll(() => world?.stop());
  afterEach(() => world.directory.behave({}));

  const says = (person: string, event: string, kind: string, fields: object) =>
    world.hr({ source: 'hr', eventId: `${person}-${event}`, person, employment: `${person}-1`, kind, ...fields });
  const leaves = (person: string, fields: object = {}) =>
    says(person, 'leave', 'leave', { startOn: day(-1), expectedEndOn: day(60), ...fields });
  const returns = (person: string, fields: object = {}) => says(person, 'back', 'return', { on: day(0), ...fields });

  const financier = (person: string) => joined(world, person, { attributes: { department: 'Finance' } });
  /** The person's last process of a kind has ended so. */
  const ended = (id: IdentityId, kind: string, outcome: string) =>
    eventually(async () => {
      const rows = (await processesOf(world, id)).filter((row) => row.kind === kind);
      if (rows.at(-1)?.outcome === outcome) return rows;
      throw new Error(JSON.stringify(rows));
    }, `${kind}: ${outcome}`);
  const inErp = async (person: string) =>
    (await readTargets(world)).erp.find((account) => account.login.startsWith(`p${person}.`));
  const suspensions = (id: IdentityId) =>
    world.deps.db
      .selectFrom('suspension')
      .innerJoin('account', 'account.account_id', 'suspension.account_id')
      .select(['account.application', 'suspension.found', 'suspension.outcome'])
      .where('suspension.identity_id', '=', id)
      .orderBy('account.application')
      .execute();
  /** Past Tenure, in the ERP's own tables. */
  async function disabledByAdmin(person: string): Promise<void> {
    const client = new pg.Client({ connectionString: world.erp.ownerUrl });
    await client.connect();
    try {
      const login = (await inErp(person))?.login ?? '';
      await client.query('update erp.accounts set enabled = false where login = $1', [login]);
      await client.query(`alter role ${client.escapeIdentifier(login)} nologin`);
    } finally {
      await client.end();
    }
    expect(await inErp(person)).toMatchObject({ enabled: false });
  }
  const isActive = async (person: string) => [
    (await inDirectory(world, `p${person}.`))[0]?.active,
    (await inErp(person))?.enabled,
  ];

  it('closes every account with the proof of a cut, and its end opens them again with a new credential', async () => {
    const id = await financier('la');
    const { token } = await signedIn('la', id);
    await leaves('la');
    await ended(id, 'leave-start', 'suspended');
    expect(await isActive('la')).toEqual([false, false]);
    // The same as is asked of a cut: nothing is open, and no secret that Tenure knows lets anybody in.
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'pla.' }])).toEqual([]);
    expect(await world.directory.store.sessionUser(token)).toBeUndefined();
    const proofs = await evidenceOf(world, id, 'suspend');
    expect(proofs.filter((one) => one.verdict !== 'proven')).toEqual([]);
    for (const check of ['state', 'sign-in', 'sessions'])
      expect(proofs.map((one) => `${one.application} ${one.check}`)).toContain(`directory ${check}`);
    expect(await suspensions(id)).toEqual([
      { application: 'directory', found: 'enabled', outcome: null },
      { application: 'erp', found: 'enabled', outcome: null },
    ]);
    const groups = async () => {
      const [user] = await inDirectory(world, 'pla.');
      return (await world.directory.store.groups({ member: user?.id ?? '' })).map((group) => group.displayName).sort();
    };
    expect(await groups()).toEqual(['all-staff', 'finance']);

    await returns('la');
    await ended(id, 'leave-end', 'resumed');
    expect(await isActive('la')).toEqual([true, true]);
    expect(await groups()).toEqual(['all-staff', 'finance']);
    expect((await suspensions(id)).map((row) => row.outcome)).toEqual(['opened', 'opened']);
    await signedIn('la', id);
    await atRest(world, [id]);
  });

  /** Signs in at the directory with the newest first credential, as the person would. */
  async function signedIn(person: string, id: IdentityId): Promise<{ readonly token: string }> {
    const { db, keys } = world.deps;
    const row = await db
      .selectFrom('credential_handover')
      .select('secret')
      .where('identity_id', '=', id)
      .where('application', '=', 'directory' as never)
      .orderBy('created_at', 'desc')
      .executeTakeFirstOrThrow();
    const secret = await keys.decryptFor(db, id, 'handover/directory', row.secret ?? Buffer.alloc(0));
    const [user] = await inDirectory(world, `p${person}.`);
    const answer = await world.directory.store.signIn(user?.userName ?? '', secret as string, false);
    if (!('token' in answer)) throw new Error(answer.error);
    return answer;
  }

  it('leaves alone what an administrator had closed before: closed it stays', async () => {
    const id = await financier('ad');
    await disabledByAdmin('ad');
    await leaves('ad');
    await ended(id, 'leave-start', 'suspended');
    expect((await suspensions(id)).map((row) => row.application)).toEqual(['directory']);
    expect((await evidenceOf(world, id, 'suspend')).filter((one) => one.application === 'erp')).toMatchObject([
      { verdict: 'proven', code: 'found-disabled' },
    ]);
    await returns('ad');
    await ended(id, 'leave-end', 'resumed');
    expect(await isActive('ad')).toEqual([true, false]);
  });

  it('that is a short one does nothing', async () => {
    const id = await financier('sh');
    await leaves('sh', { expectedEndOn: day(5) });
    await atRest(world, [id]);
    expect((await processesOf(world, id)).map((row) => row.kind)).toEqual(['joiner']);
    expect(await isActive('sh')).toEqual([true, true]);
    // HR extends it: now it is an extended one.
    await leaves('sh', { version: 2, expectedEndOn: day(50) });
    await ended(id, 'leave-start', 'suspended');
    expect(await isActive('sh')).toEqual([false, false]);
  });

  it('taken back by HR opens what it closed, and a return taken back closes it again', async () => {
    const id = await financier('tb');
    await leaves('tb');
    await ended(id, 'leave-start', 'suspended');
    await says('tb', 'off', 'withdraw', { corrects: 'tb-leave', version: 2 });
    await ended(id, 'leave-end', 'resumed');
    expect(await isActive('tb')).toEqual([true, true]);
    await leaves('tb', { version: 3 });
    await eventually(async () => ((await isActive('tb')).some((one) => one === true) ? undefined : true), 'closed');
    await returns('tb');
    await ended(id, 'leave-end', 'resumed');
    await says('tb', 'not-back', 'withdraw', { corrects: 'tb-back', version: 2 });
    await ended(id, 'leave-start', 'suspended');
    await atRest(world, [id]);
    expect(await isActive('tb')).toEqual([false, false]);
    await returns('tb', { version: 3 });
    await eventually(async () => ((await isActive('tb')).every((one) => one === true) ? true : undefined), 'open');
    await atRest(world, [id]);
    expect(await isActive('tb')).toEqual([true, true]);
  });

  it('is nothing any more when the person leaves: the cut wins, and no return opens anything', async () => {
    const id = await financier('lv');
    await leaves('lv');
    await ended(id, 'leave-start', 'suspended');
    await cut(world, 'lv');
    await eventually(async () => {
      const rows = await processesOf(world, id);
      return rows.some((row) => row.kind === 'leaver' && row.state === 'tail') ? true : undefined;
    }, 'the cut');
    await returns('lv');
    await atRest(world, [id]);
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'plv.' }])).toEqual([]);
  });

  it('gives what was granted meanwhile, and not what was taken, when it ends', async () => {
    const id = await joined(world, 'mv');
    await leaves('mv');
    await ended(id, 'leave-start', 'suspended');
    await says('mv', 'move', 'change', { effectiveOn: day(-1), attributes: { department: 'Finance' } });
    await eventually(async () => {
      const rows = await processesOf(world, id);
      return rows.some((row) => row.kind === 'mover' && row.blocked_on !== null) ? true : undefined;
    }, 'the mover');
    await eventually(async () => (await inErp('mv')) ?? undefined, 'an account made during the leave');
    await atRest(world, [id]);
    expect(await isActive('mv')).toEqual([false, false]);
    await returns('mv');
    await ended(id, 'leave-end', 'resumed');
    expect(await isActive('mv')).toEqual([true, true]);
  });

  it('of a target that pretends is a person’s question: to have closed, and to have opened', async () => {
    const id = await financier('pr');
    world.directory.behave({ ignoreWrites: true });
    await leaves('pr');
    const closing = await taskOf(world, id, 'mismatch:status');
    expect(await evidenceOf(world, id, 'suspend')).toEqual(
      expect.arrayContaining([expect.objectContaining({ application: 'directory', verdict: 'refuted' })]),
    );
    expect((await processesOf(world, id)).find((row) => row.kind === 'leave-start')).toMatchObject({ outcome: null });
    world.directory.behave({});
    await resolve(world, closing, 'retry');
    await ended(id, 'leave-start', 'suspended');
    expect(await isActive('pr')).toEqual([false, false]);

    world.directory.behave({ ignoreWrites: true });
    await returns('pr');
    const opening = await taskOf(world, id, 'mismatch:status');
    expect((await processesOf(world, id)).find((row) => row.kind === 'leave-end')).toMatchObject({ outcome: null });
    expect((await isActive('pr'))[0]).toBe(false);
    world.directory.behave({});
    await resolve(world, opening, 'retry');
    await ended(id, 'leave-end', 'resumed');
    expect(await isActive('pr')).toEqual([true, true]);
  });

  it('whose closing is still in trouble is overtaken by the return', async () => {
    const id = await financier('ov');
    world.directory.behave({ ignoreWrites: true });
    await leaves('ov');
    await taskOf(world, id, 'mismatch:status');
    await returns('ov');
    world.directory.behave({});
    await ended(id, 'leave-end', 'resumed');
    await atRest(world, [id]);
    expect(await tasksOf(world, id)).toEqual([]);
    expect((await processesOf(world, id)).find((row) => row.kind === 'leave-start')).toMatchObject({
      state: 'cancelled',
      outcome: 'overtaken',
    });
    expect(await isActive('ov')).toEqual([true, true]);
  });
});
