import type { Phase } from '../../domain/process/kinds.js';
import { executePhase } from './execute-plan.js';
import type { ProcessRun } from './process-run.js';

/**
 * Waits for every approval that the plan asked for; after each round of decisions the phase is planned anew, so that what was approved is granted only if it
 * is still desired then (edge case 63), and what was denied or expired is left out. `isDecided` is a watch from before the phase was first planned.
 * `amended`: the ledger changed meanwhile.
 */
export async function settleApprovals(
  run: ProcessRun,
  phase: Phase,
  isDecided: () => boolean,
): Promise<'settled' | 'amended'> {
  let isNew = isDecided;
  for (;;) {
    const result = await run.nextDecision(isNew);
    if (result === 'none') return run.isAmended() ? 'amended' : 'settled';
    if (result === 'amended') return 'amended';
    isNew = run.decisionWatch();
    await executePhase(run, phase);
  }
}
