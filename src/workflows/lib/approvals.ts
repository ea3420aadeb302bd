import type { Phase } from '../../domain/process/kinds.js';
import { executePhase } from './execute-plan.js';
import type { ProcessRun } from './process-run.js';

/**
 * Waits for every approval that the plan asked for; after each round of decisions the phase is planned anew, so that what was approved is granted only if it
 * is still desired then (edge case 63), and what was denied or expired is left out. `amended`: the ledger changed meanwhile.
 */
export async function settleApprovals(
  run: ProcessRun,
  phase: Phase,
  isAmended: () => boolean,
): Promise<'settled' | 'amended'> {
  for (;;) {
    const result = await run.nextDecision(isAmended);
    if (result === 'none') return 'settled';
    if (result === 'amended') return 'amended';
    await executePhase(run, phase);
  }
}
