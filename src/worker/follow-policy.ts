import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import type { ActivityDeps } from '../activities/deps.js';
import type { ApplicationPolicy } from '../domain/policy/types.js';
import { applicationQueue } from '../workflows/messages.js';
import type { RunningWorkers } from './run-workers.js';

const LOOK_MS = 15_000;

/**
 * Keeps a process up with the policy: an application that a later version brings gets its queue served without a restart, and the server is told each
 * application's rate. Gives a function that ends it.
 */
export function followPolicy(
  deps: ActivityDeps,
  workers: RunningWorkers,
  server: { readonly connection: NativeConnection; readonly namespace: string },
): () => void {
  let version: number | undefined;
  const look = async (): Promise<void> => {
    const policy = await deps.policies.active(deps.db);
    if (policy === undefined || policy.version === version) return;
    const central = policy.applications.filter((application) => application.site === undefined);
    await workers.follow(central.map((application) => application.slug));
    for (const application of policy.applications) await limitQueue(server, application);
    version = policy.version;
  };
  const lookQuietly = (): void => {
    look().catch((error: unknown) => {
      deps.logger.warn(
        { errorName: error instanceof Error ? error.name : 'unknown' },
        'the policy could not be followed',
      );
    });
  };
  lookQuietly();
  const timer = setInterval(lookQuietly, LOOK_MS);
  return () => {
    clearInterval(timer);
  };
}

/**
 * The server's own limit behind the bucket in Postgres: however many workers there are, an application's queue gives out no more than its rate. Kept by the server,
 * so it is set, or taken away, at every start (a limit of an earlier policy would stay).
 */
async function limitQueue(
  { connection, namespace }: { readonly connection: NativeConnection; readonly namespace: string },
  { slug, rate }: ApplicationPolicy,
): Promise<void> {
  await connection.workflowService.updateTaskQueueConfig({
    namespace,
    identity: 'tenure-worker',
    taskQueue: applicationQueue(slug),
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    updateQueueRateLimit: {
      ...(rate === undefined ? {} : { rateLimit: { requestsPerSecond: rate.perSecond } }),
      reason: 'rate of the application in policy',
    },
  });
}
