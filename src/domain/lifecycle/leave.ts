import type { PersonState, Transition } from '../ledger/types.js';
import type { LifecyclePolicy } from '../policy/types.js';
import type { Instant } from '../process/ids.js';
import { addDays } from '../time/instants.js';

/**
 * When a leave closes the accounts: with its first day where it is an extended one (also where nobody said when it ends), else when it has lasted as long in spite of
 * what was expected. Undefined: it is over before that. Pure.
 */
export function suspendsAt(
  { effectiveAt, leave }: Pick<Transition, 'effectiveAt' | 'leave'>,
  { extendedFromDays }: LifecyclePolicy['leave'],
): Instant | undefined {
  const { days, isReturnKnown } = leave ?? { isReturnKnown: false };
  if (days === undefined || days >= extendedFromDays) return effectiveAt;
  return isReturnKnown ? undefined : addDays(effectiveAt, extendedFromDays);
}

/** How far somebody is on extended leave: `partly` while another employment goes on. */
export type Absence = 'none' | 'partly' | 'wholly';

/** Whether a person is on extended leave at an instant, by all employments that are on leave then: one that is on a short one keeps what it justifies. Pure. */
export function absenceAt(
  state: PersonState,
  transitions: readonly Transition[],
  policy: LifecyclePolicy['leave'],
): Absence {
  const onLeave = state.employments.filter((one) => one.status === 'suspended');
  const isExtended = onLeave.every(({ employmentId }) => {
    const start = transitions.findLast(
      (one) =>
        one.kind === 'leave-start' &&
        one.status === 'standing' &&
        one.employmentId === employmentId &&
        one.effectiveAt <= state.at,
    );
    const at = start === undefined ? undefined : suspendsAt(start, policy);
    return at !== undefined && at <= state.at;
  });
  if (onLeave.length === 0 || !isExtended) return 'none';
  return state.employments.some((one) => one.status === 'active') ? 'partly' : 'wholly';
}
