import type { IdentityId } from '../../src/domain/process/ids.js';
import { spread } from '../statistics.js';
import type { History, HistoryEvent } from '../spine/shape.js';
import type { WaveResult } from './result.js';

/** What one person's leaver did, and when it should have. */
export interface Start {
  readonly identityId: IdentityId;
  readonly dueAt: number;
  /** Histories of all leavers of the person. */
  readonly histories: readonly History[];
}

/**
 * How long after their instants people's processes began. Throws unless everybody has exactly one process, which began at or after its instant and went to work:
 * a figure of something else is no figure. Pure.
 */
export function waveOf(starts: readonly Start[]): WaveResult {
  const toStarted: number[] = [];
  const toWork: number[] = [];
  for (const { identityId, dueAt, histories } of starts) {
    const [history, ...more] = histories;
    if (history === undefined || more.length > 0)
      throw new Error(`${identityId} has ${histories.length} processes instead of one`);
    const events = history.events ?? [];
    const started = events.find((event) => event.workflowExecutionStartedEventAttributes);
    const work = events.find((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'runSweep');
    if (started === undefined || work === undefined) throw new Error(`the process of ${identityId} did no work`);
    const afterMs = wallOf(started) - dueAt;
    if (afterMs < 0) throw new Error(`the process of ${identityId} began ${-afterMs} ms too early`);
    toStarted.push(afterMs);
    toWork.push(wallOf(work) - dueAt);
  }
  return { dueToStartedMs: spread(toStarted), dueToFirstWorkMs: spread(toWork) };
}

function wallOf(event: HistoryEvent): number {
  return Number(event.eventTime?.seconds ?? 0) * 1_000 + (event.eventTime?.nanos ?? 0) / 1_000_000;
}
