import { randomUUID } from 'node:crypto';
import type { IdentityId } from '../../../src/domain/process/ids.js';
import { eventually } from '../../support/world.js';
import type { World } from '../../support/world.js';

/** Everything still under way for these people, in words; empty = at rest. Manual fulfilment is done by hand as it comes up, nothing else is. */
export async function underWay(world: World, people: readonly IdentityId[]): Promise<readonly string[]> {
  const { db } = world.deps;
  await fulfilByHand(world, people);
  const rows = await db
    .selectFrom('process')
    .select(['process_id', 'identity_id', 'kind', 'state', 'workflow_id', 'phase', 'blocked_on'])
    .where('identity_id', 'in', [...people])
    .execute();
  const open = rows.filter((row) => row.state === 'running' && row.blocked_on !== 'grace-period');
  const flying = await db
    .selectFrom('visit')
    .select(['visit_id', 'application', 'phase'])
    .where('identity_id', 'in', [...people])
    .where('write_in_flight', '=', true)
    .execute();
  const unread = await db
    .selectFrom('inbox')
    .select('identity_id')
    .where('identity_id', 'in', [...people])
    .whereRef('ledger_version', '>', 'delivered_version')
    .execute();
  const tasks = await db
    .selectFrom('operator_task')
    .select(['application', 'kind', 'code'])
    .where('identity_id', 'in', [...people])
    .where('status', '=', 'open')
    .execute();
  const words = [
    ...tasks.map((task) => `a task at ${task.application ?? '-'}: ${task.kind} ${task.code}`),
    ...open.map((row) => `${row.process_id.split('/').slice(1).join('/')} ${row.phase ?? '-'} ${row.blocked_on ?? ''}`),
    ...flying.map((visit) => `a write in flight at ${visit.application} (${visit.phase})`),
    ...unread.map(() => 'ledger not read'),
  ];
  if (words.length > 0) return words;
  const ended = rows.filter((row) => row.state === 'cancelled');
  const running = await Promise.all(
    ended.map(async (row) => {
      const handle = world.client.workflow.getHandle(row.workflow_id);
      const described = await handle.describe().catch(() => undefined);
      return described?.status.name === 'RUNNING' ? [`${row.kind} is still running`] : [];
    }),
  );
  return running.flat();
}

/** Between the end of a process and the queue's next look nothing is under way either: at rest is who is so twice, this far apart. */
const STILL_MS = 400;

/** Waits until nothing is under way for these people. */
export async function atRest(world: World, people: readonly IdentityId[], withinMs = 45_000): Promise<void> {
  let restsSince: number | undefined;
  await eventually(
    async () => {
      const words = await underWay(world, people);
      if (words.length === 0) {
        restsSince ??= performance.now();
        return performance.now() - restsSince >= STILL_MS ? true : undefined;
      }
      restsSince = undefined;
      throw new Error(`${words.length} under way: ${words.slice(0, 6).join('; ')}`);
    },
    'rest',
    withinMs,
  );
}

/** Does what is asked of hands at applications that nothing can reach; tasks about trouble stay open. */
async function fulfilByHand(world: World, people: readonly IdentityId[]): Promise<void> {
  const tasks = await world.deps.db
    .selectFrom('operator_task')
    .innerJoin('process', 'process.process_id', 'operator_task.process_id')
    .select(['operator_task.task_id', 'process.workflow_id'])
    .where('operator_task.identity_id', 'in', [...people])
    .where('operator_task.kind', '=', 'manual')
    .where('operator_task.status', '=', 'open')
    .execute();
  await Promise.all(
    tasks.map((task) =>
      world.lifecycle
        .resolveTask(task.workflow_id, { taskId: task.task_id, decisionId: randomUUID(), resolution: 'done-by-hand' })
        // A process that a cut ended a moment ago has no task any more.
        .catch(() => undefined),
    ),
  );
}
