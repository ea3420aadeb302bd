import { DefaultLogger, NativeConnection, Runtime, Worker, makeTelemetryFilterString } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { loadConfig } from '../src/config.js';
import { onStop, reportReady } from '../src/embedded/child.js';

/** Runs a bench's own workflows as a child of the stack until it is stopped. */
export async function runBenchWorker(options: Omit<WorkerOptions, 'connection' | 'namespace'>): Promise<void> {
  const config = loadConfig();
  installQuietRuntime();
  const connection = await NativeConnection.connect(config.temporal.connection ?? {});
  const worker = await Worker.create({ connection, namespace: config.temporal.namespace, ...options });
  const running = worker.run();
  onStop(async () => {
    if (worker.getState() === 'RUNNING') worker.shutdown();
    await running;
    await connection.close();
  });
  reportReady();
  await running;
}

/** Signals are the child's own to answer, and nothing below a warning is told. */
export function installQuietRuntime(): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('WARN'),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) } },
  });
}
