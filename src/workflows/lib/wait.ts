import { condition } from '@temporalio/workflow';
import type { Instant } from '../../domain/process/ids.js';

/** Long waits are cut into pieces, so that a sleeping run looks around at least this often (upgrade on continue-as-new, temporal.md section 4). */
const CHUNK_MS = 7 * 86_400_000;

/** The instant now, as the workflow sees it. */
export function now(): Instant {
  return new Date().toISOString() as Instant;
}

/**
 * Waits for an absolute instant that may move while it waits: `until` is asked again at every wake-up. Returns `due` when it has come, `woken` as soon as
 * `isWoken` holds. An instant in the past is due at once.
 */
export async function waitUntil(
  until: () => Instant,
  isWoken: () => boolean,
  summary: string,
): Promise<'due' | 'woken'> {
  for (;;) {
    if (isWoken()) return 'woken';
    const deadline = until();
    const leftMs = Date.parse(deadline) - Date.now();
    if (leftMs <= 0) return 'due';
    const moved = (): boolean => isWoken() || until() !== deadline;
    await condition(moved, Math.min(leftMs, CHUNK_MS), { summary });
  }
}
