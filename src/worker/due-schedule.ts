import { Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { LIFECYCLE_QUEUE } from '../workflows/messages.js';

/** Its id; a bench starts a round out of turn. */
export const DUE_SCHEDULE = 'due-identities';

/**
 * The schedule that wakes people whose next transition has come within the horizon: what is further away waits in Postgres, not in workflows (design D2).
 * Safe to repeat.
 */
export async function ensureDueSchedule(connection: NativeConnection | Connection, namespace: string): Promise<void> {
  const client = new Client({ connection: connection as unknown as Connection, namespace });
  try {
    await client.schedule.create({
      scheduleId: DUE_SCHEDULE,
      spec: { intervals: [{ every: '10 minutes' }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 hour' },
      action: {
        type: 'startWorkflow',
        workflowType: 'dueIdentitiesWorkflow',
        workflowId: DUE_SCHEDULE,
        taskQueue: LIFECYCLE_QUEUE,
        args: [],
        staticSummary: 'wakes everybody whose next transition is near',
      },
      state: { triggerImmediately: true },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
