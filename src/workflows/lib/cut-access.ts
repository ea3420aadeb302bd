import { patched, sleep } from '@temporalio/workflow';
import type { VisitId } from '../../domain/process/ids.js';
import type { Phase } from '../../domain/process/kinds.js';
import { bookkeeping, sweeps } from './activities.js';
import { handOnDuties } from './duties.js';
import { executePhase, phaseBeside, startPhase } from './execute-plan.js';
import type { PhaseBeside } from './execute-plan.js';
import type { ProcessRun } from './process-run.js';

const LOOK_AGAIN_MS = 1_000;
const LOOK_AT_MOST_MS = 15_000;

/**
 * Tier 1 and Tier 2: every account disabled and proven, then memberships gone; a target in trouble holds up nobody else. Then whatever an older process still
 * had on the way to a target is waited out and its account cut once more, so that nothing comes back behind the cut (design D3). Tier 3 begins when the first
 * sweeps are over and goes on beside all that: nothing waits for it. Returns the writes that nobody ever heard of again, and what is left of Tier 3.
 */
export async function cutAccess(run: ProcessRun): Promise<{
  readonly lost: readonly VisitId[];
  readonly handover: PhaseBeside | undefined;
}> {
  // Before the plan reads the accounts: what is not in flight now is in the accounts' rows, and no older write begins any more.
  const older = await bookkeeping.olderWrites(run.ref);
  const cut = await startPhase(run, 'cut');
  // Leavers that were cut before kept their duties in Tenure. Awaited below.
  const duties = patched('duties') ? handOnDuties(run) : undefined;
  duties?.catch(() => undefined);
  const deprovision = await startPhase(run, 'deprovision');
  // Leavers that were cut before there was a Tier 3 end without it.
  const handover = patched('handover') ? phaseBeside(run, 'handover') : undefined;
  // Heard of below, not as a rejection that nobody took.
  handover?.catch(() => undefined);
  const [lost] = await Promise.all([
    outlastOlderWrites(run, [...older.live, ...older.unclear], CUT_AGAIN),
    cut.settled,
    deprovision.settled,
    duties,
    ...cut.unseen.map((application) => cutUnseen(run, application)),
  ]);
  return { lost, handover: await handover };
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
  const rounds: Promise<void>[] = [];
  // Beside each other: a target in trouble holds up what has to be taken away at another one no more than the first sweep does.
  const begin = (round: Promise<void>): void => {
    round.catch(() => undefined);
    rounds.push(round);
  };
  let waiting = inFlight;
  for (let pauseMs = LOOK_AGAIN_MS; waiting.length > 0; pauseMs = Math.min(2 * pauseMs, LOOK_AT_MOST_MS)) {
    const writes = await bookkeeping.olderWrites({ ...run.ref, of: waiting });
    if (writes.ended.length > 0) begin(executeAll(run, again));
    for (const visitId of writes.unclear) begin(takeAwayLost(run, visitId, again));
    lost.push(...writes.unclear);
    waiting = writes.live;
    if (waiting.length > 0) await sleep(pauseMs, { summary: 'an older write is still on its way to a target' });
  }
  await Promise.all(rounds);
  return lost;
}

/** A write without an answer: what it brought goes now, and what it still brings a moment later goes then. */
async function takeAwayLost(run: ProcessRun, visitId: VisitId, again: readonly Phase[]): Promise<void> {
  await cutLostWrites(run, [visitId], again);
  await sleep(run.schedule.recutSettleMs, { summary: 'a write without an answer may still land' });
  await cutLostWrites(run, [visitId], again);
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
