import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import type { IdentityId, Instant, ProcessId } from '../../src/domain/process/ids.js';
import { makeReport } from '../../src/report/make-report.js';
import type { ReportAction, TerminationReport } from '../../src/report/types.js';
import { DAY_MS, processOf, skip } from '../time/skipping.js';
import { createWorld, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { createDesk, withDesk } from './support/desk.js';
import type { Lie } from './support/desk.js';
import { cut, joined, replaced, resolve, tasksOf } from './support/people.js';

/** A row of the leaver's table, a target that pretends to have done it, and the words that it is caught with. */
interface Row {
  readonly row: string;
  readonly lie: Lie;
  readonly operation: string;
  readonly code: string;
  /** Open: asked again and again, and nothing was found yet. */
  readonly state: 'refuted' | 'pending' | 'open';
  /** Of Tier 4: days later, in skipped time. */
  readonly atEnd?: 'archive' | 'anonymise';
}

const ROWS: readonly Row[] = [
  { row: 'disable', lie: 'seal', operation: 'seal', code: 'mismatch:status', state: 'refuted' },
  { row: 'disable, seen by sign-in', lie: 'letIn', operation: 'seal', code: 'sign-in-accepted', state: 'refuted' },
  { row: 'reset password', lie: 'keepSecret', operation: 'seal', code: 'sign-in-wrong-secret', state: 'pending' },
  { row: 'sessions', lie: 'revokeSessions', operation: 'revoke-sessions', code: 'sessions-open', state: 'refuted' },
  {
    row: 'second factors and keys',
    lie: 'revokeCredentials',
    operation: 'revoke-credentials',
    code: 'credentials-left',
    state: 'refuted',
  },
  {
    row: 'one key of two',
    lie: 'keepKey',
    operation: 'revoke-credentials',
    code: 'credentials-left',
    state: 'refuted',
  },
  {
    row: 'memberships',
    lie: 'removeMember',
    operation: 'remove-entitlement',
    code: 'mismatch:entitlement',
    state: 'refuted',
  },
  { row: 'privileged access', lie: 'checkIn', operation: 'check-in', code: 'privileges-left', state: 'refuted' },
  { row: 'ownership', lie: 'transferOwned', operation: 'transfer-ownership', code: 'still-owns', state: 'refuted' },
  {
    row: 'forwarding',
    lie: 'setForwarding',
    operation: 'set-forwarding',
    code: 'forwarding-differs',
    state: 'refuted',
  },
  {
    row: 'auto-reply',
    lie: 'autoReply',
    operation: 'set-forwarding',
    code: 'message-on-its-way',
    state: 'open',
  },
  { row: 'archive', lie: 'archive', operation: 'archive', code: 'not-archived', state: 'refuted', atEnd: 'archive' },
  {
    row: 'anonymise',
    lie: 'anonymise',
    operation: 'anonymise',
    code: 'still-named',
    state: 'refuted',
    atEnd: 'anonymise',
  },
];

/** A group to be taken out of, an archive, and a person asked within seconds where a target is asked again. */
function leaving(files: PolicyFiles): PolicyFiles {
  const desk = replaced(withDesk(files), 'desk.yaml', ['archive: none', 'archive: archive']);
  const patient = replaced(desk, 'lifecycle.yaml', ['visitPatience: 15m', 'visitPatience: 2s']);
  return replaced(patient, 'all-staff.yaml', [
    '  - { application: desk }\n',
    '  - { application: desk, entitlement: staff }\n',
  ]);
}

describe('a leaver whose target pretends, row by row of the table', () => {
  const desk = createDesk();
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ registry: desk.registry, policy: leaving });
    await joined(world, 'boss');
  }, 180_000);
  afterAll(() => world?.stop());
  afterEach(() => {
    desk.lie();
  });

  async function reportOf(processId: ProcessId): Promise<TerminationReport> {
    const { db, keys } = world.deps;
    const report = await makeReport(db, keys, processId, new Date().toISOString() as Instant);
    if (report === undefined) throw new Error('no leaver');
    return report;
  }
  const named = (report: TerminationReport, operation: string): ReportAction | undefined =>
    report.actions.find((one) => one.application === 'desk' && one.operation === operation);
  const leaverOf = async (id: IdentityId): Promise<ProcessId> => {
    const row = await world.deps.db
      .selectFrom('process')
      .select('process_id')
      .where('identity_id', '=', id)
      .where('kind', '=', 'leaver')
      .executeTakeFirst();
    if (row === undefined) throw new Error('no leaver yet');
    return row.process_id;
  };

  it.each(ROWS)(
    '$row: caught ($code), raised, open in the report; the rest is proven',
    async (row) => {
      const person = row.lie.toLowerCase();
      const id = await joined(world, person, { manager: 'boss' });
      desk.fill(`p${person}.`);
      if (row.atEnd === undefined) desk.lie(row.lie);
      await cut(world, person);
      if (row.atEnd !== undefined) {
        const tail = await processOf(world, id, 'leaver', (one) => one.state === 'tail' && one.due_at !== null);
        desk.lie(row.lie);
        await skip(world, tail.workflow_id, (row.atEnd === 'archive' ? 31 : 91) * DAY_MS);
      }
      const processId = await eventually(() => leaverOf(id), 'the leaver');
      const task = await eventually(
        async () => (await tasksOf(world, id)).find((one) => one.code === row.code),
        `a person is asked about ${row.code}`,
        60_000,
      );
      expect(task).toMatchObject({ kind: 'visit', application: 'desk' });
      const caught = await reportOf(processId);
      const action = named(caught, row.operation);
      expect([action?.state, action?.provenAt]).toEqual([row.state, null]);
      expect(['open', 'missed']).toContain(action?.deadline);
      if (row.state !== 'open') expect(action?.checks.map((one) => one.code)).toContain(row.code);
      expect(caught.decisions).toContainEqual(
        expect.objectContaining({ application: 'desk', code: row.code, resolution: null }),
      );
      expect(caught.summary.unproven).toBeGreaterThan(0);
      // Nobody else waits for the liar: what is planned elsewhere is proven, and nothing here is said to be wrong beside it.
      await eventually(async () => {
        const others = (await reportOf(processId)).actions.filter((one) => one.application !== 'desk');
        return others.length > 0 && others.every((one) => one.state === 'proven') ? true : undefined;
      }, 'the proof of the others');
      const wrong = (await reportOf(processId)).actions.filter((one) => ['refuted', 'unprovable'].includes(one.state));
      expect(wrong.filter((one) => one.operation !== row.operation)).toEqual([]);

      desk.lie();
      await eventually(
        async () => {
          for (const open of await tasksOf(world, id)) await resolve(world, open, 'retry');
          const now = named(await reportOf(processId), row.operation);
          return now?.state === 'proven' ? true : undefined;
        },
        'the proof after the target was mended',
        60_000,
      );
    },
    120_000,
  );
});

describe('deadlines and days of the policy', () => {
  const desk = createDesk();
  let world: World;
  beforeAll(async () => {
    // A second for Tier 1, three days to the archive and nine to the deletion, instead of a minute, thirty and ninety.
    const policy = (files: PolicyFiles): PolicyFiles =>
      replaced(
        replaced(leaving(files), 'desk.yaml', ['delete: anonymise', 'delete: delete']),
        'lifecycle.yaml',
        ['T1: { deadline: 60s', 'T1: { deadline: 1s'],
        ['archiveAfterDays: 30', 'archiveAfterDays: 3'],
        ['deleteAfterDays: 90', 'deleteAfterDays: 9'],
      );
    world = await createWorld({ registry: desk.registry, policy });
    await joined(world, 'boss');
  }, 180_000);
  afterAll(() => world?.stop());
  afterEach(() => {
    desk.lie();
    world.directory.behave({});
  });

  const reportOf = async (processId: ProcessId): Promise<TerminationReport> => {
    const { db, keys } = world.deps;
    const report = await makeReport(db, keys, processId, new Date().toISOString() as Instant);
    if (report === undefined) throw new Error('no leaver');
    return report;
  };
  const leaver = (id: IdentityId) => processOf(world, id, 'leaver', () => true);

  it('a dead target is open and then missed, and stays missed when it is proven late; the others are met', async () => {
    const id = await joined(world, 'late', { manager: 'boss' });
    desk.fill('plate.');
    world.directory.behave({ refuse: { status: 503 } });
    await cut(world, 'late');
    const { process_id: processId } = await leaver(id);
    const closing = (report: TerminationReport) =>
      report.actions.find((one) => one.application === 'directory' && one.operation === 'seal');
    const missed = await eventually(async () => {
      const report = await reportOf(processId);
      return closing(report)?.deadline === 'missed' ? report : undefined;
    }, 'a deadline that passes');
    expect(closing(missed)).toMatchObject({ state: 'open', provenAt: null });
    expect(missed.summary.missed).toBeGreaterThan(0);
    const given = Date.parse(closing(missed)?.deadlineAt ?? '') - Date.parse(missed.knownAt ?? '');
    expect(given).toBe(1_000);
    // Keys have minutes at the desk, whatever the directory does.
    const atDesk = await eventually(async () => {
      const keys = (await reportOf(processId)).actions.find((one) => one.operation === 'revoke-credentials');
      return keys?.state === 'proven' ? keys : undefined;
    }, 'the desk');
    expect(atDesk).toMatchObject({ deadline: 'met' });
    world.directory.behave({});
    const late = await eventually(
      async () => {
        for (const open of await tasksOf(world, id)) await resolve(world, open, 'retry');
        const report = await reportOf(processId);
        return closing(report)?.state === 'proven' ? report : undefined;
      },
      'the late proof',
      60_000,
    );
    expect(closing(late)?.deadline).toBe('missed');
  }, 120_000);

  it('an account that is said to be deleted is seen at the target on the ninth day; then the link closes and the name stays reserved', async () => {
    const id = await joined(world, 'undead', { manager: 'boss' });
    const { login } = desk.accountOf('pundead.');
    await cut(world, 'undead');
    const tail = await processOf(world, id, 'leaver', (one) => one.state === 'tail' && one.due_at !== null);
    desk.lie('delete');
    await skip(world, tail.workflow_id, 10 * DAY_MS);
    const task = await eventually(
      async () => (await tasksOf(world, id)).find((one) => one.code === 'mismatch:existence'),
      'a person is asked',
      60_000,
    );
    const { db } = world.deps;
    const link = () =>
      db
        .selectFrom('account')
        .select(['archived', 'unlinked_at'])
        .where('identity_id', '=', id)
        .where('application', '=', 'desk' as never)
        .executeTakeFirstOrThrow();
    const state = async () =>
      (await reportOf(tail.process_id)).actions.find((one) => one.application === 'desk' && one.operation === 'delete')
        ?.state;
    expect([await state(), desk.target.byLogin(login) === undefined]).toEqual(['refuted', false]);
    expect((await link()).archived).toBe(true);
    desk.lie();
    await resolve(world, task, 'retry');
    await processOf(world, id, 'leaver', (one) => one.state === 'completed');
    expect([await state(), desk.target.byLogin(login)]).toEqual(['proven', undefined]);
    expect((await link()).unlinked_at).not.toBeNull();
    const reserved = await db.selectFrom('name_reservation').selectAll().where('identity_id', '=', id).execute();
    expect(reserved.map((one) => one.scope).sort()).toEqual(['mail', 'user-name']);
    for (const one of reserved)
      expect(Date.parse(one.blocked_until ?? '')).toBeGreaterThan(Date.now() + 1_000 * DAY_MS);
  }, 120_000);
});
