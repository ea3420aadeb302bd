import type { Instant, PlanId, VisitId } from '../domain/process/ids.js';
import { HELD_BACK } from '../domain/process/outcome.js';
import type { VisitOutcome } from '../domain/process/outcome.js';
import type { ActivityDeps } from './deps.js';
import { failureOf } from './lib/boundary.js';
import { clockFrom, plusMs } from './lib/clock.js';
import { runVisit } from './visit/run-visit.js';

export interface SweepInput {
  readonly planId: PlanId;
  /** The visits to run now; the others of the plan are settled or on their own. */
  readonly visitIds: readonly VisitId[];
  readonly now: Instant;
}

export interface Beat {
  readonly signal: AbortSignal;
  heartbeat(detail: { readonly done: number; readonly of: number }): void;
}

/**
 * A sweep runs the visits of one plan concurrently, each as soon as the visits it depends on are settled (design D15). It waits for nothing: a visit
 * that is slow, held back, unclear or failed leaves it with its reason, and what depends on that visit stays blocked. Repeating a sweep runs only what is
 * not settled yet.
 */
export async function runSweep(
  deps: ActivityDeps,
  input: SweepInput,
  beat: Beat & Elapsed,
): Promise<readonly VisitOutcome[]> {
  const found = await Promise.all(input.visitIds.map((visitId) => deps.visitRows.visit(visitId)));
  const rows = found.filter((row) => row !== undefined);
  const clock = clockFrom(plusMs(input.now, beat.sinceScheduledMs));
  const outcomes = new Map<VisitId, VisitOutcome>();
  const settledApplications = new Set<string>();
  let waiting = rows;
  while (waiting.length > 0 && !beat.signal.aborted) {
    const open = new Set<string>(
      rows.filter((row) => !settledApplications.has(row.application)).map((row) => row.application),
    );
    const ready = waiting.filter((row) => row.depends_on.every((slug) => !open.has(slug)));
    if (ready.length === 0) break;
    const isJustRead = waiting === rows;
    waiting = waiting.filter((row) => !ready.includes(row));
    await Promise.all(
      ready.map(async (row) => {
        const outcome = await runVisit(deps, {
          visitId: row.visit_id,
          // Whoever had to wait for others is read again.
          ...(isJustRead ? { row } : {}),
          clock,
          signal: beat.signal,
          progress: () => undefined,
        });
        outcomes.set(row.visit_id, outcome);
        beat.heartbeat({ done: outcomes.size, of: rows.length });
        if (outcome.kind === 'settled') settledApplications.add(row.application);
      }),
    );
  }
  return rows.map(
    (row) => outcomes.get(row.visit_id) ?? { visitId: row.visit_id, application: row.application, kind: 'blocked' },
  );
}

export interface SingleVisitInput {
  /** The code of the outcome that this visit has waited for. */
  readonly after: string;
  readonly visitId: VisitId;
  readonly now: Instant;
}

/** The input's `now` is the instant at which the workflow asked; this is how long it then took until the work began (the queue, earlier tries). */
export interface Elapsed {
  readonly sinceScheduledMs: number;
}

/** How long one call may take once a visit goes on by itself, out of everybody's way. */
const ALONE_TIMEOUT_MS = 30_000;

/**
 * A troubled visit on its own, on its application's queue. Raises a retryable failure (with the target's own delay) while the target stays down, so that
 * Temporal owns the waiting and operators see exactly the troubled ones; every other outcome is returned.
 */
export async function runSingleVisit(
  deps: ActivityDeps,
  input: SingleVisitInput,
  beat: Beat & Elapsed,
): Promise<VisitOutcome> {
  const outcome = await runVisit(deps, {
    visitId: input.visitId,
    clock: clockFrom(plusMs(input.now, beat.sinceScheduledMs)),
    signal: beat.signal,
    timeoutMs: ALONE_TIMEOUT_MS,
    after: input.after,
    progress: () => {
      beat.heartbeat({ done: 0, of: 1 });
    },
  });
  if (outcome.kind === 'later' && !HELD_BACK.has(outcome.code))
    throw failureOf({ type: 'TargetUnavailable', code: outcome.code, retryAfterMs: outcome.retryAfterMs, sent: false });
  return outcome;
}
