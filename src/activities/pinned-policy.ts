import type { Queryable } from '../db/database.js';
import type { CompiledPolicy } from '../domain/policy/types.js';
import type { ProcessId } from '../domain/process/ids.js';
import type { ActivityDeps } from './deps.js';

/** The policy that a process follows, whatever was published since (edge case 65). */
export async function pinnedPolicy(
  deps: Pick<ActivityDeps, 'policies'>,
  db: Queryable,
  processId: ProcessId,
): Promise<CompiledPolicy> {
  const { policy_version: version } = await db
    .selectFrom('process')
    .select('policy_version')
    .where('process_id', '=', processId)
    .executeTakeFirstOrThrow();
  return deps.policies.get(db, version);
}
