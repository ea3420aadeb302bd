import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { createFinder } from './markers.js';
import type { Marker, Sighting } from './markers.js';

/** Where a planted value was found. */
export interface Leak extends Sighting {
  readonly workflowId: string;
  /** Path in the protocol message, e.g. `event 5.activityTaskScheduledEventAttributes.input.payloads.0.data`. */
  readonly where: string;
}

/** What a scan has read; an empty scan proves nothing. */
export interface Scan {
  readonly leaks: readonly Leak[];
  readonly workflows: number;
  readonly events: number;
  /** How many strings and byte fields were looked at. */
  readonly fields: number;
}

const { History } = proto.temporal.api.history.v1;

/**
 * Reads everything that Temporal holds of a namespace: each event of each execution's history (children and those that schedules started are executions like
 * any other) with every field of the protocol message, payloads, user metadata, failures with all causes and stack traces; each execution's description
 * (memo, search attributes, pending activities with heartbeat details and last failures); current details; schedules. Payloads are looked at decoded (they
 * are plain JSON without the codec), and each event once more as raw bytes.
 */
export async function scanNamespace(client: Client, namespace: string, markers: readonly Marker[]): Promise<Scan> {
  const walk = new Walk(markers);
  let workflows = 0;
  let events = 0;
  for await (const { workflowId, runId } of client.workflow.list()) {
    workflows += 1;
    walk.begin(workflowId);
    walk.visit('id', workflowId);
    events += await scanHistory(client, namespace, { workflowId, runId }, walk);
    await scanDescription(client, namespace, { workflowId, runId }, walk);
    await scanDetails(client, workflowId, walk);
  }
  for await (const { scheduleId } of client.schedule.list()) {
    walk.begin(`schedule ${scheduleId}`);
    walk.visit('schedule', await client.workflowService.describeSchedule({ namespace, scheduleId }));
  }
  return { leaks: walk.leaks, workflows, events, fields: walk.fields };
}

/** Looks at what executions hold only while they run: heartbeat details and last failures of pending activities, again and again until `stop`. */
export function watchPending(client: Client, namespace: string, markers: readonly Marker[]) {
  const walk = new Walk(markers);
  let isStopped = false;
  let heartbeats = 0;
  const watching = (async () => {
    while (!isStopped) {
      for await (const { workflowId, runId } of client.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
        walk.begin(workflowId);
        heartbeats += await scanDescription(client, namespace, { workflowId, runId }, walk);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  return {
    /** `heartbeats`: how often details of a heartbeat were seen. */
    async stop(): Promise<{ readonly leaks: readonly Leak[]; readonly heartbeats: number }> {
      isStopped = true;
      await watching;
      return { leaks: walk.leaks, heartbeats };
    },
  };
}

interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

async function scanHistory(client: Client, namespace: string, execution: Execution, walk: Walk): Promise<number> {
  let count = 0;
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await client.workflowService.getWorkflowExecutionHistory({
      namespace,
      execution,
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    });
    for (const event of page.history?.events ?? []) {
      count += 1;
      walk.visit(`event ${String(event.eventId)}`, event);
      walk.visit(`event ${String(event.eventId)} raw`, History.encode({ events: [event] }).finish());
    }
    nextPageToken = page.nextPageToken.length > 0 ? page.nextPageToken : undefined;
  } while (nextPageToken !== undefined);
  return count;
}

async function scanDescription(client: Client, namespace: string, execution: Execution, walk: Walk): Promise<number> {
  try {
    const description = await client.workflowService.describeWorkflowExecution({ namespace, execution });
    walk.visit('describe', description);
    return description.pendingActivities.filter((activity) => (activity.heartbeatDetails?.payloads?.length ?? 0) > 0)
      .length;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return 0;
    throw error;
  }
}

const NOT_FOUND = 5;

/** What `setCurrentDetails` shows in Temporal UI is nowhere in history; a worker answers for it. */
async function scanDetails(client: Client, workflowId: string, walk: Walk): Promise<void> {
  const answer: unknown = await client.withDeadline(Date.now() + 10_000, () =>
    client.workflow.getHandle(workflowId).query('__temporal_workflow_metadata'),
  );
  walk.visit('details', answer);
}

/** Goes through messages field by field and notes every marker with its place. */
class Walk {
  readonly leaks: Leak[] = [];
  fields = 0;
  readonly #find: (text: string) => readonly Sighting[];
  #workflowId = '';

  constructor(markers: readonly Marker[]) {
    this.#find = createFinder(markers);
  }

  begin(workflowId: string): void {
    this.#workflowId = workflowId;
  }

  visit(where: string, value: unknown): void {
    if (typeof value === 'string') this.#look(where, value);
    else if (value instanceof Uint8Array) this.#look(where, Buffer.from(value).toString('utf8'));
    else if (Array.isArray(value)) for (const [index, one] of value.entries()) this.visit(`${where}.${index}`, one);
    else if (typeof value === 'object' && value !== null)
      for (const [key, one] of Object.entries(value)) {
        this.#look(`${where}.${key} (key)`, key);
        this.visit(`${where}.${key}`, one);
      }
  }

  #look(where: string, text: string): void {
    this.fields += 1;
    for (const sighting of this.#find(text)) this.leaks.push({ ...sighting, workflowId: this.#workflowId, where });
  }
}
