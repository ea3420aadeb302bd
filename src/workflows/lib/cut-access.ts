import { sleep } from '@temporalio/workflow';
import type { VisitId } from '../../domain/process/ids.js';
import type { Phase } from '../../domain/process/kinds.js';
import { bookkeeping, sweeps } from './activities.js';
import { executePhase, startPhase } from './execute-plan.js';
import type { ProcessRun } from './process-run.js';

const LOOK_AGAIN_MS = 1_000;

/**
 * Tier 1 and Tier 2: every account disabled and proven, then memberships gone; a target in trouble holds up nobody else. Then whatever an older process still
 * had on the way to a target is waited out and its account cut once more, so that nothing comes back behind the cut (design D3). Returns the writes that nobody
 * ever heard of again.
 */
export async function cutAccess(run: ProcessRun): Promise<readonly VisitId[]> {
  // Before the plan reads the accounts: what is not in flight now is in the accounts' rows, and no older write begins any more.
  const older = await bookkeeping.olderWrites(run.ref);
  const cut = await startPhase(run, 'cut');
  const deprovision = await startPhase(run, 'deprovision');
  const [lost] = await Promise.all([
    outlastOlderWrites(run, [...older.live, ...older.unclear], CUT_AGAIN),
    cut.settled,
    deprovision.settled,
    ...cut.unseen.map((application) => cutUnseen(run, application)),
  ]);
  return lost;
}

const CUT_AGAIN: readonly Phase[] = ['cut', 'deprovision'];

/** An account that the person's first sign-in made without us is found and cut like the others; a target that cannot be read is asked again until it can. */
async function cutUnseen(run: ProcessRun, application: string): Promise<void> {
  let found = 0;
  await run.withOperator(async () => {
    const { linked } = await sweeps(true, `look for an account at ${application}`).linkJitAccount({
      ...run.ref,
      application,
    });
    found = linked;
  }, application);
  if (found === 0) return;
  await executePhase(run, 'cut');
  await executePhase(run, 'deprovision');
}

/**
 * Waits out the writes that older processes had in flight when the fence went up, and takes away once more what they brought. Returns those that were never
 * answered.
 */
export async function outlastOlderWrites(
  run: ProcessRun,
  inFlight: readonly VisitId[],
  again: readonly Phase[],
): Promise<readonly VisitId[]> {
  const lost: VisitId[] = [];
  let waiting = inFlight;
  while (waiting.length > 0) {
    const writes = await bookkeeping.olderWrites({ ...run.ref, of: waiting });
    if (writes.unclear.length > 0) await recover(run, writes.unclear);
    if (writes.unclear.length + writes.ended.length > 0) await executeAll(run, again);
    lost.push(...writes.unclear);
    waiting = writes.live;
    if (waiting.length > 0) await sleep(LOOK_AGAIN_MS, { summary: 'an older write is still on its way to a target' });
  }
  if (lost.length === 0) return lost;
  await sleep(run.schedule.recutSettleMs, { summary: 'a write without an answer may still land' });
  await cutLostWrites(run, lost, again);
  return lost;
}

/** Looks once more for what writes without an answer became, and takes it away. */
export async function cutLostWrites(
  run: ProcessRun,
  lost: readonly VisitId[],
  again: readonly Phase[] = CUT_AGAIN,
): Promise<void> {
  await recover(run, lost);
  await executeAll(run, again);
}

async function recover(run: ProcessRun, visitIds: readonly VisitId[]): Promise<void> {
  const reach = sweeps(true, 'read what became of writes without an answer');
  await Promise.all(
    visitIds.map((visitId) => run.withOperator(() => reach.recoverLostWrites({ ...run.ref, visitIds: [visitId] }))),
  );
}

async function executeAll(run: ProcessRun, phases: readonly Phase[]): Promise<void> {
  for (const phase of phases) await executePhase(run, phase);
}
