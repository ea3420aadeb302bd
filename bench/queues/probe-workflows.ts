import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../src/activities/index.js';
import type { ApplicationSlug, Instant } from '../../src/domain/process/ids.js';

export interface ProbeInput {
  readonly applications: readonly string[];
  /** Given, it is the queue of all, and the server hands it out in turns by application; else each application has its own. */
  readonly sharedQueue?: string;
  /** Visits per application, all at once. */
  readonly times: number;
}

/** Visits, each the real health probe of Tenure's worker. One workflow for all of them, because workflows are not what is measured. */
export async function probes({ applications, sharedQueue, times }: ProbeInput): Promise<void> {
  const now = new Date().toISOString() as Instant;
  const visit = (application: string): Promise<unknown> =>
    proxyActivities<Activities>({
      taskQueue: sharedQueue ?? `application-${application}`,
      startToCloseTimeout: '15s',
      retry: { maximumAttempts: 1 },
      priority: { priorityKey: 3, ...(sharedQueue === undefined ? {} : { fairnessKey: application }) },
    }).probeHealth({ application: application as ApplicationSlug, now });
  const turns = Array.from({ length: times }, () => applications.map(visit));
  await Promise.allSettled(turns.flat());
}
