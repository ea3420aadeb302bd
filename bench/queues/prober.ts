import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker, makeTelemetryFilterString } from '@temporalio/worker';
import { loadConfig } from '../../src/config.js';
import { onStop, reportReady } from '../../src/embedded/child.js';

/** Runs the workflows that ask for visits; in a process of its own, so that the measured worker has nothing but visits to do. */
const config = loadConfig();
Runtime.install({
  shutdownSignals: [],
  logger: new DefaultLogger('WARN'),
  telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) } },
});
const connection = await NativeConnection.connect(config.temporal.connection ?? {});
const worker = await Worker.create({
  connection,
  namespace: config.temporal.namespace,
  taskQueue: 'prober',
  workflowBundle: { codePath: fileURLToPath(new URL('./probe-bundle.js', import.meta.url)) },
});
const running = worker.run();
onStop(async () => {
  if (worker.getState() === 'RUNNING') worker.shutdown();
  await running;
  await connection.close();
});
reportReady();
await running;
