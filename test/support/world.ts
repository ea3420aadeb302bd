/** A whole Tenure for one test file: real Postgres, real Temporal, real targets, workers in this process; only the HTTP door is left out. */
import { Client, Connection } from '@temporalio/client';
import type { LogEntry } from '@temporalio/worker';
import { DefaultLogger, NativeConnection, Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { Dispatcher } from '../../src/api/dispatch/dispatcher.js';
import { createTemporalLifecycle } from '../../src/api/dispatch/temporal-lifecycle.js';
import type { Lifecycle } from '../../src/api/dispatch/lifecycle.js';
import { acceptRecords } from '../../src/api/hr/intake.js';
import type { RecordResult } from '../../src/api/hr/intake.js';
import { createMetrics } from '../../src/api/metrics.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import type { VaultLogin } from '../../src/connectors/secret-store.js';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { searchAttributes } from '../../src/embedded/search-attributes.js';
import { ensureErp } from '../../src/embedded/targets/erp.js';
import type { Erp } from '../../src/embedded/targets/erp.js';
import { directoryGroups, erpRoles } from '../../src/embedded/targets/sandbox-data.js';
import { startScimTarget } from '../../src/embedded/targets/scim-target.js';
import type { ScimTarget } from '../../src/embedded/targets/scim-target.js';
import { loadPolicyFiles } from '../../src/policy/load.js';
import { NoticeSender } from '../../src/notices/sender.js';
import { createMailer } from '../../src/notices/smtp.js';
import type { SmtpServer } from '../../src/notices/smtp.js';
import { newSigningKey, reportSigner } from '../../src/report/signature.js';
import type { ReportSigner } from '../../src/report/signature.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { composeDeps } from '../../src/worker/compose.js';
import { startWorkers } from '../../src/worker/run-workers.js';
import type { RunningWorkers } from '../../src/worker/run-workers.js';
import { ensureBuild } from './build.js';
import { acquirePostgres, createTestDatabase, createTestNamespace } from './stack.js';
import type { TestDatabase } from './stack.js';

export interface World {
  readonly database: TestDatabase;
  readonly deps: ReturnType<typeof composeDeps>;
  /** Signs the reports of processes and of the door. */
  readonly signer: ReportSigner;
  readonly client: Client;
  readonly namespace: string;
  /** Of the Temporal server. */
  readonly address: string;
  readonly directory: ScimTarget;
  readonly wiki: ScimTarget;
  readonly erp: Erp;
  /** Bearer token of both SCIM targets. */
  readonly scimToken: string;
  /** The environment of a worker process of its own that works on this world; starts it with `build/src/worker/main.js`. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  readonly lifecycle: Lifecycle;
  readonly dispatcher: Dispatcher;
  /** Distinguishes this world's people: log-ins of the ERP are shared by the whole Postgres server. */
  readonly tag: string;
  /** Gives HR records to the intake as the API would; people are named by `person`. */
  hr(...records: Record<string, unknown>[]): Promise<readonly RecordResult[]>;
  startWorkers(): Promise<RunningWorkers>;
  stopWorkers(): Promise<void>;
  /** The sender of notices, in this process and in a hurry; runs from the world's start where it has `smtp`. */
  startNotices(): void;
  stopNotices(): Promise<void>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  /** Changes to the sample policy's files, by path. */
  readonly policy?: (files: PolicyFiles) => PolicyFiles;
  readonly registry?: ConnectorRegistry;
  readonly withWorkers?: boolean;
  /** Where `vault:` references are read; its `env:` references are looked up in `env`. */
  readonly vault?: { readonly login: VaultLogin; readonly env: Readonly<Record<string, string>> };
  /** Where notices are handed to; without it they are kept. */
  readonly smtp?: SmtpServer;
  /** How long visits rest for somebody else's cut; 0: not at all. */
  readonly longestRestMs?: number;
  /** For what the workers and the dispatcher log; silent without it. */
  readonly logger?: Logger;
  /** Gets what the Temporal SDK logs; without it only errors are shown. */
  readonly sdkLog?: (entry: LogEntry) => void;
}

let isRuntimeInstalled = false;

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  if (!isRuntimeInstalled) {
    isRuntimeInstalled = true;
    Runtime.install({
      shutdownSignals: [],
      logger: options.sdkLog === undefined ? new DefaultLogger('ERROR') : new DefaultLogger('DEBUG', options.sdkLog),
      telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) } },
    });
  }
  const root = await ensureBuild();
  const [database, namespace, { adminUrl }] = await Promise.all([
    createTestDatabase(),
    createTestNamespace(searchAttributes),
    acquirePostgres(),
  ]);
  const tag = randomBytes(3).toString('hex');
  const token = randomUUID();
  const canary = `canary_${tag}`;
  const scim = { adminUrl, token, port: 0, groups: directoryGroups };
  const directory = await startScimTarget({ ...scim, database: `directory_${tag}` });
  const wiki = await startScimTarget({ ...scim, database: `wiki_${tag}`, groups: [] });
  const erp = await ensureErp({
    adminUrl,
    database: `erp_${tag}`,
    password: `erp-${adminUrl.length}`,
    roles: erpRoles,
    canaryLogin: canary,
  });
  const logger = options.logger ?? pino({ level: process.env['TENURE_TEST_LOG'] ?? 'silent' });
  const masterKey = randomBytes(32).toString('base64');
  const secrets = {
    TENURE_SANDBOX_SCIM_URL: directory.scimUrl,
    TENURE_SANDBOX_WIKI_URL: wiki.scimUrl,
    TENURE_SANDBOX_SCIM_TOKEN: token,
    TENURE_SANDBOX_ERP_URL: erp.serviceUrl,
    ...options.vault?.env,
  };
  const reportKey = newSigningKey();
  const signer = await reportSigner(reportKey);
  const deps = composeDeps({
    databaseUrl: database.app,
    masterKey,
    registry: options.registry ?? createShippedRegistry(),
    env: secrets,
    vault: options.vault?.login,
    reportSigner: signer,
    isMailConfigured: options.smtp !== undefined,
    ...(options.longestRestMs === undefined ? {} : { longestRestMs: options.longestRestMs }),
    logger,
  });
  const files = (await loadPolicyFiles(join(root, 'policy'))).map((file) => ({
    ...file,
    text: file.text.replace('tenure_canary', canary),
  }));
  await publishPolicy(deps.db, options.policy?.(files) ?? files, 'test');
  const policy = await deps.policies.active(deps.db);
  const connection = await Connection.connect({ address: namespace.address });
  const client = new Client({ connection, namespace: namespace.namespace });
  const lifecycle = createTemporalLifecycle(client);
  const metrics = createMetrics();
  const dispatcher = new Dispatcher({ db: deps.db, lifecycle, metrics, logger, pollMs: 200 });
  dispatcher.start();
  let sender: NoticeSender | undefined;
  let native: NativeConnection | undefined;
  let workers: RunningWorkers | undefined;
  const world: World = {
    database,
    deps,
    signer,
    client,
    namespace: namespace.namespace,
    address: namespace.address,
    directory,
    wiki,
    erp,
    scimToken: token,
    workerEnvironment: {
      ...secrets,
      TENURE_DATABASE_APP_URL: database.app,
      TENURE_MASTER_KEY: 'env:WORLD_MASTER_KEY',
      WORLD_MASTER_KEY: masterKey,
      TENURE_REPORT_KEY: 'env:WORLD_REPORT_KEY',
      WORLD_REPORT_KEY: reportKey,
      TEMPORAL_ADDRESS: namespace.address,
      TEMPORAL_NAMESPACE: namespace.namespace,
    },
    lifecycle,
    dispatcher,
    tag,
    hr: (...records) =>
      acceptRecords(
        {
          db: deps.db,
          keys: deps.keys,
          policies: deps.policies,
          metrics,
          logger,
          dispatcher,
          now: () => new Date().toISOString() as Instant,
        },
        { name: 'test' },
        records,
      ),
    async startWorkers() {
      native ??= await NativeConnection.connect({ address: namespace.address });
      workers = await startWorkers({
        connection: native,
        namespace: namespace.namespace,
        deps,
        bundle: { codePath: join(root, 'build', 'workflow-bundle.js') },
        applications: (policy?.applications ?? []).map((application) => application.slug),
        shutdownGraceTime: '5s',
      });
      return workers;
    },
    startNotices() {
      if (options.smtp === undefined || sender !== undefined) return;
      sender = new NoticeSender({
        db: deps.db,
        keys: deps.keys,
        mailer: createMailer(options.smtp, {}),
        publicUrl: 'https://tenure.example',
        logger,
        pollMs: 100,
        firstPauseMs: 300,
      });
      sender.start();
    },
    async stopNotices() {
      await sender?.stop();
      sender = undefined;
    },
    async stopWorkers() {
      await workers?.stop();
      workers = undefined;
    },
    async stop() {
      await world.stopWorkers();
      await world.stopNotices();
      await dispatcher.stop();
      await native?.close();
      await connection.close();
      await Promise.all([directory.stop(), wiki.stop()]);
      await deps.close();
      await database.drop();
    },
  };
  world.startNotices();
  if (options.withWorkers !== false) await world.startWorkers();
  return world;
}

/** Waits until `probe` gives something; fails with what it last said. */
export async function eventually<T>(probe: () => Promise<T | undefined>, what: string, withinMs = 45_000): Promise<T> {
  const until = Date.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until)
      throw new Error(
        `${what} did not happen within ${withinMs} ms${last instanceof Error ? `: ${last.message}` : ''}`,
      );
    await delay(100);
  }
}

/** The identity a record was accepted for. */
export function identityOf(results: readonly RecordResult[]): IdentityId {
  const id = results[0]?.identityId;
  if (id === undefined) throw new Error(`not accepted: ${JSON.stringify(results)}`);
  return id;
}

/** The local date `days` from today in a zone without surprises. */
export function day(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

/** A hire record; names carry the world's tag so that log-ins never meet. */
export function hire(world: World, person: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  const { attributes, ...rest } = change;
  return {
    source: 'hr',
    eventId: `${person}-hire`,
    person,
    employment: `${person}-1`,
    kind: 'hire',
    startOn: day(-1),
    zone: 'Etc/UTC',
    worker: 'employee',
    attributes: {
      givenName: `P${person}`,
      familyName: `Test${world.tag}`,
      employeeNumber: `${world.tag}-${person}`,
      department: 'Engineering',
      ...(attributes as object | undefined),
    },
    ...rest,
  };
}

export interface ProcessView {
  readonly kind: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly phase: string | null;
  readonly blocked_on: string | null;
}

export async function processesOf(world: World, identityId: IdentityId): Promise<readonly ProcessView[]> {
  return world.deps.db
    .selectFrom('process')
    .select(['kind', 'state', 'outcome', 'phase', 'blocked_on'])
    .where('identity_id', '=', identityId)
    .orderBy('opened_at')
    .execute();
}

/** Resolves every open operator task of a person as done by hand, as the badge office would. */
export async function doManualTasks(world: World, identityId: IdentityId): Promise<number> {
  const tasks = await world.deps.db
    .selectFrom('operator_task')
    .innerJoin('process', 'process.process_id', 'operator_task.process_id')
    .select(['operator_task.task_id', 'process.workflow_id'])
    .where('operator_task.identity_id', '=', identityId)
    .where('operator_task.status', '=', 'open')
    .execute();
  for (const task of tasks)
    await world.lifecycle.resolveTask(task.workflow_id, {
      taskId: task.task_id,
      decisionId: randomUUID(),
      resolution: 'done-by-hand',
    });
  return tasks.length;
}

/** Runs a person's processes until none is busy, doing what is asked of hands; returns their rows. */
export async function settled(
  world: World,
  identityId: IdentityId,
  isThere: (rows: readonly ProcessView[]) => boolean,
  withinMs?: number,
): Promise<readonly ProcessView[]> {
  return eventually(
    async () => {
      await doManualTasks(world, identityId);
      const rows = await processesOf(world, identityId);
      if (isThere(rows)) return rows;
      throw new Error(JSON.stringify(rows));
    },
    'the expected processes',
    withinMs,
  );
}
