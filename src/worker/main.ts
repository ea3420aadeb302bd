import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import { pino } from 'pino';
import {
  inheritedEnvironment,
  loadConfig,
  parseReference,
  readReportKey,
  readSecret,
  requireDatabaseUrl,
} from '../config.js';
import type { Config } from '../config.js';
import { createShippedRegistry } from '../connectors/kinds.js';
import { onStop, reportReady } from '../embedded/child.js';
import { NoticeSender } from '../notices/sender.js';
import { createMailer } from '../notices/smtp.js';
import type { Mailer } from '../notices/smtp.js';
import { loadPolicyFiles } from '../policy/load.js';
import { publishPolicy } from '../planning/policy-store.js';
import { reportSigner } from '../report/signature.js';
import { composeDeps } from './compose.js';
import type { ApplicationPolicy } from '../domain/policy/types.js';
import { ensureDueSchedule } from './due-schedule.js';
import { followPolicy } from './follow-policy.js';
import { ensureHealthSchedule } from './health-schedule.js';
import { encryptedBy } from '../temporal/payload-codec.js';
import { startWorkers } from './run-workers.js';

const BUNDLE = fileURLToPath(new URL('../../workflow-bundle.js', import.meta.url));

/** The worker process: publishes the policy folder when it changed, runs all queues, drains on SIGTERM. Ends with 1 when a worker fails. */
async function main(): Promise<void> {
  const config = loadConfig();
  const logger = pino({ level: config.logLevel, base: { child: 'worker' } });
  installRuntime(config);
  const reportKey = readReportKey(config);
  const deps = composeDeps({
    databaseUrl: requireDatabaseUrl(config, 'app'),
    masterKey: readSecret(config.masterKey),
    registry: createShippedRegistry(),
    env: inheritedEnvironment(),
    vault: config.vault,
    logger,
    sites: config.workerSites,
    reportSigner: reportKey === undefined ? undefined : await reportSigner(reportKey),
    isMailConfigured: config.smtp !== undefined,
  });
  if (config.workerSites.length === 0) {
    await publishPolicy(deps.db, await loadPolicyFiles(config.policyDir, config.policyOverlay), 'worker');
  }
  const policy = await deps.policies.active(deps.db);
  const connection = await NativeConnection.connect(config.temporal.connection ?? {});
  const workers = await startWorkers({
    connection,
    namespace: config.temporal.namespace,
    deps,
    bundle: { codePath: BUNDLE },
    ...(config.codecKeys === undefined ? {} : { dataConverter: encryptedBy(readSecret(config.codecKeys)) }),
    applications: centralApplications(policy?.applications ?? []),
    sites: config.workerSites,
  });
  const isCentral = config.workerSites.length === 0;
  if (isCentral) await ensureDueSchedule(connection, config.temporal.namespace);
  const server = { connection, namespace: config.temporal.namespace };
  const unfollow = isCentral ? followPolicy(deps, workers, server) : (): void => undefined;
  if (isCentral) await ensureHealthSchedule(connection, config.temporal.namespace);
  const mailer = isCentral ? mailerOf(config) : undefined;
  const { publicUrl } = config;
  const sender = mailer && new NoticeSender({ db: deps.db, keys: deps.keys, mailer, publicUrl, logger });
  sender?.start();
  onStop(async () => {
    unfollow();
    await sender?.stop();
    await workers.stop();
    await connection.close();
    await deps.close();
  });
  reportReady({ queues: 2 + (policy?.applications.length ?? 0) });
  await workers.ended;
}

/** Undefined when no mail server is named. Throws when a secret of it is missing. */
function mailerOf({ smtp }: Config): Mailer | undefined {
  if (smtp === undefined) return undefined;
  const secretOf = (reference: string) => readSecret(parseReference(reference));
  return createMailer(smtp, {
    ...(smtp.password === undefined ? {} : { password: secretOf(smtp.password) }),
    ...(smtp.ca === undefined ? {} : { ca: secretOf(smtp.ca) }),
  });
}

/** Those that everybody reaches; a site's are served there. */
function centralApplications(applications: readonly ApplicationPolicy[]): readonly string[] {
  return applications.filter((application) => application.site === undefined).map((application) => application.slug);
}

function installRuntime(config: Config): void {
  const port = config.metrics.temporalSdkPort;
  Runtime.install({
    // This process owns its signals: workers drain before pools close.
    shutdownSignals: [],
    logger: new DefaultLogger('WARN'),
    telemetryOptions: {
      logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      ...(port === undefined ? {} : { metrics: { prometheus: { bindAddress: `127.0.0.1:${port}` } } }),
    },
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
