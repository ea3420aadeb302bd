import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { brand } from '../../src/domain/process/ids.js';
import type { ApplicationSlug, IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf, processesOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { startFaultyProxy } from './support/faulty-proxy.js';
import type { FaultyProxy } from './support/faulty-proxy.js';
import {
  cut,
  evidenceOf,
  inDirectory,
  joined,
  replaced,
  resolve,
  taskOf,
  tasksOf,
  visitsOf,
  withoutBadge,
} from './support/people.js';
import { atRest } from './support/rest.js';

describe('what a target says, and what is proven', () => {
  let world: World;
  let proxy: FaultyProxy;

  beforeAll(async () => {
    proxy = await startFaultyProxy();
    world = await createWorld({
      policy: (files) =>
        withoutBadge(
          replaced(files, 'directory.yaml', ['env:TENURE_SANDBOX_SCIM_URL', `${proxy.url}/scim/v2`]).map((file) => ({
            ...file,
            // The ERP of this world has no canary at all.
            text: file.path.endsWith('erp.yaml') ? file.text.replace(/^canaryLogin: .*\n/m, '') : file.text,
          })),
        ),
    });
    proxy.forwardTo(world.directory.url);
  });
  afterAll(async () => {
    await world?.stop();
    await proxy?.stop();
  });

  afterEach(() => world.directory.behave({}));

  async function cutVerdicts(id: IdentityId) {
    const rows = await evidenceOf(world, id, 'cut');
    return rows.map((row) => `${row.application} ${row.check} ${row.verdict} ${row.code ?? ''}`);
  }

  /** The leaver has asked a person, is not over, and claims nothing. */
  async function expectOpen(id: IdentityId): Promise<void> {
    expect((await visitsOf(world, id, 'cut')).map((visit) => visit.status)).not.toContain('settled');
    const leaver = (await processesOf(world, id)).find((row) => row.kind === 'leaver');
    expect(leaver).toMatchObject({ state: 'running', outcome: null });
  }

  async function retryAndExpectProven(id: IdentityId): Promise<void> {
    // Each phase asks for itself, and the second one may do so a moment after the first was answered.
    await eventually(async () => {
      for (const task of await tasksOf(world, id)) await resolve(world, task, 'retry');
      await atRest(world, [id], 1_000);
      return true;
    }, 'rest after every retry');
    expect((await visitsOf(world, id, 'cut')).map((visit) => visit.outcome)).toEqual(['proven']);
    expect((await cutVerdicts(id)).slice(-3)).toEqual(
      expect.arrayContaining(['directory state proven ok', 'directory sign-in proven 401 disabled']),
    );
    const leaver = (await processesOf(world, id)).find((row) => row.kind === 'leaver');
    expect(leaver?.state).toBe('tail');
  }

  it('a target that answers 200 and does nothing is refuted by reading, and proven after it was mended', async () => {
    const id = await joined(world, 'i');
    world.directory.behave({ ignoreWrites: true });
    await cut(world, 'i');
    const task = await taskOf(world, id, 'mismatch:status');
    expect(task).toMatchObject({ kind: 'visit', application: 'directory' });
    expect(await cutVerdicts(id)).toContain('directory state refuted mismatch:status');
    expect((await cutVerdicts(id)).filter((one) => one.includes('sign-in proven'))).toEqual([]);
    expect(await inDirectory(world, 'pi.')).toMatchObject([{ active: true }]);
    await expectOpen(id);
    world.directory.behave({});
    await retryAndExpectProven(id);
    expect(await inDirectory(world, 'pi.')).toMatchObject([{ active: false }]);
  });

  it('a target that reports disabled and lets the sign-in through is refuted by the sign-in', async () => {
    const id = await joined(world, 's');
    world.directory.behave({ signInIgnoresActive: true });
    await cut(world, 's');
    expect(await taskOf(world, id, 'sign-in-accepted')).toMatchObject({ kind: 'visit', application: 'directory' });
    const verdicts = await cutVerdicts(id);
    expect(verdicts).toContain('directory state proven ok');
    expect(verdicts).toContain('directory sign-in refuted sign-in-accepted');
    await expectOpen(id);
    world.directory.behave({});
    await retryAndExpectProven(id);
  });

  it('a target that answers "wrong password" proves nothing and refutes nothing', async () => {
    const id = await joined(world, 'h');
    world.directory.behave({ signInHidesReason: true });
    await cut(world, 'h');
    expect(await taskOf(world, id, 'sign-in-wrong-secret')).toMatchObject({ kind: 'visit', application: 'directory' });
    const verdicts = await cutVerdicts(id);
    expect(verdicts).toContain('directory state proven ok');
    expect(verdicts).toContain('directory sign-in pending sign-in-wrong-secret');
    expect(verdicts.join()).not.toMatch(/sign-in (proven|refuted)/);
    await expectOpen(id);
    world.directory.behave({});
    await retryAndExpectProven(id);
  });

  it('a refused sign-in counts only while the canary gets in', async () => {
    const id = await joined(world, 'k');
    const canary = (await world.directory.store.users({ userName: 'tenure-canary' }))[0];
    if (canary === undefined) throw new Error('no canary');
    const state = { userName: canary.userName, externalId: canary.externalId ?? undefined, resource: canary.resource };
    await world.directory.store.writeUser(canary.id, { ...state, active: false }, undefined);
    world.deps.canaryAnswers.clear();
    await cut(world, 'k');
    expect(await taskOf(world, id, 'canary-disabled')).toMatchObject({ kind: 'visit', application: 'directory' });
    expect(await cutVerdicts(id)).toContain('directory sign-in pending canary-disabled');
    await expectOpen(id);
    await world.directory.store.writeUser(canary.id, { ...state, active: true }, undefined);
    await retryAndExpectProven(id);
  });

  it('an application without a canary is cut and never called proven', async () => {
    const id = await joined(world, 'n', { attributes: { department: 'Sales' } });
    await cut(world, 'n');
    const task = await taskOf(world, id, 'canary-unknown');
    expect(task).toMatchObject({ application: 'erp' });
    const verdicts = await cutVerdicts(id);
    expect(verdicts).toContain('erp state proven ok');
    expect(verdicts).toContain('erp sign-in pending canary-unknown');
    expect(verdicts).toContain('directory sign-in proven 401 disabled');
    await resolve(world, task, 'done-by-hand');
    await atRest(world, [id]);
    const erp = (await visitsOf(world, id, 'cut')).find((visit) => visit.application === 'erp');
    expect(erp?.outcome).toBe('by-hand');
    expect(await cutVerdicts(id)).toContain('erp attested proven by-hand');
    expect((await cutVerdicts(id)).join()).not.toContain('erp sign-in proven');
  });

  it('a target whose reads lag is waited for outside the sweep, and is no mismatch', async () => {
    proxy.fault('pl.', { kind: 'lagging-reads', ms: 1_500 });
    const id = identityOf(await world.hr(hire(world, 'l', { startOn: day(-10) })));
    await atRest(world, [id]);
    await cut(world, 'l');
    const alone = await eventually(async () => {
      const [row] = await world.deps.db
        .selectFrom('process')
        .select('workflow_id')
        .where('identity_id', '=', id)
        .where('kind', '=', 'leaver')
        .execute();
      if (row === undefined) return undefined;
      const { pendingActivities } = (await world.client.workflow.getHandle(row.workflow_id).describe()).raw;
      return pendingActivities?.find((one) => one.activityType?.name === 'runSingleVisit');
    }, 'a visit outside the sweep');
    expect(alone.activityType?.name).toBe('runSingleVisit');
    await atRest(world, [id]);
    expect(proxy.felt()['lagging-reads']).toBeGreaterThan(0);
    expect(await tasksOf(world, id)).toEqual([]);
    expect((await evidenceOf(world, id)).filter((row) => row.verdict !== 'proven')).toEqual([]);
    expect((await visitsOf(world, id, 'cut')).map((visit) => visit.outcome)).toEqual(['proven']);
    // One account, although the target did not show it at first.
    const made = await inDirectory(world, 'pl.');
    expect(made).toHaveLength(1);
    const effects = await world.directory.store.effects({});
    expect(effects.filter((one) => one.targetId === made[0]?.id && one.operation === 'create')).toHaveLength(1);
  });

  it('what was seen is kept encrypted, with its hash', async () => {
    const rows = await world.deps.db
      .selectFrom('evidence')
      .select(['seen', 'seen_hash', 'identity_id'])
      .where('application', '=', brand<ApplicationSlug>('directory'))
      .execute();
    expect(rows.length).toBeGreaterThan(10);
    for (const row of rows) {
      expect(row.seen_hash).toMatch(/^[0-9a-f]{64}$/);
      expect(row.seen.toString('latin1')).not.toMatch(/active|userName|Test/);
    }
  });
});
