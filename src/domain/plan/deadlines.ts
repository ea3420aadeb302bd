import type { LifecyclePolicy } from '../policy/types.js';
import type { Instant } from '../process/ids.js';
import type { Tier } from '../process/kinds.js';
import { addMilliseconds, laterOf } from '../time/instants.js';
import type { Operation, Plan, PlannedVisit } from './types.js';

/** The instants that deadlines of a process count from. */
export interface DeadlineClock {
  /** When access ends. */
  readonly effectiveAt: Instant;
  /** When the fact that ends it was recorded: nobody can be on time for what nobody said. */
  readonly knownAt: Instant;
  /** When the phase was planned: archive and delete fall due then. */
  readonly plannedAt: Instant;
}

/** The plan with the deadline of each operation, as policy has it. The hash stays: the same work has the same hash. Pure. */
export function withDeadlines(plan: Plan, lifecycle: LifecyclePolicy, clock: DeadlineClock): Plan {
  return { ...plan, visits: plan.visits.map((visit) => visitWithDeadlines(visit, lifecycle, clock)) };
}

function visitWithDeadlines(visit: PlannedVisit, lifecycle: LifecyclePolicy, clock: DeadlineClock): PlannedVisit {
  const { tier } = visit;
  if (tier === undefined) {
    return visit;
  }
  const from = tier === 'T4' ? clock.plannedAt : laterOf(clock.effectiveAt, clock.knownAt);
  const operations = visit.operations.map((one) => ({
    ...one,
    deadlineAt: addMilliseconds(from, allowedMs(one, tier, lifecycle)),
  }));
  return { ...visit, operations };
}

/** What a person does by hand is due with its most urgent step. */
function allowedMs({ kind, steps = [] }: Operation, tier: Tier, lifecycle: LifecyclePolicy): number {
  const { deadlineMs, operations } = lifecycle.tiers[tier];
  return steps.length > 0
    ? Math.min(...steps.map((step) => allowedMs(step, tier, lifecycle)))
    : (operations[kind] ?? deadlineMs);
}

/** The first deadline among operations; undefined when none has one. */
export function earliestDeadline(operations: readonly Operation[]): Instant | undefined {
  return operations
    .flatMap((one) => one.deadlineAt ?? [])
    .sort()
    .at(0);
}

/** Whether a deadline was kept: by the instant of the proof, or, while there is none, by what time it is. Pure. */
export function deadlineState(
  deadlineAt: Instant,
  provenAt: Instant | undefined,
  now: Instant,
): 'met' | 'missed' | 'open' {
  if (provenAt !== undefined) {
    return provenAt <= deadlineAt ? 'met' : 'missed';
  }
  return now <= deadlineAt ? 'open' : 'missed';
}
