import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { setTimeout as delay } from 'node:timers/promises';
import { brand } from '../../src/domain/process/ids.js';
import type { ApplicationSlug, IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, eventually, hire, identityOf, processesOf } from '../support/world.js';
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

/** How long a troubled visit is repeated before a person is asked, in this world. */
const PATIENCE = '8s';
const portal = `
slug: portal
name: Portal
connector: scim
config:
  baseUrl: env:TENURE_SANDBOX_WIKI_URL
  token: env:TENURE_SANDBOX_SCIM_TOKEN
  groups: false
mode: sync
criticality: low
login: account.userName
attributes:
  externalId: person.id
correlation:
  strong: [externalId]
archive: none
delete: none
preStart: false
`;
const portalRole = `
slug: portal-users
name: Portal users
when: employment.department == "Support"
grants:
  - { application: portal, entitlement: editors }
`;

describe('targets in trouble', () => {
  let world: World;
  let proxy: FaultyProxy;

  beforeAll(async () => {
    proxy = await startFaultyProxy();
    world = await createWorld({
      policy: (files) => [
        ...withoutBadge(
          replaced(
            replaced(
              replaced(files, 'directory.yaml', ['env:TENURE_SANDBOX_SCIM_URL', `${proxy.url}/scim/v2`]),
              'erp.yaml',
              ['dependsOn: [directory]\n', ''],
            ),
            'lifecycle.yaml',
            ['visitPatience: 15m', `visitPatience: ${PATIENCE}`],
          ),
        ),
        { path: 'applications/portal.yaml', text: portal },
        { path: 'roles/portal-users.yaml', text: portalRole },
      ],
    });
    proxy.forwardTo(world.directory.url);
  });
  afterAll(async () => {
    await world?.stop();
    await proxy?.stop();
  });
  afterEach(() => world.directory.behave({}));

  const sales = { attributes: { department: 'Sales' } };

  async function hired(person: string, change: Record<string, unknown> = sales): Promise<IdentityId> {
    return identityOf(await world.hr(hire(world, person, change)));
  }

  async function visitOf(id: IdentityId, application: string, phase: string) {
    return (await visitsOf(world, id, phase)).find((visit) => visit.application === application);
  }

  async function visitIs(id: IdentityId, application: string, phase: string, outcome: string): Promise<void> {
    await eventually(async () => {
      const visit = await visitOf(id, application, phase);
      if (visit?.outcome !== outcome) throw new Error(JSON.stringify(visit));
      return true;
    }, `${application} ${outcome}`);
  }

  /** The activity that goes on alone for one process, as Temporal shows it to operators. */
  async function alone(id: IdentityId, kind: 'joiner' | 'leaver') {
    const row = await world.deps.db
      .selectFrom('process')
      .select('workflow_id')
      .where('identity_id', '=', id)
      .where('kind', '=', kind)
      .executeTakeFirstOrThrow();
    const { raw } = await world.client.workflow.getHandle(row.workflow_id).describe();
    return (raw.pendingActivities ?? []).find((one) => one.activityType?.name === 'runSingleVisit');
  }

  it('a hire that is rescinded after its start does not wait for a joiner whose target is down', async () => {
    world.directory.behave({ refuse: { status: 503 } });
    const id = await hired('rescinded');
    await visitIs(id, 'erp', 'activate', 'proven');
    await world.hr({
      source: 'hr',
      eventId: 'rescinded-hire-withdrawn',
      version: 1,
      person: 'rescinded',
      employment: 'rescinded-1',
      kind: 'withdraw',
      corrects: 'rescinded-hire',
    });
    // The ERP, which is there, is undone while the directory is still down.
    await visitIs(id, 'erp', 'undo', 'proven');
    world.directory.behave({});
    await atRest(world, [id]);
    expect((await processesOf(world, id)).map((row) => [row.kind, row.state])).toEqual([
      ['joiner', 'cancelled'],
      ['rescinded-hire', 'completed'],
    ]);
    expect((await world.directory.store.users()).filter((user) => user.externalId === id)).toEqual([]);
  });

  it('a target that is down during a joiner holds up nothing else, and is proven without a person once it is back', async () => {
    world.directory.behave({ refuse: { status: 503 } });
    const id = await hired('d');
    await visitIs(id, 'erp', 'activate', 'proven');
    expect((await visitOf(id, 'directory', 'activate'))?.status).not.toBe('settled');
    const retried = await eventually(async () => {
      const activity = await alone(id, 'joiner');
      return (activity?.attempt ?? 0) >= 2 ? activity : undefined;
    }, 'a second try, alone');
    expect(retried.lastFailure?.applicationFailureInfo).toMatchObject({ type: 'TargetUnavailable' });
    expect((await processesOf(world, id))[0]).toMatchObject({ kind: 'joiner', state: 'running' });
    world.directory.behave({});
    await atRest(world, [id]);
    expect((await processesOf(world, id))[0]).toMatchObject({ state: 'completed', outcome: 'provisioned' });
    const asked = await world.deps.db.selectFrom('operator_task').selectAll().where('identity_id', '=', id).execute();
    expect(asked).toEqual([]);
    expect((await evidenceOf(world, id)).filter((row) => row.verdict !== 'proven')).toEqual([]);
  });

  it('the leaver goes on at every other target while one is down', async () => {
    const id = await joined(world, 'f', sales);
    world.directory.behave({ refuse: { status: 503 } });
    const since = Date.now();
    await cut(world, 'f');
    await visitIs(id, 'erp', 'cut', 'proven');
    expect(Date.now() - since).toBeLessThan(8_000);
    const client = new pg.Client({ connectionString: world.erp.ownerUrl });
    await client.connect();
    const { rows } = await client.query<{ rolcanlogin: boolean }>(
      'select rolcanlogin from pg_roles where rolname like $1',
      [`pf.%${world.tag}`],
    );
    await client.end();
    expect(rows).toEqual([{ rolcanlogin: false }]);
    expect((await visitOf(id, 'directory', 'cut'))?.status).not.toBe('settled');
    const leaver = (await processesOf(world, id)).find((row) => row.kind === 'leaver');
    expect(leaver).toMatchObject({ state: 'running', outcome: null });
    world.directory.behave({});
    for (const task of await tasksOf(world, id)) await resolve(world, task, 'retry');
    await atRest(world, [id]);
    expect((await visitOf(id, 'directory', 'cut'))?.outcome).toBe('proven');
    expect(await inDirectory(world, 'pf.')).toMatchObject([{ active: false }]);
  });

  it('a person is asked when patience ends: retry asks again, skip and done by hand settle with a record', async () => {
    world.directory.behave({ refuse: { status: 503 } });
    const [skipped, byHand] = await Promise.all([hired('p1', {}), hired('p2', {})]);
    const first = await taskOf(world, skipped);
    expect(first).toMatchObject({ kind: 'visit', application: 'directory' });
    await resolve(world, first, 'retry');
    const second = await eventually(
      async () => (await tasksOf(world, skipped)).find((task) => task.taskId !== first.taskId),
      'a second question',
    );
    await resolve(world, second, 'skip');
    await resolve(world, await taskOf(world, byHand), 'done-by-hand');
    await atRest(world, [skipped, byHand]);
    expect((await visitOf(skipped, 'directory', 'activate'))?.outcome).toBe('skipped');
    expect(await evidenceOf(world, skipped)).toEqual([]);
    expect((await visitOf(byHand, 'directory', 'activate'))?.outcome).toBe('by-hand');
    const proofs = await evidenceOf(world, byHand);
    expect(proofs.length).toBeGreaterThan(0);
    expect(proofs.every((row) => row.check === 'attested' && row.code === 'by-hand')).toBe(true);
    const said = await world.deps.db
      .selectFrom('audit')
      .select('action')
      .where('identity_id', '=', skipped)
      .where('action', 'like', 'task.%')
      .orderBy('seq')
      .execute();
    expect(said.map((row) => row.action)).toEqual(['task.opened', 'task.retry', 'task.opened', 'task.skip']);
  });

  it.each([
    // A date has whole seconds only: 3 s ahead is at least 2.
    ['seconds', 'q1', () => '2'],
    ['an HTTP date', 'q2', () => new Date(Date.now() + 3_000).toUTCString()],
  ])('a 429 with Retry-After in %s is not asked again before', async (_form, person, retryAfter) => {
    proxy.fault(`p${person}.`, { kind: 'refuse', status: 429, retryAfter });
    const id = await hired(person, {});
    const times = await eventually(async () => {
      const all = proxy.refusals(`p${person}.`);
      return all.length >= 3 ? all : undefined;
    }, 'three tries');
    await proxy.release(`p${person}.`);
    await atRest(world, [id]);
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(1_900);
    expect((await processesOf(world, id))[0]).toMatchObject({ state: 'completed', outcome: 'provisioned' });
    expect(await tasksOf(world, id)).toEqual([]);
  });

  it('a create whose answer was lost makes one account, not two', async () => {
    proxy.fault('pr.', { kind: 'lose-answers', nth: 0, count: 1 });
    const id = await hired('r', {});
    await atRest(world, [id]);
    expect(proxy.felt()['lose-answers']).toBe(1);
    const made = await inDirectory(world, 'pr.');
    expect(made).toMatchObject([{ active: true }]);
    const effects = await world.directory.store.effects({});
    expect(effects.filter((one) => one.targetId === made[0]?.id && one.operation === 'create')).toHaveLength(1);
    const account = await accountOf(id);
    // Tenure made it, so Tenure may delete it one day.
    expect(account).toMatchObject({ native_id: made[0]?.id });
    expect(account?.created_by_process).not.toBeNull();
  });

  async function accountOf(id: IdentityId) {
    return world.deps.db
      .selectFrom('account')
      .select(['native_id', 'created_by_process', 'status'])
      .where('identity_id', '=', id)
      .where('application', '=', brand<ApplicationSlug>('directory'))
      .where('unlinked_at', 'is', null)
      .executeTakeFirst();
  }

  /** An account that an administrator made at the directory by hand. */
  async function madeByHand(userName: string, employeeNumber: string): Promise<string> {
    const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
    const response = await fetch(`${world.directory.scimUrl}/Users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:User', enterprise],
        userName,
        active: true,
        [enterprise]: { employeeNumber },
      }),
    });
    const body = (await response.json()) as { readonly id: string };
    expect(response.status).toBe(201);
    return body.id;
  }

  it('an account that was there before is adopted on a strong match', async () => {
    const nativeId = await madeByHand(`old-hand-${world.tag}`, `${world.tag}-a`);
    const id = await hired('a', {});
    await atRest(world, [id]);
    expect(await accountOf(id)).toEqual({ native_id: nativeId, created_by_process: null, status: 'enabled' });
    const theirs = (await world.directory.store.users()).filter((user) => user.externalId === id);
    expect(theirs).toMatchObject([{ id: nativeId, userName: `pa.test${world.tag}`, active: true }]);
    await cut(world, 'a');
    await atRest(world, [id]);
    expect((await visitOf(id, 'directory', 'cut'))?.outcome).toBe('proven');
  });

  it('two candidates are a question to a person, and nothing is touched', async () => {
    await madeByHand(`one-hand-${world.tag}`, `${world.tag}-b`);
    await madeByHand(`other-hand-${world.tag}`, `${world.tag}-b`);
    const id = await hired('b', {});
    const task = await taskOf(world, id, 'two-candidates');
    expect(task.application).toBe('directory');
    expect((await world.directory.store.users()).filter((user) => user.externalId === id)).toEqual([]);
    expect(await accountOf(id)).toBeUndefined();
    await resolve(world, task, 'skip');
    await atRest(world, [id]);
  });

  it('what a target cannot do is done by a person, and nothing is called that is not there', async () => {
    const id = await hired('m', { attributes: { department: 'Support' } });
    const task = await taskOf(world, id, 'manual-fulfilment');
    expect(task).toMatchObject({ kind: 'manual', application: 'portal' });
    // What it can do was done and read back before the person was asked.
    const made = (await world.wiki.store.users()).filter((user) => user.externalId === id);
    expect(made).toHaveLength(1);
    await resolve(world, task, 'done-by-hand');
    await atRest(world, [id]);
    expect((await processesOf(world, id))[0]).toMatchObject({ outcome: 'provisioned' });
    const portalProof = (await evidenceOf(world, id)).filter((row) => row.application === 'portal');
    expect(portalProof.map((row) => row.check)).toContain('attested');
  });

  it('a target that never answers writes holds up nobody', async () => {
    proxy.fault('pz.', { kind: 'hang-writes', nth: 0 });
    const [stuck, other] = await Promise.all([hired('z'), hired('y')]);
    await visitIs(other, 'directory', 'activate', 'proven');
    await visitIs(stuck, 'erp', 'activate', 'proven');
    await delay(200);
    expect((await visitOf(stuck, 'directory', 'activate'))?.status).not.toBe('settled');
    await proxy.release('pz.');
    for (const task of await tasksOf(world, stuck)) await resolve(world, task, 'retry');
    await atRest(world, [stuck, other]);
    expect(await inDirectory(world, 'pz.')).toMatchObject([{ active: true }]);
    expect((await processesOf(world, stuck))[0]).toMatchObject({ outcome: 'provisioned' });
  });
});
