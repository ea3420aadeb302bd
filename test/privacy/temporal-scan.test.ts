import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { NativeConnection } from '@temporalio/worker';
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createApi } from '../../src/api/app.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { createPlanner } from '../../src/api/identities/planner.js';
import { createPreview } from '../../src/api/identities/plan-preview.js';
import { createMetrics } from '../../src/api/metrics.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';
import { ensureDueSchedule } from '../../src/worker/due-schedule.js';
import { unreplayable } from '../replay/fresh.js';
import { createWorld, day, eventually, identityOf, processesOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { faultyRegistry } from './leaky-registry.js';
import { createFinder } from './markers.js';
import type { Marker } from './markers.js';
import { scanNamespace, watchPending } from './scan-history.js';
import type { Scan } from './scan-history.js';

/** A word that nothing else contains, with a letter that is written in many ways. */
const word = (): string => `Qü${[...randomBytes(6)].map((byte) => 'bcdfghjkmnpqrstvwxz'[byte % 19]).join('')}`;
const plainOf = (text: string): string => text.replace('ü', 'ue').toLowerCase();
const values = {
  givenName: word(),
  familyName: word(),
  newFamilyName: word(),
  displayName: `${word()} ${word()}`,
  title: word(),
  workPhone: `+49 30 ${String(parseInt(randomBytes(4).toString('hex'), 16)).padStart(10, '0')}`,
  personalMail: `${word()}@example.org`,
  employeeNumber: `no-${randomBytes(5).toString('hex')}`,
  person: `key-${randomBytes(5).toString('hex')}`,
  employment: `contract-${randomBytes(5).toString('hex')}`,
  bossName: word(),
  comment: `because ${word()} asked`,
  reason: `reason ${word()}`,
  proof: `badge ${word()}`,
};
/** As Tenure itself writes them: user names, mail addresses. */
const derived = {
  userName: `${plainOf(values.givenName)}.${plainOf(values.familyName)}`,
  newName: plainOf(values.newFamilyName),
  givenPlain: plainOf(values.givenName),
  familyPlain: plainOf(values.familyName),
};
const MARKERS: readonly Marker[] = Object.entries({ ...values, ...derived }).map(([name, value]) => ({ name, value }));

describe('personal data in Temporal and in logs (design D7)', () => {
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  // A library's error with a value in it, a refused attribute, a target that hangs, one that is busy.
  const faults = faultyRegistry({
    directory: [
      {
        operation: 'create',
        when: 'before',
        attempt: 1,
        fault: {
          kind: 'call',
          work: () => {
            throw new Error(`unique (userName)=(${derived.userName})`, { cause: new Error(values.personalMail) });
          },
        },
      },
      { operation: 'update', when: 'before', attempt: 1, fault: { kind: 'error', code: 'INVALID' } },
    ],
    erp: [
      { operation: 'create', when: 'before', attempt: 1, fault: { kind: 'hang' } },
      {
        operation: 'seal',
        when: 'before',
        attempt: 1,
        fault: { kind: 'error', code: 'RATE_LIMITED', retryAfterMs: 300 },
      },
    ],
  });
  let world: World;
  let api: NestFastifyApplication;
  let native: NativeConnection;
  let id: IdentityId;
  let scan: Scan;
  let pending: Awaited<ReturnType<ReturnType<typeof watchPending>['stop']>>;

  beforeAll(async () => {
    world = await createWorld({
      registry: faults.registry,
      logger,
      sdkLog: (entry) => void lines.push(JSON.stringify([entry.message, entry.meta, String(entry.meta?.['error'])])),
      policy: (files) =>
        files.map((file) => ({ ...file, text: file.text.replaceAll('sweepTimeout: 5s', 'sweepTimeout: 2s') })),
    });
    native = await NativeConnection.connect({ address: world.address });
    await ensureDueSchedule(native, world.namespace);
    api = await startApi();
    const watch = watchPending(world.client, world.namespace, MARKERS);
    try {
      await story();
    } finally {
      pending = await watch.stop();
    }
    scan = await scanNamespace(world.client, world.namespace, MARKERS);
  }, 120_000);
  afterAll(async () => {
    await api?.close();
    await native?.close();
    await world?.stop();
  });

  async function startApi(): Promise<NestFastifyApplication> {
    const { db, keys, policies } = world.deps;
    const registry = createShippedRegistry();
    await ensureToken(db, { name: 'operator', role: 'admin', token: OPERATOR });
    return createApi({
      db,
      keys,
      policies,
      logger,
      lifecycle: world.lifecycle,
      dispatcher: world.dispatcher,
      metrics: createMetrics(),
      planner: createPlanner({ db, keys, policies, preview: createPreview({ db, keys, policies, registry }) }),
      connectorChecks: connectorChecks(registry),
      registry: createShippedRegistry(),
      now: () => brand<Instant>(new Date().toISOString()),
    });
  }

  const OPERATOR = `operator_${randomBytes(20).toString('hex')}`;
  const MANAGER = `manager_${randomBytes(20).toString('hex')}`;

  async function post(url: string, payload: object, token = OPERATOR): Promise<void> {
    const answer = await api.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${token}` } });
    if (answer.statusCode >= 300) throw new Error(`${url}: ${answer.statusCode} ${answer.body}`);
  }

  /** Records as HR sends them; every key of the source system is a planted value too. */
  const said = (kind: string, n: number, fields: object) =>
    world.hr({
      source: 'hr',
      eventId: `e-${n}`,
      person: values.person,
      employment: values.employment,
      kind,
      ...fields,
    });

  /** Does all tasks through the API, with words that belong nowhere else: retries what failed, confirms what hands do. */
  async function workOnTasks(): Promise<void> {
    const tasks = await world.deps.db.selectFrom('operator_task').selectAll().where('status', '=', 'open').execute();
    for (const task of tasks)
      await post(
        `/v1/tasks/${task.task_id}/resolution`,
        task.kind === 'manual'
          ? { resolution: 'done-by-hand', proof: values.proof }
          : { resolution: 'retry', reason: values.reason },
      );
  }

  const until = (what: string, isThere: (rows: Awaited<ReturnType<typeof processesOf>>) => boolean) =>
    eventually(async () => {
      await workOnTasks();
      const rows = await processesOf(world, id);
      if (isThere(rows)) return rows;
      throw new Error(JSON.stringify(rows));
    }, what);

  async function approveAsBoss(boss: IdentityId): Promise<void> {
    await ensureToken(world.deps.db, { name: 'boss', role: 'manager', identityId: boss, token: MANAGER });
    const approval = await eventually(async () => {
      await workOnTasks();
      return world.deps.db
        .selectFrom('approval')
        .select('approval_id')
        .where('identity_id', '=', id)
        .where('status', '=', 'pending')
        .executeTakeFirst();
    }, 'an approval');
    await post(
      `/v1/approvals/${approval.approval_id}/decision`,
      { verdict: 'approved', comment: values.comment },
      MANAGER,
    );
  }

  async function story(): Promise<void> {
    const attributes = {
      givenName: values.givenName,
      familyName: values.familyName,
      displayName: values.displayName,
      employeeNumber: values.employeeNumber,
      title: values.title,
      workPhone: values.workPhone,
      personalMail: values.personalMail,
      department: 'Finance',
    };
    const zone = 'Etc/UTC';
    const boss = identityOf(
      await world.hr({
        source: 'hr',
        eventId: 'boss',
        person: 'boss',
        employment: 'boss-1',
        kind: 'hire',
        startOn: day(-1),
        zone,
        worker: 'contractor',
        endOn: day(300),
        attributes: { givenName: 'Kim', familyName: values.bossName, employeeNumber: world.tag, department: 'Other' },
      }),
    );
    id = identityOf(await said('hire', 1, { startOn: day(-1), zone, worker: 'employee', manager: 'boss', attributes }));
    await approveAsBoss(boss);
    await until('the joiner', (rows) => rows.some((row) => row.kind === 'joiner' && row.state === 'completed'));
    await said('change', 2, { effectiveOn: day(0), attributes: { familyName: values.newFamilyName } });
    await until('the name change', (rows) =>
      rows.some((row) => row.kind === 'name-change' && row.state === 'completed'),
    );
    await said('change', 3, { effectiveOn: day(0), attributes: { department: 'Sales', title: `${values.title} II` } });
    await until('the mover', (rows) => rows.some((row) => row.kind === 'mover' && row.blocked_on === 'grace-period'));
    await said('end', 4, { lastWorkingDay: day(20), manner: 'voluntary', noticeOn: day(0) });
    await until('the notice', (rows) => rows.some((row) => row.kind === 'leaver' && row.blocked_on === 'date'));
    await post(`/v1/identities/${id}/preview`, {});
    await post(`/v1/identities/${id}/cut`, { reason: values.reason });
    await until('the cut', (rows) => rows.some((row) => row.kind === 'leaver' && row.state === 'tail'));
  }

  it('the story really carried what was planted, through every failure', async () => {
    faults.assertFired();
    const users = await world.directory.store.users();
    const find = createFinder(MARKERS);
    const seen = new Set(find(JSON.stringify(users)).map((one) => one.marker));
    expect([...seen]).toEqual(
      expect.arrayContaining(['newFamilyName', 'displayName', 'workPhone', 'employeeNumber', 'title']),
    );
    const decisions = await world.deps.db.selectFrom('decision').selectAll().where('identity_id', '=', id).execute();
    expect(decisions.filter((row) => row.comment !== null).length).toBeGreaterThan(1);
    expect(decisions.filter((row) => row.proof !== null).length).toBeGreaterThan(0);
  });

  it('no event of any history, no description, no detail and no schedule holds any of it', () => {
    expect(scan.leaks).toEqual([]);
    expect(scan.workflows).toBeGreaterThanOrEqual(7);
    expect(scan.events).toBeGreaterThan(150);
    expect(scan.fields).toBeGreaterThan(5_000);
  });

  it('no heartbeat and no failure of a pending activity holds any of it', () => {
    expect(pending.leaks).toEqual([]);
    expect(pending.heartbeats).toBeGreaterThan(0);
  });

  it('and all of it can be replayed, failures, decisions and operator tasks included', async () => {
    expect(await unreplayable(world.client)).toEqual([]);
  });

  it('no line of the logs of workers, dispatcher, API and SDK holds any of it', () => {
    const find = createFinder(MARKERS);
    expect(lines.filter((line) => find(line).length > 0)).toEqual([]);
    // The library error with a value in it was logged, without its message.
    expect(lines.join('\n')).toMatch(/in a way nobody expected/);
    expect(find(`${lines.join('\n')} ${values.title}`)).not.toEqual([]);
  });
});
