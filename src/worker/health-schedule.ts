import { Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { LIFECYCLE_QUEUE } from '../workflows/messages.js';

const SCHEDULE = 'application-health';

/** The schedule that asks every target each minute how it is; a missed minute is not made up for. Safe to repeat. */
export async function ensureHealthSchedule(connection: NativeConnection, namespace: string): Promise<void> {
  const client = new Client({ connection: connection as unknown as Connection, namespace });
  try {
    await client.schedule.create({
      scheduleId: SCHEDULE,
      spec: { intervals: [{ every: '1 minute' }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' },
      action: {
        type: 'startWorkflow',
        workflowType: 'applicationHealthWorkflow',
        workflowId: SCHEDULE,
        taskQueue: LIFECYCLE_QUEUE,
        args: [],
        staticSummary: 'asks every target how it is',
      },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
