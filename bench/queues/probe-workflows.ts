import { proxyActivities, sleep } from '@temporalio/workflow';
import type { Activities } from '../../src/activities/index.js';
import type { ApplicationSlug, Instant } from '../../src/domain/process/ids.js';

export interface ProbeInput {
  readonly application: string;
  readonly taskQueue: string;
  /** Given, the queue is shared, and the server hands it out in turns by this key. */
  readonly fairnessKey?: string;
  readonly times: number;
  /** 0: all at once. */
  readonly everyMs: number;
}

/** Visits of one application, each the real health probe of Tenure's worker with the options of src/workflows/lib/activities.ts. */
export async function probes(input: ProbeInput): Promise<void> {
  const { application, taskQueue, fairnessKey, times, everyMs } = input;
  const { probeHealth } = proxyActivities<Activities>({
    taskQueue,
    startToCloseTimeout: '15s',
    retry: { maximumAttempts: 1 },
    priority: { priorityKey: 3, ...(fairnessKey === undefined ? {} : { fairnessKey }) },
  });
  const running: Promise<unknown>[] = [];
  for (let time = 0; time < times; time += 1) {
    if (everyMs > 0 && time > 0) await sleep(everyMs);
    const now = new Date().toISOString() as Instant;
    running.push(probeHealth({ application: application as ApplicationSlug, now }));
  }
  await Promise.allSettled(running);
}
