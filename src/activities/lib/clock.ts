import { brand } from '../../domain/process/ids.js';
import type { Instant } from '../../domain/process/ids.js';

/** Gives the instant now, as the workflow sees it. */
export type Clock = () => Instant;

/**
 * A clock that starts at the workflow's `now` and runs on with real elapsed time, so that evidence made under skipped time carries the skipped
 * instant (design D9) and still orders within one activity.
 */
export function clockFrom(now: Instant): Clock {
  const start = Date.parse(now);
  const began = performance.now();
  return () => brand<Instant>(new Date(start + Math.round(performance.now() - began)).toISOString());
}

export function plusMs(instant: Instant, ms: number): Instant {
  return brand<Instant>(new Date(Date.parse(instant) + ms).toISOString());
}
