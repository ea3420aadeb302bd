import { msToTs } from '@temporalio/common/lib/time.js';
import { defaultPayloadConverter } from '@temporalio/common';
import { randomUUID } from 'node:crypto';
import { identityWorkflowId } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { LIFECYCLE_QUEUE } from '../../src/workflows/messages.js';
import { doManualTasks, eventually } from '../support/world.js';
import type { World } from '../support/world.js';

export const DAY_MS = 86_400_000;
export const MINUTE_MS = 60_000;

/** A minute after every day's end: what fell due at midnight has fallen due. */
export function afterMidnight(day: string): number {
  return Date.parse(`${day}T00:01:00.000Z`);
}

/**
 * Lets one execution's own time jump ahead by `ms`; its timers fire in order on the way, activities take real time. Resolves when it is there. The rest of the
 * server does not move (temporal.md section 9; the dev server's experimental option).
 */
export async function skip(world: World, workflowId: string, ms: number): Promise<void> {
  const service = world.client.workflowService;
  const { namespace } = world;
  const workflowExecution = { workflowId };
  const id = randomUUID();
  await service.updateWorkflowExecutionOptions({
    namespace,
    workflowExecution,
    workflowExecutionOptions: {
      timeSkippingConfig: { enabled: true, fastForwardConfig: { id, duration: msToTs(ms) } },
    },
    updateMask: { paths: ['time_skipping_config'] },
  });
  await service.pollWorkflowExecutionTimeSkipping({ namespace, workflowExecution, fastForwardId: id });
}

/** The instant it is for an execution. */
export async function timeIn(world: World, workflowId: string): Promise<number> {
  const { namespace } = world;
  const { workflowExtendedInfo } = await world.client.workflowService.describeWorkflowExecution({
    namespace,
    execution: { workflowId },
  });
  const seconds = workflowExtendedInfo?.timeSkippingInfo?.currentTime?.seconds;
  return seconds === undefined || seconds === null ? Date.now() : Number(seconds) * 1_000;
}

/** Skips an execution to just after the given instant of its own time. */
export async function skipTo(world: World, workflowId: string, instantMs: number): Promise<void> {
  await skip(world, workflowId, instantMs - (await timeIn(world, workflowId)));
}

/**
 * Wakes a person's identity workflow as the schedule will, `inMs` from now: its time, and that of the processes it starts, is skipped ahead. Raises while it
 * runs.
 */
export async function wakeLater(world: World, identityId: IdentityId, inMs: number): Promise<true> {
  await world.client.workflowService.startWorkflowExecution({
    namespace: world.namespace,
    workflowId: identityWorkflowId(identityId),
    workflowType: { name: 'identityWorkflow' },
    taskQueue: { name: LIFECYCLE_QUEUE },
    requestId: randomUUID(),
    input: { payloads: [defaultPayloadConverter.toPayload({ identityId })] },
    workflowStartDelay: msToTs(inMs),
    timeSkippingConfig: { enabled: true },
  });
  return true;
}

interface ProcessFacts {
  readonly state: string;
  readonly blocked_on: string | null;
  readonly phase: string | null;
  readonly due_at: string | null;
}

/** Waits for a process of a person in a state, doing meanwhile what is asked of hands. */
export async function processOf(
  world: World,
  identityId: IdentityId,
  kind: string,
  is: (row: ProcessFacts) => boolean,
) {
  return eventually(async () => {
    await doManualTasks(world, identityId);
    const row = await world.deps.db
      .selectFrom('process')
      .selectAll()
      .where('identity_id', '=', identityId)
      .where('kind', '=', kind as 'joiner')
      .orderBy('opened_at', 'desc')
      .executeTakeFirst();
    if (row !== undefined && is(row)) return row;
    throw new Error(`${row?.state ?? 'none'} ${row?.phase ?? ''} ${row?.blocked_on ?? ''}`);
  }, `the ${kind}`);
}
