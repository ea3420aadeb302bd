import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { loadConfig, readMasterKey, readReportKey, readSecret, requireDatabaseUrl } from '../config.js';
import type { Config } from '../config.js';
import { createShippedRegistry } from '../connectors/kinds.js';
import { openDatabase } from '../db/database.js';
import type { Database } from '../db/database.js';
import { KeyRing } from '../db/keys.js';
import { brand } from '../domain/process/ids.js';
import type { Instant } from '../domain/process/ids.js';
import { onStop, reportReady } from '../embedded/child.js';
import { reportSigner } from '../report/signature.js';
import type { ReportSigner } from '../report/signature.js';
import { encryptedBy } from '../temporal/payload-codec.js';
import { PolicyStore } from '../planning/policy-store.js';
import { connectorChecks } from '../policy/connector-checks.js';
import { createApi } from './app.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { createTemporalLifecycle } from './dispatch/temporal-lifecycle.js';
import type { ApiDeps } from './deps.js';
import { ensureToken } from './http/tokens.js';
import { createPlanner } from './identities/planner.js';
import { createPreview } from './identities/plan-preview.js';
import { createMetrics } from './metrics.js';

const POOL_SIZE = 16;

/** The API's composition root: everything that is opened is opened and closed here. */
async function main(): Promise<void> {
  const config = loadConfig();
  const logger = pino({ name: 'tenure-api', level: config.logLevel });
  const db = openDatabase(requireDatabaseUrl(config, 'app'), { max: POOL_SIZE, name: 'tenure-api' });
  // Lazy: a Temporal server that is down must not keep HR events out.
  const connection = Connection.lazy(config.temporal.connection ?? {});
  const client = new Client({
    connection,
    namespace: config.temporal.namespace,
    ...(config.codecKeys === undefined ? {} : { dataConverter: encryptedBy(readSecret(config.codecKeys)) }),
  });
  const reportKey = readReportKey(config);
  const signer = reportKey === undefined ? undefined : await reportSigner(reportKey);
  const deps = compose(config, db, client, logger, signer);
  if (config.sandbox.token !== undefined)
    await ensureToken(db, { name: 'sandbox', role: 'admin', token: config.sandbox.token });
  const app = await createApi(deps);
  await app.listen({ port: config.api.port, host: config.api.host });
  deps.dispatcher.start();
  onStop(async () => {
    await app.close();
    await deps.dispatcher.stop();
    await connection.close();
    await db.destroy();
  });
  const url = (await app.getUrl()).replace('[::1]', 'localhost');
  logger.info({ url }, 'the API listens');
  reportReady({ url });
}

function compose(
  config: Config,
  db: Database,
  client: Client,
  logger: Logger,
  signer: ReportSigner | undefined,
): ApiDeps {
  const keys = new KeyRing(readMasterKey(config).toString('base64'));
  const policies = new PolicyStore();
  const metrics = createMetrics({ isProcessWide: true });
  const lifecycle = createTemporalLifecycle(client);
  const registry = createShippedRegistry();
  return {
    db,
    keys,
    policies,
    lifecycle,
    metrics,
    logger,
    dispatcher: new Dispatcher({ db, lifecycle, metrics, logger }),
    planner: createPlanner({ db, keys, policies, preview: createPreview({ db, keys, policies, registry }) }),
    connectorChecks: connectorChecks(registry),
    registry,
    ...(signer === undefined ? {} : { reportSigner: signer }),
    now: () => brand<Instant>(new Date().toISOString()),
  };
}

await main();
