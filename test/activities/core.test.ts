import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { openTask } from '../../src/activities/decisions.js';
import { reserveNames } from '../../src/activities/names.js';
import { planPhaseActivity } from '../../src/activities/phase.js';
import { endProcess, openProcess } from '../../src/activities/process.js';
import { advanceQueue, raiseGeneration } from '../../src/activities/queue.js';
import { runSweep } from '../../src/activities/sweep.js';
import type { CutsFirst } from '../../src/activities/lib/cuts-first.js';
import { runVisit } from '../../src/activities/visit/run-visit.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { brand } from '../../src/domain/process/ids.js';
import type { ApplicationSlug, IdentityId, Instant, PlanId, ProcessId } from '../../src/domain/process/ids.js';
import type { Phase } from '../../src/domain/process/kinds.js';
import type { VisitOutcome } from '../../src/domain/process/outcome.js';
import { createWorld, day, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { replaced } from '../workflows/support/people.js';

/** Activities called as a workflow would call them, step by step, so that what comes between two of them is exact. */
describe('what comes between two steps', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({
      withWorkers: false,
      // However busy the machine is: a visit that goes on outside its sweep is another test's matter.
      policy: (files) => replaced(files, 'directory.yaml', ['sweepTimeout: 5s', 'sweepTimeout: 2m']),
    });
  });
  afterAll(() => world?.stop());

  const now = (): Instant => brand<Instant>(new Date().toISOString());
  const look = (identityId: IdentityId) => advanceQueue(world.deps, { identityId, now: now() });
  const beat = { signal: new AbortController().signal, heartbeat: () => undefined, sinceScheduledMs: 0 };

  function refOf(identityId: IdentityId, processId: ProcessId) {
    return { identityId, processId, now: now() };
  }

  function plan(identityId: IdentityId, processId: ProcessId, phase: Phase, planId = randomUUID()) {
    return planPhaseActivity(world.deps, { ...refOf(identityId, processId), phase, planId: brand<PlanId>(planId) });
  }

  async function sweep(planned: Awaited<ReturnType<typeof plan>>): Promise<Map<string, VisitOutcome>> {
    const visitIds = planned.visits.map((visit) => visit.visitId);
    const outcomes = await runSweep(world.deps, { planId: planned.planId, visitIds, now: now() }, beat);
    return new Map(outcomes.map((outcome) => [outcome.application, outcome]));
  }

  async function begin(identityId: IdentityId, kind: string): Promise<ProcessId> {
    const opened = (await look(identityId)).open.find((one) => one.kind === kind);
    if (opened === undefined) throw new Error(`no ${kind} was opened`);
    await openProcess(world.deps, refOf(identityId, opened.processId));
    return opened.processId;
  }

  async function joined(person: string): Promise<IdentityId> {
    const id = identityOf(await world.hr(hire(world, person, { attributes: { department: 'Finance' } })));
    const joiner = await begin(id, 'joiner');
    await reserveNames(world.deps, { ...refOf(id, joiner), renames: false });
    const outcomes = await sweep(await plan(id, joiner, 'activate'));
    expect(outcomes.get('directory')).toMatchObject({ kind: 'settled', outcome: 'proven' });
    await endProcess(world.deps, { ...refOf(id, joiner), state: 'completed', outcome: 'provisioned', amendments: 0 });
    return id;
  }

  const ends = (person: string) =>
    world.hr({
      source: 'hr',
      eventId: `${person}-end`,
      person,
      employment: `${person}-1`,
      kind: 'end',
      lastWorkingDay: day(-1),
      at: new Date().toISOString(),
      manner: 'immediate',
    });

  const isActive = async (person: string) =>
    (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0]?.active;

  it('a cut is not stopped by a newer cut of the same person', async () => {
    const id = await joined('twice');
    await ends('twice');
    const leaver = await begin(id, 'leaver');
    const cut = await plan(id, leaver, 'cut');
    await world.deps.db
      .updateTable('identity')
      .set((eb) => ({ generation: eb('generation', '+', 1) }))
      .where('identity_id', '=', id)
      .execute();
    expect((await sweep(cut)).get('directory')).toMatchObject({ kind: 'settled', outcome: 'proven' });
    expect(await isActive('twice')).toBe(false);
  });

  it('an account that a person made by hand is found at its target before it is cut', async () => {
    const id = await joined('hand');
    await world.deps.db
      .updateTable('account')
      .set({ native_id: `by-hand:${id}` })
      .where('identity_id', '=', id)
      .where('application', '=', brand<ApplicationSlug>('directory'))
      .execute();
    await ends('hand');
    const outcomes = await sweep(await plan(id, await begin(id, 'leaver'), 'cut'));
    expect(outcomes.get('directory')).toMatchObject({ kind: 'settled', outcome: 'proven' });
    expect(await isActive('hand')).toBe(false);
  });

  it('a made-by-hand account that cannot be found is a question, never a proof of absence', async () => {
    const id = await joined('lost');
    await world.deps.db
      .updateTable('account')
      .set({ native_id: `by-hand:${id}`, login: 'nobody-there', attributes: '{}' })
      .where('identity_id', '=', id)
      .where('application', '=', brand<ApplicationSlug>('directory'))
      .execute();
    await ends('lost');
    const outcomes = await sweep(await plan(id, await begin(id, 'leaver'), 'cut'));
    expect(outcomes.get('directory')).toMatchObject({ kind: 'task', code: 'made-by-hand-not-found' });
  });

  it('a plan asked for again looks for unseen accounts again', async () => {
    const id = await joined('again');
    await ends('again');
    const leaver = await begin(id, 'leaver');
    const planId = randomUUID();
    const first = await plan(id, leaver, 'cut', planId);
    expect(first.unseen).toEqual(['wiki']);
    expect(await plan(id, leaver, 'cut', planId)).toEqual(first);
  });

  it('whoever is not cut rests while somebody is, and is read again afterwards', async () => {
    const id = identityOf(await world.hr(hire(world, 'rests')));
    const joiner = await begin(id, 'joiner');
    await reserveNames(world.deps, { ...refOf(id, joiner), renames: false });
    const planned = await plan(id, joiner, 'activate');
    let endCut = (): void => undefined;
    const cut = world.deps.cutsFirst.during(
      () =>
        new Promise<void>((resolve) => {
          endCut = resolve;
        }),
    );
    const outcomes = sweep(planned);
    await delay(500);
    expect(await isActive('rests')).toBeUndefined();
    // What came meanwhile is heard of: nothing of the older plan is carried out.
    await raiseGeneration(world.deps.db, id);
    endCut();
    await cut;
    expect((await outcomes).get('directory')).toMatchObject({ kind: 'settled', outcome: 'stopped' });
    expect(await isActive('rests')).toBeUndefined();
  });

  it('whoever rests between two operations is read again, too', async () => {
    const id = identityOf(await world.hr(hire(world, 'pauses')));
    const joiner = await begin(id, 'joiner');
    await reserveNames(world.deps, { ...refOf(id, joiner), renames: false });
    const { planId, visits } = await plan(id, joiner, 'activate');
    const [visit] = visits.filter((one) => one.application === 'directory');
    let rests = 0;
    const cutsFirst = {
      rest: async () => {
        rests += 1;
        // Before the visit, then behind its first operation.
        if (rests === 2) await raiseGeneration(world.deps.db, id);
        return rests === 2;
      },
    } as unknown as CutsFirst;
    const work = { planId, visitIds: [visit!.visitId], now: now() };
    expect(await runSweep({ ...world.deps, cutsFirst }, work, beat)).toMatchObject([{ outcome: 'stopped' }]);
    expect(rests).toBe(2);
  });

  it('a visit that somebody else has carried out meanwhile is proven by what is there, not by nothing', async () => {
    const id = identityOf(await world.hr(hire(world, 'double')));
    const joiner = await begin(id, 'joiner');
    await reserveNames(world.deps, { ...refOf(id, joiner), renames: false });
    const planned = await plan(id, joiner, 'activate');
    const { visitId } = planned.visits.find((one) => one.application === 'directory')!;
    const row = await world.deps.visitRows.visit(visitId);
    await sweep(planned);
    // The one who carried it out died before the end.
    await world.deps.db
      .updateTable('visit')
      .set({ status: 'running', outcome: null })
      .where('visit_id', '=', visitId)
      .execute();
    const proofs = () =>
      world.deps.db.selectFrom('evidence').select('verdict').where('visit_id', '=', visitId).execute();
    const before = (await proofs()).length;
    const run = { visitId, row: row!, clock: now, signal: beat.signal, progress: () => undefined };
    expect(await runVisit(world.deps, run)).toMatchObject({ kind: 'settled', outcome: 'proven' });
    expect((await proofs()).length).toBe(2 * before);
  });

  it('a look without news waits for no lock, and does what there is to do all the same', async () => {
    const idle = await joined('idle');
    const lookIdly = (identityId: IdentityId) => advanceQueue(world.deps, { identityId, now: now(), hasNews: false });
    const before = await look(idle);
    await world.deps.db.transaction().execute(async (trx) => {
      await trx.selectFrom('identity').select('identity_id').where('identity_id', '=', idle).forUpdate().execute();
      expect(await lookIdly(idle)).toEqual(before);
    });
    await ends('idle');
    expect((await lookIdly(idle)).open).toMatchObject([{ kind: 'leaver', cut: true }]);
  });

  it('an amendment is told until the process has read it', async () => {
    const later = { startOn: day(2) };
    const id = identityOf(await world.hr(hire(world, 'moved', later)));
    const joiner = await begin(id, 'joiner');
    expect((await look(id)).amend).toEqual([]);
    await sweep(await plan(id, joiner, 'provision'));
    const moved = hire(world, 'moved', { startOn: day(3), eventId: 'moved-2', corrects: 'moved-hire', version: 2 });
    expect(await world.hr(moved)).toMatchObject([{ status: 'accepted' }]);
    const told = await look(id);
    expect(told.amend).toHaveLength(1);
    expect(told.isBusy).toBe(true);
    expect((await look(id)).amend).toEqual(told.amend);
    await openProcess(world.deps, refOf(id, joiner));
    expect((await look(id)).amend).toEqual([]);
  });

  it('a question about no visit is not mistaken for that of a visit', async () => {
    const id = await joined('tasks');
    await ends('tasks');
    const leaver = await begin(id, 'leaver');
    const [visit] = (await plan(id, leaver, 'cut')).visits;
    const ask = (more: object) =>
      openTask(world.deps, { ...refOf(id, leaver), kind: 'visit', code: 'planted', ...more });
    const ofVisit = await ask(visit === undefined ? {} : { visitId: visit.visitId });
    const ofNone = await ask({});
    const ofWiki = await ask({ application: 'wiki' });
    expect(new Set([ofVisit.taskId, ofNone.taskId, ofWiki.taskId]).size).toBe(3);
    expect(await ask({})).toEqual(ofNone);
    expect(await ask({ application: 'wiki' })).toEqual(ofWiki);
  });

  it('an account that stood there before is adopted as it is: aligned, its credential left alone', async () => {
    const record = hire(world, 'adopt', { attributes: { department: 'Finance' } });
    const id = identityOf(await world.hr(record));
    const made = await fetch(`${world.directory.scimUrl}/Users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: [
          'urn:ietf:params:scim:schemas:core:2.0:User',
          'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User',
        ],
        userName: `former.${world.tag}`,
        active: true,
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User': { employeeNumber: `${world.tag}-adopt` },
      }),
    });
    expect(made.status).toBe(201);
    const joiner = await begin(id, 'joiner');
    await reserveNames(world.deps, { ...refOf(id, joiner), renames: false });
    expect((await sweep(await plan(id, joiner, 'activate'))).get('directory')).toMatchObject({ kind: 'replan' });
    expect((await sweep(await plan(id, joiner, 'activate'))).get('directory')).toMatchObject({ outcome: 'proven' });
    expect(await world.directory.store.users({ userName: `former.${world.tag}` })).toEqual([]);
    expect(await isActive('adopt')).toBe(true);
    const handovers = await world.deps.db
      .selectFrom('credential_handover')
      .select('application')
      .where('identity_id', '=', id)
      .execute();
    expect(handovers.map((row) => row.application)).not.toContain('directory');
  });

  it('an application that policy dropped is cut and proven by its last word, like any other', async () => {
    const id = await joined('dropped');
    const { files } = await world.deps.db
      .selectFrom('policy_version')
      .select('files')
      .orderBy('version', 'desc')
      .executeTakeFirstOrThrow();
    const without = files
      .filter((file) => !file.path.endsWith('applications/erp.yaml') && !file.path.endsWith('roles/payments.yaml'))
      .map((file) => ({ ...file, text: file.text.replace(/^.*application: erp.*$\n?/gm, '') }));
    await publishPolicy(world.deps.db, without, 'test');
    await ends('dropped');
    const leaver = await begin(id, 'leaver');
    const outcomes = await sweep(await plan(id, leaver, 'cut'));
    expect(outcomes.get('directory')).toMatchObject({ kind: 'settled', outcome: 'proven' });
    expect(outcomes.get('erp')).toMatchObject({ kind: 'settled', outcome: 'proven' });
  });
});
