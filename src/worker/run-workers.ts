import { Worker } from '@temporalio/worker';
import type { DataConverter } from '@temporalio/common';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import { createActivities } from '../activities/index.js';
import type { ActivityDeps } from '../activities/deps.js';
import { CUT_QUEUE, LIFECYCLE_QUEUE, applicationQueue } from '../workflows/messages.js';

export interface WorkerPlan {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly deps: ActivityDeps;
  /** Where the workflows come from: a bundle built ahead. */
  readonly bundle: NonNullable<WorkerOptions['workflowBundle']>;
  /** Applications whose troubled visits this process takes. */
  readonly applications: readonly string[];
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
  const workers = [
    await Worker.create({
      ...common,
      taskQueue: LIFECYCLE_QUEUE,
      workflowBundle: plan.bundle,
      maxConcurrentActivityTaskExecutions: 40,
      // Eager activities would pass by the queue's own limits and priorities.
      maxConcurrentLocalActivityExecutions: 40,
    }),
    await Worker.create({ ...common, taskQueue: CUT_QUEUE, maxConcurrentActivityTaskExecutions: 40 }),
  ];
  for (const application of plan.applications)
    workers.push(
      await Worker.create({
        ...common,
        taskQueue: applicationQueue(application),
        maxConcurrentActivityTaskExecutions: 10,
      }),
    );
  const running = workers.map((worker) => worker.run());
  let isStopping = false;
  return {
    ended: Promise.all(running).then(() => undefined),
    isRunning: () => workers.every((worker) => worker.getState() === 'RUNNING'),
    async stop() {
      if (!isStopping) {
        isStopping = true;
        for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      }
      await Promise.allSettled(running);
    },
  };
}
