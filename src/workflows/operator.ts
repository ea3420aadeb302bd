import { ProcessRun } from './lib/process-run.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/** A leave of absence that opened before leaves had a process of their own: a person is asked to carry it out and says when it is done. */
export async function operatorWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    const resolution = await run.askOperator({ kind: 'leave', code: input.kind });
    return resolution === 'skip' ? 'skipped' : 'by-hand';
  });
}
