import proto from '@temporalio/proto';

export type History = proto.temporal.api.history.v1.IHistory;
export type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

type StepKind = 'local' | 'activity' | 'child' | 'signal' | 'upsert' | 'timer' | 'await-signal' | 'await-child';

/**
 * One thing that a workflow asked of the engine, or waited for, in the order of its history. `timer` is a wait for the next signal with a deadline,
 * `await-signal` the signal that came, `await-child` the end of the child.
 */
export interface Step {
  readonly do: StepKind;
  /** Bytes that it hands over, and that come back, as the history has them: the engine stores and carries them. */
  readonly sent: number;
  readonly got: number;
}

/** What one workflow cost the engine, counted in its recorded history. */
export interface Shape {
  readonly events: number;
  readonly workflowTasks: number;
  /** Tried in vain and repeated: what arrived meanwhile made them worthless. */
  readonly failedWorkflowTasks: number;
  readonly activities: number;
  readonly localActivities: number;
  readonly children: number;
  readonly signalsSent: number;
  readonly signalsReceived: number;
  readonly updates: number;
  readonly upserts: number;
  readonly timers: number;
}

const { EventType } = proto.temporal.api.enums.v1;
const LOCAL_ACTIVITY_MARKER = 'core_local_activity';

/** Counts what a history holds. */
export function shapeOf(history: History): Shape {
  const events = history.events ?? [];
  const count = (type: proto.temporal.api.enums.v1.EventType): number =>
    events.filter((event) => event.eventType === type).length;
  return {
    events: events.length,
    workflowTasks: count(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED),
    failedWorkflowTasks:
      count(EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED) + count(EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT),
    activities: count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED),
    localActivities: events.filter(isLocalActivity).length,
    children: count(EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED),
    signalsSent: count(EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED),
    signalsReceived: count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED),
    updates: count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED),
    upserts: count(EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES),
    timers: count(EventType.EVENT_TYPE_TIMER_STARTED),
  };
}

/** The same as a script that a bare workflow can play. */
export function scriptOf(history: History): readonly Step[] {
  const events = history.events ?? [];
  return events.flatMap((event) => {
    const kind = kindOf(event);
    return kind === undefined ? [] : { do: kind, sent: sentBytes(event), got: gotBytes(event, events) };
  });
}

/** What two shapes differ in that a script decides; workflow tasks, and with them events, also depend on what happens to arrive together. */
export function differences(expected: Shape, found: Shape): readonly string[] {
  const decided = ['activities', 'localActivities', 'children', 'signalsSent', 'updates', 'upserts'] as const;
  return decided
    .filter((name) => expected[name] !== found[name])
    .map((name) => `${name}: ${expected[name]} expected, ${found[name]} found`);
}

function kindOf(event: HistoryEvent): StepKind | undefined {
  switch (event.eventType) {
    case EventType.EVENT_TYPE_MARKER_RECORDED:
      return isLocalActivity(event) ? 'local' : undefined;
    case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
      return 'activity';
    case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
      return 'child';
    case EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
      return 'signal';
    case EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
      return 'upsert';
    case EventType.EVENT_TYPE_TIMER_STARTED:
      return 'timer';
    case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
      return 'await-signal';
    case EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
      return 'await-child';
    default:
      return undefined;
  }
}

function sentBytes(event: HistoryEvent): number {
  return bytesOf(
    event.activityTaskScheduledEventAttributes?.input ??
      event.startChildWorkflowExecutionInitiatedEventAttributes?.input ??
      event.signalExternalWorkflowExecutionInitiatedEventAttributes?.input,
  );
}

/** The result of a local activity is in its own event, that of another one in a later event. */
function gotBytes(event: HistoryEvent, events: readonly HistoryEvent[]): number {
  if (isLocalActivity(event)) return bytesOf(event.markerRecordedEventAttributes?.details?.['result']);
  if (!event.activityTaskScheduledEventAttributes) return 0;
  const completed = events
    .map((one) => one.activityTaskCompletedEventAttributes)
    .find((one) => String(one?.scheduledEventId) === String(event.eventId));
  return bytesOf(completed?.result);
}

function bytesOf(payloads: proto.temporal.api.common.v1.IPayloads | null | undefined): number {
  return (payloads?.payloads ?? []).reduce((sum, payload) => sum + (payload.data?.length ?? 0), 0);
}

function isLocalActivity(event: HistoryEvent): boolean {
  return event.markerRecordedEventAttributes?.markerName === LOCAL_ACTIVITY_MARKER;
}
