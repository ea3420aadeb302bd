import { bookkeeping } from './lib/activities.js';
import { cutAccess } from './lib/cut-access.js';
import { executePhase } from './lib/execute-plan.js';
import { ProcessRun } from './lib/process-run.js';
import { now } from './lib/wait.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * Someone ends. What notice costs goes when notice is given; at the end of the last working day (or at once) every access is cut and proven, then what is
 * left is archived and deleted in its time. Goes forward only: nothing here is ever undone because a later step failed (design D6).
 */
export async function leaverWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    if (input.kind === 'rescinded-hire') return undoHire(run);
    if (run.schedule.effectiveAt > now()) {
      await executePhase(run, 'notice');
      if ((await run.untilDue((schedule) => schedule.effectiveAt, 'date')) !== 'due') return 'transition-cancelled';
      await run.enterCut();
    }
    await cutAccess(run);
    return retain(run);
  });
}

/** Retention: out of the person's queue, stopped by a rehire, ended when the leaver's own transition is withdrawn. */
async function retain(run: ProcessRun): Promise<string> {
  const archive = await run.untilDue((schedule) => schedule.archiveAt, 'retention', 'tail');
  if (archive !== 'due') return archive === 'stopped' ? 'rehired' : 'reopened';
  await executePhase(run, 'archive');
  const removal = await run.untilDue((schedule) => schedule.deleteAt, 'retention', 'tail');
  if (removal !== 'due') return removal === 'stopped' ? 'rehired' : 'reopened';
  await executePhase(run, 'delete');
  await bookkeeping.releaseNames(run.ref);
  return 'deleted';
}

/** The exact undo of a joiner whose hire was rescinded: what it made is gone, what was there before is closed, the name stays blocked (edge case 9). */
async function undoHire(run: ProcessRun): Promise<string> {
  await run.enterCut();
  await executePhase(run, 'undo');
  await bookkeeping.releaseNames(run.ref);
  return 'undone';
}
