import type { Transition } from '../ledger/types.js';
import type { LifecyclePolicy } from '../policy/types.js';
import type { Instant } from '../process/ids.js';
import { addDays } from '../time/instants.js';

/** When a sponsor is told that a contract ends. */
export interface Warning {
  readonly days: number;
  readonly at: Instant;
}

/** The warnings before an employment ends by its contract, earliest first; none for any other end, which somebody decided and knows of. Pure. */
export function warningsOf(
  { kind, manner, effectiveAt }: Pick<Transition, 'kind' | 'manner' | 'effectiveAt'>,
  { warnDays }: LifecyclePolicy['contractEnd'],
): readonly Warning[] {
  if (kind !== 'leaver' || manner !== 'contract-end') return [];
  return warnDays.map((days) => ({ days, at: addDays(effectiveAt, -days) }));
}
