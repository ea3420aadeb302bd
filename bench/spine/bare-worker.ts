import { fileURLToPath } from 'node:url';
import { runBenchWorker } from '../workflow-worker.js';
import { filling } from './filling.js';

/** Activities that cost the engine what any activity costs whose result has so many bytes, and nothing more. */
const fill = ({ got }: { readonly got: number }): Promise<string> => Promise.resolve(filling(got));
const activities = {
  local: fill,
  regular: (input: { readonly got: number; readonly load: string }): Promise<string> => fill(input),
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
