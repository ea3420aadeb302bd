import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker, makeTelemetryFilterString } from '@temporalio/worker';
import { loadConfig } from '../../src/config.js';
import { onStop, reportReady } from '../../src/embedded/child.js';

/** Activities that cost the engine what any activity costs, and nothing more. */
const activities = {
  local: (_input: { readonly now: string }): Promise<void> => Promise.resolve(),
  regular: (_input: { readonly now: string }): Promise<void> => Promise.resolve(),
};
export type BareActivities = typeof activities;

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
  taskQueue: 'bare',
  workflowBundle: { codePath: fileURLToPath(new URL('./bare-bundle.js', import.meta.url)) },
  activities,
  // The same slots as Tenure's worker for its lifecycle queue.
  maxConcurrentActivityTaskExecutions: 40,
  maxConcurrentLocalActivityExecutions: 40,
});
const running = worker.run();
onStop(async () => {
  if (worker.getState() === 'RUNNING') worker.shutdown();
  await running;
  await connection.close();
});
reportReady();
await running;
