/**
 * Records the histories that replay.test.ts replays: `npm run record-histories` all of them anew; with `-- -t 'under a legal hold'` that one, beside what is there. Not a
 * test: it asserts nothing that a run does not show by itself.
 */
import { afterAll, beforeAll, it } from '@jest/globals';
import { NativeConnection } from '@temporalio/worker';
import { randomUUID } from 'node:crypto';
import { scream } from '../../src/api/service-accounts/change.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import type { ApplicationSlug, IdentityId, Instant } from '../../src/domain/process/ids.js';
import { ensureDueSchedule } from '../../src/worker/due-schedule.js';
import { faultyRegistry } from '../privacy/leaky-registry.js';
import { declared, doorOf, makeService, openTask, operator, says, stands } from '../time/service-accounts.js';
import { DAY_MS, processOf, skip } from '../time/skipping.js';
import { LIFECYCLE_QUEUE } from '../../src/workflows/messages.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, day, doManualTasks, eventually, hire, identityOf, settled } from '../support/world.js';
import type { World } from '../support/world.js';
import { clearHistories, storeHistory } from './histories.js';

// A target that is away for a moment, and one that refuses: visits on their own and an operator task are in the histories, too.
const faults = faultyRegistry({
  erp: [
    { operation: 'create', when: 'before', attempt: 1, fault: { kind: 'error', code: 'UNAVAILABLE' } },
    { operation: 'seal', when: 'before', attempt: 1, fault: { kind: 'error', code: 'FORBIDDEN' } },
  ],
});
let world: World;
let native: NativeConnection;

beforeAll(async () => {
  world = await createWorld({ registry: faults.registry });
  native = await NativeConnection.connect({ address: world.address });
});
afterAll(async () => {
  await native?.close();
  await world?.stop();
});

const TYPES: Readonly<Record<string, string>> = {
  joiner: 'joinerWorkflow',
  rehire: 'rehireWorkflow',
  mover: 'moverWorkflow',
  'name-change': 'moverWorkflow',
  leaver: 'leaverWorkflow',
  'rescinded-hire': 'leaverWorkflow',
  'leave-start': 'leaveWorkflow',
  'leave-end': 'leaveWorkflow',
  migration: 'migrationWorkflow',
};

async function store(workflow: string, name: string, workflowId: string): Promise<void> {
  const history = await world.client.workflow.getHandle(workflowId).fetchHistory();
  storeHistory({ workflow, name, workflowId, history });
}

async function storeProcess(id: IdentityId, kind: keyof typeof TYPES, name: string): Promise<void> {
  const row = await world.deps.db
    .selectFrom('process')
    .select('workflow_id')
    .where('identity_id', '=', id)
    .where('kind', '=', kind as 'joiner')
    .orderBy('opened_at', 'desc')
    .executeTakeFirstOrThrow();
  await store(TYPES[kind] ?? kind, name, row.workflow_id);
}

type Row = Awaited<ReturnType<typeof settled>>[number];
const reached = (id: IdentityId, kind: string, is: (row: Row) => boolean) =>
  settled(world, id, (rows) => rows.some((row) => row.kind === kind && is(row)));

const completed = (row: Row): boolean => row.state === 'completed';

const said = (person: string, kind: string, event: string, fields: object) =>
  world.hr({ source: 'hr', eventId: `${person}-${event}`, person, employment: `${person}-1`, kind, ...fields });

/** Joins, moves, is cut and comes back; the queue's own history goes along. */
async function oneLife(): Promise<void> {
  const id = identityOf(await world.hr(hire(world, 'life', { startOn: day(-5) })));
  await reached(id, 'joiner', completed);
  await storeProcess(id, 'joiner', 'immediate');
  await said('life', 'change', 'name', { effectiveOn: day(-3), attributes: { familyName: `Other${world.tag}` } });
  await reached(id, 'name-change', completed);
  await storeProcess(id, 'name-change', 'name-change');
  await said('life', 'change', 'move', { effectiveOn: day(0), attributes: { department: 'Sales' } });
  await reached(id, 'mover', (row) => row.blocked_on === 'grace-period');
  await storeProcess(id, 'mover', 'waits-for-grace');
  await said('life', 'change', 'move', { version: 2, effectiveOn: day(0), attributes: { department: 'Engineering' } });
  await eventually(async () => {
    const { plans } = await world.deps.db
      .selectFrom('plan')
      .innerJoin('process', 'process.process_id', 'plan.process_id')
      .select((eb) => eb.fn.countAll<string>().as('plans'))
      .where('process.identity_id', '=', id)
      .where('process.kind', '=', 'mover')
      .executeTakeFirstOrThrow();
    return Number(plans) > 1 ? true : undefined;
  }, 'a mover that plans again');
  await reached(id, 'mover', (row) => row.blocked_on === 'grace-period');
  await storeProcess(id, 'mover', 'amended-in-grace');
  await said('life', 'end', 'end', { lastWorkingDay: day(0), manner: 'immediate' });
  await reached(id, 'leaver', (row) => row.state === 'tail');
  await world.hr(
    hire(world, 'life', {
      eventId: 'life-again',
      employment: 'life-2',
      startOn: day(0),
      attributes: { familyName: `Other${world.tag}` },
    }),
  );
  await reached(id, 'rehire', completed);
  await storeProcess(id, 'rehire', 'stops-a-tail');
  await storeProcess(id, 'leaver', 'stopped-by-a-rehire');
  await store('identityWorkflow', 'one-life', `identity:${id}`);
}

/** Sensitive access is approved, an end is announced, then it becomes immediate; a target refuses in the middle. */
async function noticeThenCut(): Promise<void> {
  const boss = identityOf(await world.hr(hire(world, 'boss', { eventId: 'boss-hire' })));
  const id = identityOf(
    await world.hr(hire(world, 'notice', { manager: 'boss', attributes: { department: 'Finance' } })),
  );
  const approval = await eventually(async () => {
    await doManualTasks(world, id);
    return world.deps.db
      .selectFrom('approval')
      .innerJoin('process', 'process.process_id', 'approval.process_id')
      .select(['approval_id', 'workflow_id'])
      .where('approval.identity_id', '=', id)
      .where('approval.status', '=', 'pending')
      .executeTakeFirst();
  }, 'an approval');
  const decision = { approvalId: approval.approval_id, decisionId: randomUUID(), decidedBy: boss } as const;
  await world.lifecycle.decideApproval(approval.workflow_id, { ...decision, verdict: 'approved' });
  await reached(id, 'joiner', completed);
  await storeProcess(id, 'joiner', 'with-approval');
  await said('notice', 'end', 'end', { lastWorkingDay: day(20), manner: 'voluntary', noticeOn: day(0) });
  await reached(id, 'leaver', (row) => row.blocked_on === 'date');
  await storeProcess(id, 'leaver', 'serves-notice');
  await said('notice', 'end', 'end', { version: 2, lastWorkingDay: day(0), manner: 'immediate' });
  await reached(id, 'leaver', (row) => row.state === 'tail');
  await storeProcess(id, 'leaver', 'notice-then-cut');
  faults.assertFired();
}

/** A start that is days away, moved, and at last called off. */
async function futureStart(): Promise<void> {
  const starts = (version: number, days: number) =>
    world.hr(hire(world, 'future', { version, startOn: day(days), attributes: { department: 'Sales' } }));
  const id = identityOf(await starts(1, 2));
  const isPrepared = (row: Row): boolean => row.blocked_on === 'date';
  await reached(id, 'joiner', isPrepared);
  await storeProcess(id, 'joiner', 'waits-for-start');
  await starts(2, 3);
  await eventually(async () => {
    const row = await world.deps.db
      .selectFrom('process')
      .select('due_at')
      .where('identity_id', '=', id)
      .executeTakeFirstOrThrow();
    return row.due_at?.startsWith(day(3)) === true ? true : undefined;
  }, 'the later date');
  await said('future', 'withdraw', 'off', { version: 3, corrects: 'future-hire' });
  await reached(id, 'rescinded-hire', completed);
  await storeProcess(id, 'joiner', 'moved-then-rescinded');
  await storeProcess(id, 'rescinded-hire', 'rescinded-hire');
}

/** Waits that come to their end, in skipped time: a start, a grace period, a retention. */
async function longWaits(): Promise<void> {
  const waits = async (id: IdentityId, kind: string, days: number, until: (row: Row) => boolean) => {
    const { workflow_id: workflowId } = await processOf(world, id, kind, (row) => row.due_at !== null);
    await skip(world, workflowId, days * DAY_MS);
    await reached(id, kind, until);
  };
  const start = identityOf(await world.hr(hire(world, 'start', { startOn: day(2) })));
  await waits(start, 'joiner', 3, completed);
  await storeProcess(start, 'joiner', 'future-start');

  const grace = identityOf(await world.hr(hire(world, 'grace')));
  await reached(grace, 'joiner', completed);
  await said('grace', 'change', 'move', { effectiveOn: day(0), attributes: { department: 'Sales' } });
  await waits(grace, 'mover', 8, completed);
  await storeProcess(grace, 'mover', 'grace-period-ends');
  await said('grace', 'end', 'end', { lastWorkingDay: day(0), manner: 'immediate' });
  await reached(grace, 'leaver', (row) => row.state === 'tail');
  await waits(grace, 'leaver', 91, completed);
  await storeProcess(grace, 'leaver', 'retention-ends');
}

/** Closed for a leave, and opened again. */
async function leaveOfAbsence(): Promise<void> {
  const id = identityOf(await world.hr(hire(world, 'away')));
  await reached(id, 'joiner', completed);
  await said('away', 'leave', 'leave', { startOn: day(-1) });
  await reached(id, 'leave-start', completed);
  await storeProcess(id, 'leave-start', 'suspended');
  await said('away', 'return', 'back', { on: day(0) });
  await reached(id, 'leave-end', completed);
  await storeProcess(id, 'leave-end', 'resumed');
}

/** A service account that is removed, and one that somebody misses. */
async function serviceAccounts(): Promise<void> {
  const owners = await Promise.all(
    ['owner-a', 'owner-b'].map(async (person) => {
      const id = identityOf(await world.hr(hire(world, person)));
      await reached(id, 'joiner', completed);
      return id;
    }),
  );
  const closed = async (name: string) => {
    const login = `svc_${name}_${world.tag}`;
    await makeService(world, login);
    const account = await declared(world, login, owners);
    for (const owner of owners) await says(world, account.id, owner, 'remove');
    // Nobody told policy the service's own secret: a person saw it refused.
    const task = await openTask(world, account.id, 'scream-test-unproven');
    const resolution = { taskId: task.task_id, decisionId: randomUUID(), resolution: 'done-by-hand' } as const;
    await world.lifecycle.resolveTask(account.workflow, resolution);
    await stands(world, account.id, (row) => row.blocked === 'scream-test');
    return account;
  };
  const gone = await closed('gone');
  await skip(world, gone.workflow, 15 * DAY_MS);
  await says(world, gone.id, owners[0] as IdentityId, 'remove');
  await stands(world, gone.id, (row) => row.outcome === 'removed');
  await store('serviceAccountWorkflow', 'removed', gone.workflow);
  const missed = await closed('missed');
  await scream(doorOf(world), { identityId: missed.id, reason: 'missed', caller: operator });
  await stands(world, missed.id, (row) => row.outcome === 'restored');
  await store('serviceAccountWorkflow', 'screamed-for', missed.workflow);
}

async function dueSchedule(): Promise<void> {
  await ensureDueSchedule(native, world.namespace);
  const run = await eventually(async () => {
    for await (const one of world.client.workflow.list({ query: 'WorkflowType = "dueIdentitiesWorkflow"' }))
      if (one.status.name === 'COMPLETED') return one;
    return undefined;
  }, 'a look at who is due');
  await store('dueIdentitiesWorkflow', 'scheduled', run.workflowId);
}

/** An application that is tested and imported, and a look at how the targets are. */
async function onboarding(): Promise<void> {
  const door = await openDoor(world);
  try {
    const ask = async (path: string, body?: object): Promise<Record<string, string>> => {
      const response = await fetch(`${door.url}/v1/applications/wiki${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${door.token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return (await response.json()) as Record<string, string>;
    };
    const ended = (path: string) =>
      eventually(async () => ((await ask(path))['state'] === 'done' ? true : undefined), path);
    const { testId } = await ask('/test', {});
    await ended(`/tests/${testId}`);
    await store('applicationTestWorkflow', 'all-well', `application:wiki/test:${testId}`);
    const { importId } = await ask('/imports', { link: true });
    await ended(`/imports/${importId}`);
    await store('importWorkflow', 'with-links', `application:wiki/import:${importId}`);
  } finally {
    await door.app.close();
  }
  await world.client.workflow.execute('applicationHealthWorkflow', {
    workflowId: 'application-health',
    taskQueue: LIFECYCLE_QUEUE,
    args: [],
  });
  await store('applicationHealthWorkflow', 'all-well', 'application-health');
}

/** Held from before the end until after the last look: what waits for the hold goes on looking. */
async function underHold(): Promise<void> {
  const id = identityOf(await world.hr(hire(world, 'held')));
  await reached(id, 'joiner', completed);
  const door = await openDoor(world);
  const token = `hr_${randomUUID()}`;
  await ensureToken(world.deps.db, { name: 'hr-of-a-record', role: 'hr', token });
  const hold = async (method: 'PUT' | 'DELETE'): Promise<void> => {
    const answer = await fetch(`${door.url}/v1/identities/${id}/legal-hold`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'a claim' }),
    });
    if (!answer.ok) throw new Error(`the hold: ${answer.status}`);
  };
  try {
    await hold('PUT');
    await said('held', 'end', 'end', { lastWorkingDay: day(0), manner: 'immediate' });
    const { workflow_id: workflowId } = await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    await skip(world, workflowId, 91 * DAY_MS);
    await reached(id, 'leaver', (row) => row.blocked_on === 'legal-hold');
    await hold('DELETE');
    await reached(id, 'leaver', completed);
    await storeProcess(id, 'leaver', 'under-a-legal-hold');
  } finally {
    await door.app.close();
  }
}

/** A move: beside each other (the new account is found at the target), cut over, and rolled back. */
async function moveAndBack(): Promise<void> {
  const id = identityOf(await world.hr(hire(world, 'moves', { attributes: { department: 'Sales' } })));
  await reached(id, 'joiner', completed);
  await world.deps.db
    .updateTable('account')
    .set({ unlinked_at: new Date().toISOString() as Instant })
    .where('identity_id', '=', id)
    .where('application', '=', 'erp' as ApplicationSlug)
    .execute();
  const door = await openDoor(world);
  try {
    const ask = async (path: string, body: object): Promise<Record<string, string>> => {
      const response = await fetch(`${door.url}/v1/migrations${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${door.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return (await response.json()) as Record<string, string>;
    };
    const { migrationId } = await ask('', { from: 'directory', to: 'erp', people: [id] });
    for (const [order, outcome] of [
      ['start', 'coexists'],
      ['cut-over', 'retired'],
      ['roll-back', 'withdrawn'],
    ] as const) {
      await ask(`/${migrationId}/waves/1/${order}`, {});
      await reached(id, 'migration', (row) => row.outcome?.startsWith(outcome) === true);
      await storeProcess(id, 'migration', outcome);
    }
  } finally {
    await door.app.close();
  }
}

it('records everything', async () => {
  clearHistories();
  await Promise.all([
    oneLife(),
    noticeThenCut(),
    futureStart(),
    longWaits(),
    leaveOfAbsence(),
    serviceAccounts(),
    moveAndBack(),
  ]);
  await dueSchedule();
  await onboarding();
}, 180_000);

it('records a leaver under a legal hold', underHold, 180_000);
