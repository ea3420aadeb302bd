import { fileURLToPath } from 'node:url';
import { NativeConnection } from '@temporalio/worker';
import { pino } from 'pino';
import { inheritedEnvironment, loadConfig, readReportKey, readSecret, requireDatabaseUrl } from '../src/config.js';
import { createRegistry } from '../src/connectors/registry.js';
import type { ConnectorFactory } from '../src/connectors/registry.js';
import { onStop, reportReady } from '../src/embedded/child.js';
import { loadPolicyFiles } from '../src/policy/load.js';
import { publishPolicy } from '../src/planning/policy-store.js';
import { reportSigner } from '../src/report/signature.js';
import { composeDeps } from '../src/worker/compose.js';
import { ensureDueSchedule } from '../src/worker/due-schedule.js';
import { startWorkers } from '../src/worker/run-workers.js';
import { installQuietRuntime } from './workflow-worker.js';

/** Runs Tenure's worker as it ships (src/worker/main.ts), but for the connector kind of its targets, as a child of the stack until it is stopped. */
export async function runTenureWorker(options: {
  readonly factory: ConnectorFactory;
  /** Who publishes the policy. */
  readonly publisher: string;
  /** Whether people in Postgres are woken when they come due. */
  readonly wakesDue: boolean;
}): Promise<void> {
  const config = loadConfig();
  installQuietRuntime();
  const reportKey = readReportKey(config);
  const deps = composeDeps({
    databaseUrl: requireDatabaseUrl(config, 'app'),
    masterKey: readSecret(config.masterKey),
    registry: createRegistry([options.factory]),
    env: inheritedEnvironment(),
    logger: pino({ level: 'warn', base: { child: 'worker' } }),
    reportSigner: reportKey === undefined ? undefined : await reportSigner(reportKey),
  });
  await publishPolicy(deps.db, await loadPolicyFiles(config.policyDir), options.publisher);
  const policy = await deps.policies.active(deps.db);
  const connection = await NativeConnection.connect(config.temporal.connection ?? {});
  const workers = await startWorkers({
    connection,
    namespace: config.temporal.namespace,
    deps,
    bundle: { codePath: fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)) },
    applications: (policy?.applications ?? []).map((application) => application.slug),
  });
  if (options.wakesDue) await ensureDueSchedule(connection, config.temporal.namespace);
  onStop(async () => {
    await workers.stop();
    await connection.close();
    await deps.close();
  });
  reportReady();
  await workers.ended;
}
