import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { brand } from '../../src/domain/process/ids.js';
import type { ApplicationSlug, IdentityId } from '../../src/domain/process/ids.js';
import { identityWorkflowId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf, processesOf } from '../support/world.js';
import type { ProcessView, World } from '../support/world.js';
import { readTargets, stillOpen } from './support/at-targets.js';
import {
  changed,
  cut,
  evidenceOf,
  inDirectory,
  joined,
  replaced,
  resolve,
  taskOf,
  tasksOf,
  withoutBadge,
} from './support/people.js';
import { atRest } from './support/rest.js';

describe('lives that do not go as planned', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({
      // Nobody is told of a contract's end here: test/time/contract-end.test.ts.
      policy: (files) => withoutBadge(replaced(files, 'lifecycle.yaml', ['warnDays: [30, 14, 3]', 'warnDays: []'])),
    });
  });
  afterAll(() => world?.stop());

  function withdrawn(person: string, corrects: string, version = 1): Record<string, unknown> {
    return {
      source: 'hr',
      eventId: `${corrects}-withdrawn`,
      version,
      person,
      employment: `${person}-1`,
      kind: 'withdraw',
      corrects,
    };
  }

  function notice(person: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      source: 'hr',
      eventId: `${person}-end`,
      person,
      employment: `${person}-1`,
      kind: 'end',
      lastWorkingDay: day(20),
      noticeOn: day(-1),
      manner: 'voluntary',
      ...fields,
    };
  }

  async function waits(id: IdentityId, kind: string, blockedOn: string): Promise<ProcessView> {
    return eventually(
      async () => {
        const rows = await processesOf(world, id);
        const row = rows.find((one) => one.kind === kind && one.state === 'running' && one.blocked_on === blockedOn);
        if (row === undefined) throw new Error(JSON.stringify(rows));
        return row;
      },
      `${kind} that waits for ${blockedOn}`,
      20_000,
    );
  }

  async function ended(id: IdentityId, kind: string, state: string): Promise<ProcessView> {
    return eventually(
      async () => {
        const rows = await processesOf(world, id);
        const row = rows.find((one) => one.kind === kind && one.state === state);
        if (row === undefined) throw new Error(JSON.stringify(rows));
        return row;
      },
      `${kind} ${state}`,
      20_000,
    );
  }

  async function groupsOf(login: string): Promise<readonly string[]> {
    const [user] = await inDirectory(world, login);
    const groups = await world.directory.store.groups({ member: user?.id ?? '' });
    return groups.map((group) => group.displayName).sort();
  }

  async function effectsOn(login: string): Promise<readonly string[]> {
    const [user] = await inDirectory(world, login);
    const effects = await world.directory.store.effects({});
    return effects.filter((one) => one.targetId === user?.id && one.changed).map((one) => one.operation);
  }

  it('a hire rescinded before anything was made leaves nothing', async () => {
    const id = identityOf(await world.hr(hire(world, 'ra', { startOn: day(30) })));
    await world.hr(withdrawn('ra', 'ra-hire'));
    await atRest(world, [id]);
    const targets = await readTargets(world);
    expect([...targets.directory, ...targets.wiki].filter((user) => user.externalId === id)).toEqual([]);
    expect(targets.erp.filter((account) => account.external_id === id)).toEqual([]);
    expect(await world.deps.db.selectFrom('visit').select('visit_id').where('identity_id', '=', id).execute()).toEqual(
      [],
    );
  });

  it('a hire rescinded after its accounts were prepared is undone, seen to be absent, and keeps the name blocked', async () => {
    const id = identityOf(await world.hr(hire(world, 'rb', { startOn: day(2) })));
    await waits(id, 'joiner', 'date');
    expect(await inDirectory(world, 'prb.')).toMatchObject([{ active: false }]);
    await world.hr(withdrawn('rb', 'rb-hire'));
    expect(await ended(id, 'rescinded-hire', 'completed')).toMatchObject({ outcome: 'undone' });
    await atRest(world, [id]);
    expect(await inDirectory(world, 'prb.')).toEqual([]);
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'prb.' }])).toEqual([]);
    const absence = (await evidenceOf(world, id)).filter((row) => row.check === 'absence');
    expect(absence).toMatchObject([{ application: 'directory', verdict: 'proven' }]);
    const names = await world.deps.db
      .selectFrom('name_reservation')
      .select(['released_at', 'blocked_until'])
      .where('identity_id', '=', id)
      .execute();
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      expect(name.released_at).not.toBeNull();
      expect((name.blocked_until ?? '') > `${new Date().getUTCFullYear() + 4}`).toBe(true);
    }
    const namesake = await joined(world, 'rc', { attributes: { givenName: 'Prb' } });
    const taken = (await readTargets(world)).directory.find((user) => user.externalId === namesake);
    expect(taken?.userName).not.toBe(`prb.test${world.tag}`);
  });

  it('a start date that moves takes the prepared account along', async () => {
    const id = identityOf(await world.hr(hire(world, 'sm', { startOn: day(2) })));
    await waits(id, 'joiner', 'date');
    const [prepared] = await inDirectory(world, 'psm.');
    await world.hr(hire(world, 'sm', { startOn: day(3), version: 2 }));
    await eventually(async () => {
      const row = await world.deps.db
        .selectFrom('process')
        .select('effective_at')
        .where('identity_id', '=', id)
        .executeTakeFirstOrThrow();
      return row.effective_at.startsWith(day(3)) ? true : undefined;
    }, 'the later start');
    expect(await inDirectory(world, 'psm.')).toMatchObject([{ id: prepared?.id, active: false }]);
    await world.hr(hire(world, 'sm', { startOn: day(-1), version: 3 }));
    await ended(id, 'joiner', 'completed');
    expect(await inDirectory(world, 'psm.')).toMatchObject([{ id: prepared?.id, active: true }]);
    expect((await processesOf(world, id)).map((row) => row.kind)).toEqual(['joiner']);
  });

  it('an end withdrawn during notice cuts nothing', async () => {
    const id = await joined(world, 'cn');
    await world.hr(notice('cn'));
    await waits(id, 'leaver', 'date');
    await world.hr(withdrawn('cn', 'cn-end'));
    await ended(id, 'leaver', 'cancelled');
    await atRest(world, [id]);
    expect(await inDirectory(world, 'pcn.')).toMatchObject([{ active: true }]);
    expect(await effectsOn('pcn.')).not.toContain('disable');
    expect(await groupsOf('pcn.')).toEqual(['all-staff', 'engineering']);
  });

  it('notice can turn into an immediate cut at any minute', async () => {
    const id = await joined(world, 'ni');
    await world.hr(notice('ni'));
    await waits(id, 'leaver', 'date');
    await cut(world, 'ni', { eventId: 'ni-end', version: 2 });
    await ended(id, 'leaver', 'tail');
    await atRest(world, [id]);
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'pni.' }])).toEqual([]);
    expect(await inDirectory(world, 'pni.')).toMatchObject([{ active: false }]);
    expect((await processesOf(world, id)).filter((row) => row.kind === 'leaver')).toHaveLength(1);
  });

  it('a contract is extended and then ends', async () => {
    const contract = { worker: 'contractor', startOn: day(-30), endOn: day(10) };
    const id = await joined(world, 'co', contract);
    const dueOf = async (): Promise<string> => {
      const row = await world.deps.db
        .selectFrom('identity')
        .select('next_due_at')
        .where('identity_id', '=', id)
        .executeTakeFirstOrThrow();
      return row.next_due_at ?? '';
    };
    expect((await dueOf()).slice(0, 10)).toBe(day(11));
    await world.hr(changed('co', 1, { endOn: day(60) }));
    await eventually(async () => ((await dueOf()).startsWith(day(61)) ? true : undefined), 'the later end');
    await atRest(world, [id]);
    expect(await inDirectory(world, 'pco.')).toMatchObject([{ active: true }]);
    await world.hr(changed('co', 2, { effectiveOn: day(-3), endOn: day(-2) }));
    await ended(id, 'leaver', 'tail');
    await atRest(world, [id]);
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'pco.' }])).toEqual([]);
  });

  it('a contractor who becomes an employee keeps every account', async () => {
    const id = await joined(world, 'cv', { worker: 'contractor', startOn: day(-30), endOn: day(60) });
    const [before] = await inDirectory(world, 'pcv.');
    expect(await groupsOf('pcv.')).toEqual(['contractors', 'engineering']);
    await world.hr(changed('cv', 1, { worker: 'employee', endOn: null, effectiveOn: day(-1) }));
    await waits(id, 'conversion', 'grace-period');
    expect(await inDirectory(world, 'pcv.')).toMatchObject([{ id: before?.id, active: true }]);
    expect(await groupsOf('pcv.')).toEqual(['all-staff', 'contractors', 'engineering']);
    const effects = await effectsOn('pcv.');
    expect(effects.filter((one) => one === 'create')).toHaveLength(1);
    expect(effects).not.toContain('disable');
  });

  it('the end of one of two employments takes only what the other does not justify', async () => {
    const id = await joined(world, 'tw', { startOn: day(-60) });
    await world.hr(
      hire(world, 'tw', {
        eventId: 'tw-hire-2',
        employment: 'tw-2',
        startOn: day(-40),
        attributes: { department: 'Sales' },
      }),
    );
    await eventually(async () => {
      const groups = await groupsOf('ptw.');
      return groups.includes('sales') ? groups : undefined;
    }, 'what the second employment gives');
    await atRest(world, [id]);
    // So long ago that the grace period is over.
    await world.hr(notice('tw', { lastWorkingDay: day(-10), noticeOn: day(-30) }));
    await eventually(async () => {
      const groups = await groupsOf('ptw.');
      return groups.includes('engineering') ? undefined : groups;
    }, 'the loss of what only the first employment gave');
    await atRest(world, [id]);
    expect(await groupsOf('ptw.')).toEqual(['all-staff', 'sales']);
    expect(await inDirectory(world, 'ptw.')).toMatchObject([{ active: true }]);
    const erp = (await readTargets(world)).erp.find((account) => account.external_id === id);
    expect(erp).toMatchObject({ enabled: true });
    expect((await processesOf(world, id)).map((row) => row.kind)).not.toContain('leaver');
    expect(await effectsOn('ptw.')).not.toContain('disable');
  });

  it('a move that flips back within its grace period takes nothing away', async () => {
    const id = await joined(world, 'fb', { startOn: day(-60) });
    const before = await effectsOn('pfb.');
    await world.hr(changed('fb', 1, { effectiveOn: day(-3), attributes: { department: 'Sales' } }));
    await waits(id, 'mover', 'grace-period');
    await world.hr(changed('fb', 2, { effectiveOn: day(-2), attributes: { department: 'Engineering' } }));
    await eventually(async () => {
      const rows = await processesOf(world, id);
      return rows.filter((row) => row.kind === 'mover').length === 2 ? true : undefined;
    }, 'the second move');
    await atRest(world, [id]);
    // HR dates both moves back: their grace periods are over at once.
    await world.hr(
      changed('fb', 1, { version: 2, effectiveOn: day(-20), attributes: { department: 'Sales' } }),
      changed('fb', 2, { version: 2, effectiveOn: day(-19), attributes: { department: 'Engineering' } }),
    );
    await eventually(async () => {
      const rows = await processesOf(world, id);
      return rows.every((row) => row.state !== 'running') ? true : undefined;
    }, 'the end of both grace periods');
    expect(await groupsOf('pfb.')).toEqual(['all-staff', 'engineering']);
    const since = (await effectsOn('pfb.')).slice(before.length);
    // Sales came and went; what she always had never went.
    expect(since.filter((one) => one === 'member-remove')).toHaveLength(1);
    expect(since).not.toContain('disable');
  });

  it('two joiners of one name in the same second get a user name each', async () => {
    const names = { attributes: { givenName: 'Twin' } };
    const results = await Promise.all([world.hr(hire(world, 'n1', names)), world.hr(hire(world, 'n2', names))]);
    const ids = results.map(identityOf);
    await atRest(world, ids);
    const users = (await readTargets(world)).directory.filter((user) => ids.some((id) => id === user.externalId));
    expect(users.map((user) => user.active)).toEqual([true, true]);
    expect(new Set(users.map((user) => user.userName.toLowerCase())).size).toBe(2);
    expect(users.map((user) => user.userName)).toContain(`twin.test${world.tag}`);
  });

  it('a do-not-rehire flag stops before any account', async () => {
    const id = await joined(world, 'dr', { startOn: day(-60) });
    await cut(world, 'dr', { lastWorkingDay: day(-30), at: `${day(-30)}T12:00:00.000Z`, doNotRehire: true });
    await ended(id, 'leaver', 'tail');
    await atRest(world, [id]);
    const before = await effectsOn('pdr.');
    await world.hr(hire(world, 'dr', { eventId: 'dr-again', employment: 'dr-2', startOn: day(-1) }));
    const task = await taskOf(world, id, 'flag-set');
    expect(task.kind).toBe('do-not-rehire');
    expect(await inDirectory(world, 'pdr.')).toMatchObject([{ active: false }]);
    await resolve(world, task, 'skip');
    expect(await ended(id, 'rehire', 'completed')).toMatchObject({ outcome: 'stopped-by-flag' });
    expect(await effectsOn('pdr.')).toEqual(before);
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'pdr.' }])).toEqual([]);
  });

  it('fifty changes in a minute are few processes and a short history', async () => {
    const id = await joined(world, 'st', { startOn: day(-60) });
    const storm = Array.from({ length: 50 }, (_, n) =>
      changed('st', n, { effectiveOn: day(-40 + Math.floor(n / 2)), attributes: { title: `Title ${n}` } }),
    );
    await Promise.all(storm.map((record) => world.hr(record)));
    await atRest(world, [id]);
    const [user] = await inDirectory(world, 'pst.');
    expect(user?.resource['title']).toMatch(/^Title 4[89]$/);
    const ran = await world.deps.db
      .selectFrom('process')
      .select('workflow_id')
      .where('identity_id', '=', id)
      .where('started_at', 'is not', null)
      .execute();
    expect(ran.length).toBeLessThanOrEqual(12);
    let events = 0;
    for (const workflowId of [identityWorkflowId(id), ...ran.map((row) => row.workflow_id)])
      events += (await world.client.workflow.getHandle(workflowId).describe()).historyLength;
    expect(events).toBeLessThan(1_000);
    expect(await tasksOf(world, id)).toEqual([]);
  });

  it('an end withdrawn after the cut gives back the same account', async () => {
    const id = await joined(world, 'wc');
    const [before] = await inDirectory(world, 'pwc.');
    await cut(world, 'wc');
    await ended(id, 'leaver', 'tail');
    expect(await inDirectory(world, 'pwc.')).toMatchObject([{ active: false }]);
    await world.hr(withdrawn('wc', 'wc-end'));
    await ended(id, 'rehire', 'completed');
    await atRest(world, [id]);
    expect(await inDirectory(world, 'pwc.')).toMatchObject([{ id: before?.id, active: true }]);
    expect(await groupsOf('pwc.')).toEqual(['all-staff', 'engineering']);
    expect(await ended(id, 'leaver', 'superseded')).toBeDefined();
  });

  it('an end moved into the future after the cut gives access back until then', async () => {
    const id = await joined(world, 'mf');
    const [before] = await inDirectory(world, 'pmf.');
    await cut(world, 'mf');
    await ended(id, 'leaver', 'tail');
    await world.hr(notice('mf', { version: 2, noticeOn: day(10) }));
    await ended(id, 'rehire', 'completed');
    await atRest(world, [id]);
    expect(await inDirectory(world, 'pmf.')).toMatchObject([{ id: before?.id, active: true }]);
    expect(await groupsOf('pmf.')).toEqual(['all-staff', 'engineering']);
    const account = await world.deps.db
      .selectFrom('account')
      .select(['status', 'sealed'])
      .where('identity_id', '=', id)
      .where('application', '=', brand<ApplicationSlug>('directory'))
      .executeTakeFirstOrThrow();
    expect(account).toEqual({ status: 'enabled', sealed: false });
    // The queue looks once more after the last process has ended, and then knows what comes next.
    await eventually(async () => {
      const { next_due_at: next } = await world.deps.db
        .selectFrom('identity')
        .select('next_due_at')
        .where('identity_id', '=', id)
        .executeTakeFirstOrThrow();
      return next?.slice(0, 10) === day(10) ? true : undefined;
    }, 'the end that was moved');
  });
});
