import { ProcessRun } from './lib/process-run.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/** A transition whose own process is not built yet (leave of absence): a person is asked to carry it out and says when it is done. */
export async function operatorWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    const resolution = await run.askOperator({ kind: 'leave', code: input.kind });
    return resolution === 'skip' ? 'skipped' : 'by-hand';
  });
}
