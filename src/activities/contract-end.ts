import { appendAudit } from '../db/audit.js';
import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { addNotice } from '../notices/outbox.js';
import { approverOf } from '../planning/approver.js';
import { loadPerson } from '../planning/person.js';
import type { ActivityDeps } from './deps.js';
import { pinnedPolicy } from './pinned-policy.js';

export interface WarningInput {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
  /** How many days before the end this warning is due. */
  readonly days: number;
  readonly endsAt: Instant;
  /** Made by the workflow: a repeat is the same notice. */
  readonly noticeId: string;
}

/**
 * Warns the sponsor of somebody whose contract ends: the nearest manager up the line who works here now, else whom policy names for approvals. The notice and its
 * audit record are written at once. `isOnItsWay` is false where nobody is there to be told, or no mail server is configured: then a person has to be asked. Safe
 * to repeat.
 */
export async function warnSponsor(deps: ActivityDeps, input: WarningInput): Promise<{ readonly isOnItsWay: boolean }> {
  const { identityId, processId, noticeId, now } = input;
  const policy = await pinnedPolicy(deps, deps.db, processId);
  const person = await loadPerson(deps.db, deps.keys, identityId);
  return deps.db.transaction().execute(async (trx) => {
    const recipientId = await approverOf(trx, deps.keys, { person, policy, now, placedAt: now });
    const state =
      recipientId === undefined ? 'no-recipient' : deps.isMailConfigured === true ? 'pending' : 'not-configured';
    const about = { noticeId, identityId, processId, kind: 'contract-end' as const, reportId: undefined };
    if (await addNotice(trx, { ...about, recipientId, state }))
      await appendAudit(trx, deps.keys, {
        identityId,
        at: now,
        actor: 'system',
        action: 'contract-end.warned',
        body: { processId, days: input.days, endsAt: input.endsAt, recipient: recipientId ?? null, state },
      });
    return { isOnItsWay: state === 'pending' };
  });
}
