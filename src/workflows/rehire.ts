import { getExternalWorkflowHandle, sleep } from '@temporalio/workflow';
import { startWork } from './joiner.js';
import { bookkeeping } from './lib/activities.js';
import { ProcessRun } from './lib/process-run.js';
import { quietly } from './lib/quietly.js';
import { stopTailSignal } from './messages.js';
import type { ProcessInput, ProcessResult } from './messages.js';

const LOOK_AGAIN_MS = 500;
const LOOK_AT_MOST_MS = 5 * 60_000;

/**
 * Someone comes back (also: an end that was withdrawn after the cut). A do-not-rehire flag stops before any account; the former leaver's tail is stopped and
 * waited for, so that a pending deletion cannot hit the returned person; then access is computed anew on the former accounts as far as they exist. What
 * they used to carry is not restored (edge cases 36, 39, 41, 42).
 */
export async function rehireWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    while (run.schedule.doNotRehire) {
      if ((await run.askOperator({ kind: 'do-not-rehire', code: 'flag-set' })) === 'skip') return 'stopped-by-flag';
      await run.open();
    }
    await stopTails(run);
    await run.withOperator(() => bookkeeping.reserveNames({ ...run.ref, renames: false }));
    return startWork(run);
  });
}

async function stopTails(run: ProcessRun): Promise<void> {
  for (let pauseMs = LOOK_AGAIN_MS; run.schedule.tails.length > 0; pauseMs = Math.min(2 * pauseMs, LOOK_AT_MOST_MS)) {
    for (const tail of run.schedule.tails) {
      await quietly(getExternalWorkflowHandle(tail.workflowId).signal(stopTailSignal));
    }
    await sleep(pauseMs, { summary: 'the former process ends its retention' });
    await run.open();
  }
}
