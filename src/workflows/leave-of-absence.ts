import { condition } from '@temporalio/workflow';
import { bookkeeping } from './lib/activities.js';
import { settleApprovals } from './lib/approvals.js';
import { executePhase, phaseBeside } from './lib/execute-plan.js';
import { ProcessRun } from './lib/process-run.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * A leave of absence: its start closes every account and proves it, where policy calls the leave an extended one; its end opens exactly that again, as far as policy
 * still gives it. Two processes, each for its own transition; whichever is newer takes the place of the other, and a cut that of both.
 */
export async function leaveWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(() => (input.kind === 'leave-end' ? resume(run) : suspend(run)));
}

/** A target in trouble holds up nobody else. A leave that HR takes back, or moves ahead, meanwhile is opened again by a process of its own. */
async function suspend(run: ProcessRun): Promise<string> {
  for (;;) {
    const closing = await phaseBeside(run, 'suspend');
    await condition(() => closing.isDone() || run.isAmended());
    if (closing.failure() !== undefined) throw closing.failure();
    if (!run.isAmended()) return 'suspended';
    await closing.stop();
    await run.open();
    if (run.isCancelled) return 'reopened';
  }
}

async function resume(run: ProcessRun): Promise<string> {
  for (;;) {
    const isDecided = run.decisionWatch();
    await executePhase(run, 'resume');
    if ((await settleApprovals(run, 'resume', isDecided)) === 'settled') break;
    await run.open();
    if (run.isCancelled) return 'reopened';
  }
  const { keptClosed } = await bookkeeping.endSuspensions(run.ref);
  return keptClosed === 0 ? 'resumed' : 'resumed-in-part';
}
