import { bookkeeping, wakers } from './lib/activities.js';
import { now } from './lib/wait.js';

/** Somebody may be woken twice; nobody may be forgotten. Pages, so that a backlog after a long downtime stays small in history. */
const PAGE = 500;
const HORIZON_MS = 24 * 3_600_000;

/** Wakes the identity workflows of everybody whose next transition comes within the horizon, earliest first (edge case 8). */
export async function dueIdentitiesWorkflow(): Promise<{ woken: number }> {
  let woken = 0;
  let after: { readonly dueAt: string; readonly identityId: string } | undefined;
  for (;;) {
    const page = await bookkeeping.listDue({
      now: now(),
      horizonMs: HORIZON_MS,
      limit: PAGE,
      ...(after === undefined ? {} : { after }),
    });
    if (page.identityIds.length === 0) return { woken };
    await wakers.wakeIdentities({ identityIds: page.identityIds });
    woken += page.identityIds.length;
    if (page.after === undefined) return { woken };
    after = page.after;
  }
}
