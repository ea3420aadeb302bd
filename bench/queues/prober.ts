import { fileURLToPath } from 'node:url';
import { runBenchWorker } from '../workflow-worker.js';

/** Runs the workflows that ask for visits; in a process of its own, so that the measured worker has nothing but visits to do. */
await runBenchWorker({
  taskQueue: 'prober',
  workflowBundle: { codePath: fileURLToPath(new URL('./probe-bundle.js', import.meta.url)) },
});
