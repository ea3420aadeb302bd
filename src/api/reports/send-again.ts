import { sql } from 'kysely';
import { appendAudit } from '../../db/audit.js';
import type { Instant } from '../../domain/process/ids.js';
import { heirOf } from '../../planning/heir.js';
import { loadPerson } from '../../planning/person.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem, notFound } from '../http/problem.js';

/**
 * Puts a notice back into the outbox, whatever became of it: to the nearest manager up the line who works here now, under the Message-ID it has always had. The
 * row and the audit record are one transaction. Said again it changes nothing but the next try. Raises 404, and 409 when there is nobody to tell or nothing to tell of.
 */
export async function sendAgain(
  deps: ApiDeps,
  order: { readonly noticeId: string; readonly actor: string },
): Promise<{ readonly noticeId: string; readonly state: 'pending' }> {
  const { keys } = deps;
  const { noticeId, actor } = order;
  const now = deps.now();
  return deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('notice')
      .selectAll()
      .where('notice_id', '=', noticeId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw notFound('notice');
    if (row.report_id === null)
      throw new ApiProblem(409, 'no-report', 'No report was made: there is nothing to tell of.');
    const recipient = await heirOf(trx, keys, await loadPerson(trx, keys, row.identity_id), now);
    if (recipient === undefined)
      throw new ApiProblem(409, 'no-recipient', 'No manager of this person works here: there is nobody to tell.');
    await trx
      .updateTable('notice')
      .set({
        recipient_identity_id: recipient,
        state: 'pending',
        tries: 0,
        code: null,
        sent_at: null,
        next_try_at: sql<Instant>`now()`,
      })
      .where('notice_id', '=', noticeId)
      .execute();
    await appendAudit(trx, keys, {
      identityId: row.identity_id,
      at: now,
      actor,
      action: 'notice.sent-again',
      body: { noticeId, kind: row.kind, recipient, was: row.state },
    });
    return { noticeId, state: 'pending' as const };
  });
}
