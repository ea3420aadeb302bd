import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { createActivities } from '../../src/activities/index.js';
import { inheritedEnvironment, loadConfig, readSecret, requireDatabaseUrl } from '../../src/config.js';
import type { ConnectorFactory } from '../../src/connectors/registry.js';
import { createRegistry } from '../../src/connectors/registry.js';
import { onStop, reportReady } from '../../src/embedded/child.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { loadPolicyFiles } from '../../src/policy/load.js';
import { composeDeps } from '../../src/worker/compose.js';
import { startWorkers } from '../../src/worker/run-workers.js';
import { noopFactory } from '../noop-connector.js';
import { installQuietRuntime } from '../workflow-worker.js';
import { ANSWER_MS, HANGING, SHARED_QUEUE } from './variants.js';
import type { Variant } from './variants.js';

/** Targets that take a moment to answer, and one that answers nothing until it is given up. */
const factory: ConnectorFactory = {
  ...noopFactory,
  create: (application, config, deps) => ({
    ...noopFactory.create(application, config, deps),
    health: async (ctx) => {
      if (application !== HANGING) await delay(ANSWER_MS);
      else await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }));
      return application === HANGING
        ? { ok: false, code: 'TIMEOUT', latencyMs: 0 }
        : { ok: true, latencyMs: ANSWER_MS };
    },
  }),
};

/** Tenure's worker as it ships, but for its targets and, where the variant says so, one queue instead of one per application. */
const env = inheritedEnvironment();
const variant = JSON.parse(env['BENCH_VARIANT'] ?? '') as Variant;
const config = loadConfig();
installQuietRuntime();
const deps = composeDeps({
  databaseUrl: requireDatabaseUrl(config, 'app'),
  masterKey: readSecret(config.masterKey),
  registry: createRegistry([factory]),
  env,
  logger: pino({ level: 'warn', base: { child: 'worker' } }),
});
await publishPolicy(deps.db, await loadPolicyFiles(config.policyDir), 'bench');
const policy = await deps.policies.active(deps.db);
const connection = await NativeConnection.connect(config.temporal.connection ?? {});
const { namespace } = config.temporal;
const began = performance.now();
const settings = {
  maxConcurrentActivityTaskExecutions: variant.slots,
  activityTaskPollerBehavior: { type: 'simple-maximum', maximum: variant.polls },
} as const;
const workers = await startWorkers({
  connection,
  namespace,
  deps,
  bundle: { codePath: fileURLToPath(new URL('../../workflow-bundle.js', import.meta.url)) },
  applications: variant.queues === 'each' ? (policy?.applications ?? []).map((application) => application.slug) : [],
  applicationQueue: settings,
});
const shared =
  variant.queues === 'shared'
    ? await Worker.create({
        connection,
        namespace,
        taskQueue: SHARED_QUEUE,
        activities: createActivities(deps),
        ...settings,
      })
    : undefined;
const running = shared?.run();
onStop(async () => {
  if (shared?.getState() === 'RUNNING') shared.shutdown();
  await running;
  await workers.stop();
  await connection.close();
  await deps.close();
});
// How long the queues alone took; the rest of a start is the same for all.
reportReady({ queuesMs: performance.now() - began });
await Promise.race([workers.ended, running ?? new Promise(() => undefined)]);
