import { appendAudit } from '../db/audit.js';
import { absenceAt } from '../domain/lifecycle/leave.js';
import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { loadPerson } from '../planning/person.js';
import type { ActivityDeps } from './deps.js';
import { pinnedPolicy } from './pinned-policy.js';

/**
 * A leave is over: what still stands as suspended is noted as opened (by hand, for instance) or kept closed, because policy no longer gives it. Nothing while the
 * person is on extended leave again. Returns what was suspended and is closed still. Safe to repeat: the counts are those of what was still standing.
 */
export async function endSuspensions(
  deps: ActivityDeps,
  input: { readonly identityId: IdentityId; readonly processId: ProcessId; readonly now: Instant },
): Promise<{ readonly keptClosed: number }> {
  const policy = await pinnedPolicy(deps, deps.db, input.processId);
  const person = await loadPerson(deps.db, deps.keys, input.identityId);
  if (absenceAt(person.stateAt(input.now), person.transitions, policy.lifecycle.leave) !== 'none')
    return { keptClosed: 0 };
  return deps.db.transaction().execute(async (trx) => {
    const ended = await trx
      .updateTable('suspension')
      .from('account')
      .whereRef('account.account_id', '=', 'suspension.account_id')
      .set((eb) => ({
        ended_at: input.now,
        outcome: eb
          .case()
          .when('account.status', '=', 'enabled')
          .then('opened' as const)
          .else('kept-closed' as const)
          .end(),
      }))
      .where('suspension.identity_id', '=', input.identityId)
      .where('suspension.ended_at', 'is', null)
      .returning(['suspension.account_id', 'suspension.outcome'])
      .execute();
    const keptClosed = ended.filter((row) => row.outcome === 'kept-closed');
    if (ended.length > 0)
      await appendAudit(trx, deps.keys, {
        identityId: input.identityId,
        at: input.now,
        actor: 'system',
        action: 'leave.ended',
        body: { processId: input.processId, keptClosed: keptClosed.map((row) => row.account_id) },
      });
    return { keptClosed: keptClosed.length };
  });
}
