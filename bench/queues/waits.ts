import type proto from '@temporalio/proto';
import { spread } from '../statistics.js';
import type { Spread } from '../statistics.js';

type Events = NonNullable<proto.temporal.api.history.v1.IHistory['events']>;

/** One activity between the moments when it was put on its queue and when a worker took it. */
export interface Wait {
  readonly startedAtMs: number;
  /** Undefined: not ended. */
  readonly endedAtMs: number | undefined;
  readonly waitedMs: number;
}

/** The waits of a history's activities. One that was never taken is not in it: history does not show it. */
export function waitsOf(events: Events): readonly Wait[] {
  const scheduled = new Map<string, number>();
  const ends = new Map<string, number>();
  const started: { readonly id: string; readonly at: number }[] = [];
  for (const { eventId, eventTime, ...event } of events) {
    const at = millis(eventTime);
    if (event.activityTaskScheduledEventAttributes) scheduled.set(String(eventId), at);
    const start = event.activityTaskStartedEventAttributes;
    if (start) started.push({ id: String(start.scheduledEventId), at });
    const end =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes;
    if (end) ends.set(String(end.scheduledEventId), at);
  }
  return started.map(({ id, at }) => ({
    startedAtMs: at,
    endedAtMs: ends.get(id),
    waitedMs: at - (scheduled.get(id) ?? at),
  }));
}

export function waitSpread(waits: readonly Wait[]): Spread {
  return spread(waits.map(({ waitedMs }) => waitedMs));
}

/** How many were held at one moment, at most. */
export function atOnce(waits: readonly Wait[]): number {
  const edges = waits.flatMap(({ startedAtMs, endedAtMs }) => [
    { at: startedAtMs, step: 1 },
    ...(endedAtMs === undefined ? [] : [{ at: endedAtMs, step: -1 }]),
  ]);
  // What ends at the moment when another begins was not held together with it.
  edges.sort((left, right) => left.at - right.at || left.step - right.step);
  let held = 0;
  return edges.reduce((most, { step }) => Math.max(most, (held += step)), 0);
}

function millis(time: proto.google.protobuf.ITimestamp | null | undefined): number {
  return Number(time?.seconds ?? 0) * 1_000 + Number(time?.nanos ?? 0) / 1e6;
}
