import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { DAY_MS, processOf, skip } from '../time/skipping.js';
import { createWorld, eventually, processesOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { createDesk, withDesk } from './support/desk.js';
import { cut, inDirectory, joined, resolve, taskOf, tasksOf, visitsOf } from './support/people.js';
import { atRest } from './support/rest.js';

const MINUTE_MS = 60_000;

describe('what a leaver leaves behind, tier by tier', () => {
  const desk = createDesk();
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ registry: desk.registry, policy: withDesk });
    await joined(world, 'boss');
  });
  afterAll(() => world?.stop());
  afterEach(() => {
    desk.lie();
  });

  /** Somebody with second factors, leases and possessions, who works for boss. */
  async function filled(person: string, change: Record<string, unknown> = {}): Promise<IdentityId> {
    const id = await joined(world, person, { manager: 'boss', ...change });
    desk.fill(`p${person}.`);
    return id;
  }

  const deskEvidence = (id: IdentityId) =>
    world.deps.db
      .selectFrom('evidence')
      .innerJoin('process', 'process.process_id', 'evidence.process_id')
      .select(['operation_key', 'check_kind', 'verdict', 'evidence.code', 'deadline_at', 'at', 'effective_at'])
      .where('evidence.identity_id', '=', id)
      .where('application', '=', 'desk' as never)
      .where('process.kind', '=', 'leaver')
      .orderBy('at')
      .execute();

  const verdicts = async (id: IdentityId) =>
    (await deskEvidence(id)).map((row) => `${row.check_kind} ${row.verdict} ${row.code ?? ''}`);

  async function retried(id: IdentityId): Promise<void> {
    await eventually(async () => {
      for (const task of await tasksOf(world, id)) await resolve(world, task, 'retry');
      await atRest(world, [id], 1_000);
      return true;
    }, 'rest after the retry');
  }

  it('takes keys, takes back what was borrowed, hands over what was owned, and proves each by the list of the target', async () => {
    const id = await filled('all');
    const before = desk.accountOf('pboss.').owned;
    await cut(world, 'all');
    await atRest(world, [id]);
    await eventually(
      async () => ((await verdicts(id)).includes('delivery proven delivered') ? true : undefined),
      'the handover',
    );
    expect(await verdicts(id)).toEqual(
      expect.arrayContaining([
        'sign-in proven disabled',
        'sessions proven ok',
        'credentials proven ok',
        'privileges proven ok',
        'ownership proven ok',
        'forwarding proven ok',
        'delivery proven delivered',
      ]),
    );
    const account = desk.accountOf('pall.');
    expect(account).toMatchObject({ enabled: false, privileges: 0, owned: 0 });
    expect([...account.credentials]).toEqual([]);
    expect(desk.accountOf('pboss.').owned).toBe(before + 2);
    const boss = `pboss.test${world.tag}@example.com`;
    expect(account.forwarding).toEqual({
      to: boss,
      keepsCopy: false,
      autoReply: { subject: 'No longer here', text: `Pall Test${world.tag} has left. Please write to ${boss}.` },
    });
  });

  it('stores the deadline of each operation with its evidence, as policy has it', async () => {
    const id = await filled('due');
    await cut(world, 'due');
    await atRest(world, [id]);
    const rows = await eventually(async () => {
      const found = await deskEvidence(id);
      return found.some((row) => row.check_kind === 'forwarding') ? found : undefined;
    }, 'the handover');
    const allowed = new Map(
      rows.map((row) => [
        row.check_kind,
        Math.round((Date.parse(row.deadline_at ?? '') - Date.parse(row.effective_at)) / MINUTE_MS),
      ]),
    );
    expect(Object.fromEntries(allowed)).toMatchObject({
      'sign-in': 1,
      sessions: 1,
      credentials: 5,
      privileges: 60,
      ownership: 24 * 60,
      forwarding: 24 * 60,
    });
    expect(rows.filter((row) => row.deadline_at === null || row.at > row.deadline_at)).toEqual([]);
  });

  it.each([
    { lie: 'revokeCredentials', phase: 'cut', code: 'credentials-left', check: 'credentials' },
    { lie: 'checkIn', phase: 'deprovision', code: 'privileges-left', check: 'privileges' },
    { lie: 'transferOwned', phase: 'handover', code: 'still-owns', check: 'ownership' },
    { lie: 'setForwarding', phase: 'handover', code: 'forwarding-differs', check: 'forwarding' },
  ] as const)('catches a target that says done to $lie and does nothing', async ({ lie, phase, code, check }) => {
    const person = lie.toLowerCase();
    const id = await filled(person);
    desk.lie(lie);
    await cut(world, person);
    const task = await taskOf(world, id, code);
    expect(task).toMatchObject({ kind: 'visit', application: 'desk' });
    expect(await verdicts(id)).toContain(`${check} refuted ${code}`);
    const [visit] = (await visitsOf(world, id, phase)).filter((one) => one.application === 'desk');
    expect(visit?.status).not.toBe('settled');
    // Whatever one target says, access ends at the others.
    await eventually(async () => {
      const others = (await visitsOf(world, id, 'cut')).filter((one) => one.application === 'directory');
      return others[0]?.outcome === 'proven' ? true : undefined;
    }, 'the cut of the directory');
    expect(await inDirectory(world, `p${person}.`)).toMatchObject([{ active: false }]);
    if (phase === 'handover') {
      await eventually(async () => {
        const leaver = (await processesOf(world, id)).find((row) => row.kind === 'leaver');
        return leaver?.state === 'tail' ? true : undefined;
      }, 'the retention beside the handover');
    }
    desk.lie();
    await retried(id);
    // A handover goes on beside the retention: the process rests before it is over.
    await eventually(async () => {
      const last = (await verdicts(id)).filter((one) => one.startsWith(check)).at(-1);
      return last === `${check} proven ok` ? true : undefined;
    }, `the proof of ${check}`);
  });

  it('gives its canary what the target asks of an account, again when it was lost', async () => {
    const id = await filled('strict');
    desk.accountOf('desk-canary').attributes['title'] = null;
    world.deps.canaryAnswers.clear();
    await cut(world, 'strict');
    await eventually(
      async () => ((await verdicts(id)).includes('sign-in proven disabled') ? true : undefined),
      'the proof by sign-in',
    );
    expect(desk.accountOf('desk-canary').attributes['title']).toBe('Canary');
    await atRest(world, [id]);
  });

  it('asks a person to whom things go when no manager works here, while access is gone', async () => {
    const id = await filled('alone', { manager: null });
    await cut(world, 'alone');
    const task = await taskOf(world, id, 'manual-fulfilment');
    expect(task).toMatchObject({ kind: 'manual', application: 'desk' });
    expect(desk.accountOf('palone.')).toMatchObject({ enabled: false, owned: 2 });
    await eventually(async () => {
      const leaver = (await processesOf(world, id)).find((row) => row.kind === 'leaver');
      return leaver?.state === 'tail' ? true : undefined;
    }, 'retention');
    await resolve(world, task, 'done-by-hand');
    await eventually(
      async () =>
        (await verdicts(id)).filter((one) => one === 'attested proven by-hand').length === 2 ? true : undefined,
      'two attested operations',
    );
  });

  it('climbs to the next manager when the first one has left, too', async () => {
    const middle = await joined(world, 'middle', { manager: 'boss' });
    const id = await filled('climb', { manager: 'middle' });
    await cut(world, 'middle');
    await atRest(world, [middle]);
    const before = desk.accountOf('pboss.').owned;
    await cut(world, 'climb');
    await eventually(async () => (desk.accountOf('pboss.').owned === before + 2 ? true : undefined), 'the transfer');
    await atRest(world, [id]);
    expect(desk.accountOf('pmiddle.').owned).toBe(0);
  });

  it('makes an account anonymous at its end; one that only says so is caught, and the proof is owed even after the link is closed', async () => {
    const id = await filled('last');
    const native = desk.accountOf('plast.').ref.nativeId;
    await cut(world, 'last');
    const tail = await processOf(world, id, 'leaver', (row) => row.state === 'tail' && row.due_at !== null);
    desk.lie('anonymise');
    await skip(world, tail.workflow_id, 91 * DAY_MS);
    const task = await taskOf(world, id, 'still-named');
    expect(await verdicts(id)).toContain('anonymity refuted still-named');
    expect(desk.target.accounts.get(native)?.login).toContain('plast.');
    desk.lie();
    await resolve(world, task, 'retry');
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    expect((await verdicts(id)).filter((one) => one.startsWith('anonymity')).at(-1)).toBe('anonymity proven ok');
    expect(desk.target.accounts.get(native)?.login).not.toContain('plast.');
    const linked = await world.deps.db
      .selectFrom('account')
      .select('account_id')
      .where('identity_id', '=', id)
      .where('application', '=', 'desk' as never)
      .where('unlinked_at', 'is', null)
      .execute();
    expect(linked).toEqual([]);
  });
});
