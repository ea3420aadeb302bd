import { Worker } from '@temporalio/worker';
import type { DataConverter } from '@temporalio/common';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index.js';
import type { ActivityDeps } from '../activities/deps.js';
import { CUT_QUEUE, LIFECYCLE_QUEUE, applicationQueue, siteQueue } from '../workflows/messages.js';

type QueueSettings = Pick<WorkerOptions, 'maxConcurrentActivityTaskExecutions' | 'activityTaskPollerBehavior'>;

/**
 * For each application's queue. Its slots are what a target that hangs can hold at most. Two polls instead of the SDK's ten: Temporal refuses more than 1,200 at
 * once, and two were measured to carry 200 applications (ADR 0004).
 */
export const APPLICATION_QUEUE = {
  maxConcurrentActivityTaskExecutions: 10,
  activityTaskPollerBehavior: { type: 'simple-maximum', maximum: 2 },
} as const satisfies QueueSettings;

export interface WorkerPlan {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly deps: ActivityDeps;
  /** Where the workflows come from: a bundle built ahead. */
  readonly bundle: NonNullable<WorkerOptions['workflowBundle']>;
  /** Applications whose troubled visits this process takes; more may follow. */
  readonly applications: readonly string[];
  /** How an application's queue is served; APPLICATION_QUEUE unless a bench tries something else. */
  readonly applicationQueue?: QueueSettings;
  /** Given, this process stands at these sites and serves their queues alone: no workflows, no one else's visits. */
  readonly sites?: readonly string[];
  readonly dataConverter?: DataConverter;
  /** Long enough for a write to end; what is longer goes on elsewhere by its heartbeat. */
  readonly shutdownGraceTime?: string;
}

export interface RunningWorkers {
  /** Rejects when a worker fails; resolves after a shutdown. */
  readonly ended: Promise<void>;
  /** Drains: no new tasks, running ones end. Safe to repeat. */
  stop(): Promise<void>;
  isRunning(): boolean;
  /** Takes the troubled visits of these applications, too; those it has already are left as they are. */
  follow(applications: readonly string[]): Promise<void>;
}

/**
 * The workers of one process: the lifecycle queue (workflows, bookkeeping, sweeps), the cut queue with slots of its own, and one queue per application for
 * visits in trouble. They share one connection, one pool of connectors and one database pool.
 */
export async function startWorkers(plan: WorkerPlan): Promise<RunningWorkers> {
  const activities = createActivities(plan.deps);
  const common = {
    connection: plan.connection,
    namespace: plan.namespace,
    activities,
    shutdownGraceTime: plan.shutdownGraceTime ?? '20s',
    ...(plan.dataConverter === undefined ? {} : { dataConverter: plan.dataConverter }),
  } as const;
  const workers: Worker[] = [];
  const ended: Promise<void>[] = [];
  const served = new Set<string>();
  let isStopping = false;
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const serve = async (taskQueue: string, options: Partial<WorkerOptions>): Promise<void> => {
    if (served.has(taskQueue) || isStopping) return;
    served.add(taskQueue);
    const worker = await Worker.create({ ...common, taskQueue, ...options });
    workers.push(worker);
    ended.push(worker.run());
    ended.at(-1)?.catch(fail);
  };
  const follow = async (applications: readonly string[]): Promise<void> => {
    for (const application of applications)
      await serve(applicationQueue(application), plan.applicationQueue ?? APPLICATION_QUEUE);
  };
  if (plan.sites === undefined || plan.sites.length === 0) {
    await serve(LIFECYCLE_QUEUE, {
      workflowBundle: plan.bundle,
      maxConcurrentActivityTaskExecutions: 40,
      // Eager activities would pass by the queue's own limits and priorities.
      maxConcurrentLocalActivityExecutions: 40,
    });
    await serve(CUT_QUEUE, { maxConcurrentActivityTaskExecutions: 40 });
    await follow(plan.applications);
  } else {
    for (const site of plan.sites) await serve(siteQueue(site), { maxConcurrentActivityTaskExecutions: 40 });
  }
  return {
    // Workers that came later count, too.
    ended: Promise.race([failed, Promise.all(ended).then(() => undefined)]),
    isRunning: () => workers.every((worker) => worker.getState() === 'RUNNING'),
    follow,
    async stop() {
      if (!isStopping) {
        isStopping = true;
        for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      }
      await Promise.allSettled(ended);
    },
  };
}
