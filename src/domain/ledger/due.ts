import type { Instant } from '../process/ids.js';
import { compare } from '../time/instants.js';
import type { Transition } from './types.js';

export interface Due {
  readonly at: Instant;
  /** What falls due at that instant, cuts first. A leaver appears at its notice and again at its end. */
  readonly transitions: readonly Transition[];
}

/** Standing transitions whose first instant (notice, else effect) has come, in the order in which they are carried out. Lead times are policy's. */
export function dueBy(transitions: readonly Transition[], now: Instant): Transition[] {
  return transitions.filter((one) => one.status === 'standing' && firstInstant(one) <= now);
}

/** The next instant strictly after `after` at which a standing transition gives notice or takes effect; undefined when there is none. */
export function nextDue(transitions: readonly Transition[], after: Instant): Due | undefined {
  const standing = transitions.filter((one) => one.status === 'standing');
  const at = standing
    .flatMap(instantsOf)
    .filter((instant) => instant > after)
    .sort(compare)[0];
  return at === undefined ? undefined : { at, transitions: standing.filter((one) => instantsOf(one).includes(at)) };
}

function instantsOf(one: Transition): Instant[] {
  return one.noticeAt === undefined ? [one.effectiveAt] : [one.noticeAt, one.effectiveAt];
}

function firstInstant(one: Transition): Instant {
  return one.noticeAt ?? one.effectiveAt;
}
