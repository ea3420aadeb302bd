import { bookkeeping } from './lib/activities.js';
import { settleApprovals } from './lib/approvals.js';
import { executePhase } from './lib/execute-plan.js';
import { ProcessRun } from './lib/process-run.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * Someone's attributes change (also a name change and a conversion: accounts are renamed and updated, never made anew). New access first; old access goes when
 * the grace period ends, and only what is still not desired then, so a move that flips back nets to nothing (edge cases 20, 23, 24, 43).
 */
export async function moverWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    for (;;) {
      const isDecided = run.decisionWatch();
      await run.withOperator(() => bookkeeping.reserveNames({ ...run.ref, renames: true }));
      await executePhase(run, 'grant');
      await Promise.all([settleApprovals(run, 'grant', isDecided), takeOldAccess(run)]);
      if (!run.isAmended()) return 'moved';
      // Amended in flight: plan again against what is done by now.
      await run.open();
      if (run.schedule.status === 'ended') return 'ended';
    }
  });
}

async function takeOldAccess(run: ProcessRun): Promise<void> {
  const scope = await bookkeeping.fixRevokeScope(run.ref);
  if (!scope.any) return;
  const result = await run.untilDue((schedule) => schedule.graceUntil, 'grace-period');
  if (result !== 'due') return;
  await executePhase(run, 'revoke');
  await run.waitsForDecisionsAgain();
}
