import { randomUUID } from 'node:crypto';
import type { ApiDeps } from '../deps.js';
import { notFound, refusalProblem } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';

/**
 * Passes a decision to the process that asked. What the database can tell is refused before anything is written; the process's own validator has the last
 * word. The words of the decision stay here, encrypted; the process is told an id. A repeat after an unknown outcome is safe: decided is decided.
 */
export async function decideApproval(
  deps: Pick<ApiDeps, 'db' | 'keys' | 'lifecycle' | 'now'>,
  input: {
    readonly approvalId: string;
    readonly caller: Caller;
    readonly verdict: 'approved' | 'denied';
    readonly comment?: string | undefined;
  },
): Promise<{ readonly approvalId: string; readonly status: 'approved' | 'denied'; readonly decisionId: string }> {
  const { db, keys } = deps;
  const { approvalId, caller, verdict } = input;
  const approval = await db
    .selectFrom('approval')
    .innerJoin('process', 'process.process_id', 'approval.process_id')
    .select([
      'approval.identity_id',
      'approval.approver_identity_id',
      'approval.status',
      'approval.expires_at',
      'process.workflow_id',
    ])
    .where('approval.approval_id', '=', approvalId)
    .executeTakeFirst();
  const decidedBy = caller.identityId;
  const isTheirs = decidedBy !== undefined && approval?.approver_identity_id === decidedBy;
  // A manager does not even learn that other people's approvals exist.
  if (approval === undefined || (caller.role === 'manager' && !isTheirs)) throw notFound('approval');
  if (decidedBy === undefined || !isTheirs || approval.identity_id === decidedBy)
    throw refusalProblem('NotYourDecision');
  if (approval.status === 'expired' || approval.expires_at <= deps.now()) throw refusalProblem('DeadlinePassed');
  if (approval.status !== 'pending') throw refusalProblem('AlreadyDecided');
  const decisionId = randomUUID();
  await db
    .insertInto('decision')
    .values({
      decision_id: decisionId,
      identity_id: approval.identity_id,
      decided_by: caller.name,
      decided_by_identity: decidedBy,
      kind: 'approval',
      verdict,
      comment:
        input.comment === undefined
          ? null
          : await keys.encryptFor(db, approval.identity_id, `decision/${decisionId}/comment`, input.comment),
      proof: null,
      at: deps.now(),
    })
    .execute();
  const { status } = await deps.lifecycle.decideApproval(approval.workflow_id, {
    approvalId,
    decisionId,
    decidedBy,
    verdict,
  });
  return { approvalId, status, decisionId };
}
