import { fileURLToPath } from 'node:url';
import { runBenchWorker } from '../workflow-worker.js';

/** Activities that cost the engine what any activity costs, and nothing more. */
const activities = {
  local: (_input: { readonly now: string }): Promise<void> => Promise.resolve(),
  regular: (_input: { readonly now: string }): Promise<void> => Promise.resolve(),
};
export type BareActivities = typeof activities;

await runBenchWorker({
  taskQueue: 'bare',
  workflowBundle: { codePath: fileURLToPath(new URL('./bare-bundle.js', import.meta.url)) },
  activities,
  // The same slots as Tenure's worker for its lifecycle queue.
  maxConcurrentActivityTaskExecutions: 40,
  maxConcurrentLocalActivityExecutions: 40,
});
