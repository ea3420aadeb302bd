import { bookkeeping } from './lib/activities.js';
import { settleApprovals } from './lib/approvals.js';
import { executePhase } from './lib/execute-plan.js';
import { ProcessRun } from './lib/process-run.js';
import { now } from './lib/wait.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * Someone starts. Reserves the user name before any write, makes the accounts ahead of the start (disabled, where they may be seen), opens them at the start
 * instant in the work location's zone, and grants what needs a yes when it has one. A start that moves is waited for anew; one that is rescinded before
 * anything was written releases the name, one after that is undone by its own process.
 */
export async function joinerWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    run.saga.add('names', () => bookkeeping.releaseNames(run.ref));
    await run.withOperator(() => bookkeeping.reserveNames({ ...run.ref, renames: false }));
    return startWork(run);
  });
}

/** From prepared accounts to access in use; a joiner and a rehire share it. What the ledger changes meanwhile is planned anew (edge cases 4, 7). */
export async function startWork(run: ProcessRun): Promise<string> {
  for (;;) {
    // Also after a first activation: a start that moves away again is waited for, not taken for begun.
    if (!(await untilStart(run))) return 'transition-cancelled';
    run.saga.keep();
    const isDecided = run.decisionWatch();
    await executePhase(run, 'activate');
    if ((await settleApprovals(run, 'activate', isDecided)) === 'settled') return 'provisioned';
    await run.open();
    if (run.isCancelled) return 'superseded-by-undo';
  }
}

/** Accounts are made ahead of the start, then the start is waited for, wherever it moves. False when it was withdrawn. */
async function untilStart(run: ProcessRun): Promise<boolean> {
  while (run.schedule.effectiveAt > now()) {
    await executePhase(run, 'provision');
    if ((await run.untilDue((schedule) => schedule.effectiveAt, 'date')) === 'due') return true;
    await run.open();
    if (run.isCancelled) return false;
  }
  return true;
}
