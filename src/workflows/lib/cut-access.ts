import { sleep } from '@temporalio/workflow';
import type { Instant } from '../../domain/process/ids.js';
import { bookkeeping, sweeps } from './activities.js';
import { executePhase, startPhase } from './execute-plan.js';
import type { ProcessRun } from './process-run.js';
import { now } from './wait.js';

/** Writes that ended this shortly before the cut may not be in the plan's view of the accounts yet. */
const MARGIN_MS = 2_000;
const LOOK_AGAIN_MS = 1_000;

/**
 * Tier 1 and Tier 2: every account disabled and proven, then memberships gone; a target in trouble holds up nobody else. Then whatever an older process still
 * had on the way to a target is waited out and its account cut once more, so that nothing comes back behind the cut (design D3).
 */
export async function cutAccess(run: ProcessRun): Promise<void> {
  const since = new Date(Date.now() - MARGIN_MS).toISOString() as Instant;
  const cut = await startPhase(run, 'cut');
  const deprovision = await startPhase(run, 'deprovision');
  await Promise.all([
    cut.settled,
    deprovision.settled,
    outlastOlderWrites(run, since),
    ...cut.unseen.map((application) => cutUnseen(run, application)),
  ]);
}

/** An account that the person's first sign-in made without us is found and cut like the others; a target that cannot be read is asked again until it can. */
async function cutUnseen(run: ProcessRun, application: string): Promise<void> {
  let found = 0;
  await run.withOperator(async () => {
    const { linked } = await sweeps(true, `look for an account at ${application}`).linkJitAccount({
      ...run.ref,
      application,
    });
    found = linked;
  });
  if (found === 0) return;
  await executePhase(run, 'cut');
  await executePhase(run, 'deprovision');
}

async function outlastOlderWrites(run: ProcessRun, cutAt: Instant): Promise<void> {
  let since = cutAt;
  for (;;) {
    const writes = await bookkeeping.olderWrites({ ...run.ref, since });
    if (writes.unclear.length > 0)
      await sweeps(true, 'read what became of unclear writes').recoverLostWrites({
        ...run.ref,
        visitIds: writes.unclear,
      });
    if (writes.wroteSince || writes.unclear.length > 0) {
      since = now();
      await executePhase(run, 'cut');
      await executePhase(run, 'deprovision');
    } else if (writes.inFlight === 0) {
      return;
    }
    if (writes.inFlight > 0) await sleep(LOOK_AGAIN_MS, { summary: 'an older write is still on its way to a target' });
  }
}
