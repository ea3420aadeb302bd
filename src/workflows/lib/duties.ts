import { bookkeeping, duties } from './activities.js';
import type { ProcessRun } from './process-run.js';

/** Hands on what waits for a leaver's decision. Runs beside the cut, which never waits for it; costs one look in our own database where there is nothing. */
export async function handOnDuties(run: ProcessRun): Promise<void> {
  const { approvals } = await bookkeeping.dutiesOf(run.ref);
  if (approvals > 0) await duties.handOnApprovals(run.ref);
}
