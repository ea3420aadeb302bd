import { sql } from 'kysely';
import { appendAudit } from '../db/audit.js';
import type { Database, Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { NoticeState } from '../db/schema.js';
import type { IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import type { NoticeKind } from '../domain/process/kinds.js';

/** Puts a notice into the outbox, in the transaction of what it tells of. Its id is the caller's: a repeat changes nothing, and is false. */
export async function addNotice(
  trx: Queryable,
  input: {
    readonly noticeId: string;
    readonly identityId: IdentityId;
    readonly processId: ProcessId;
    readonly reportId: string | undefined;
    readonly kind: NoticeKind;
    readonly recipientId: IdentityId | undefined;
    readonly state: NoticeState;
    readonly code?: string;
  },
): Promise<boolean> {
  const row = await trx
    .insertInto('notice')
    .values({
      notice_id: input.noticeId,
      identity_id: input.identityId,
      process_id: input.processId,
      report_id: input.reportId ?? null,
      kind: input.kind,
      recipient_identity_id: input.recipientId ?? null,
      state: input.state,
      code: input.code ?? null,
      sent_at: null,
    })
    .onConflict((conflict) => conflict.column('notice_id').doNothing())
    .returning('notice_id')
    .executeTakeFirst();
  return row !== undefined;
}

export interface DueNotice {
  readonly noticeId: string;
  readonly identityId: IdentityId;
  readonly reportId: string | null;
  readonly kind: NoticeKind;
  readonly recipientId: IdentityId | null;
}

const LONGEST_PAUSE_MS = 3_600_000;

/**
 * Takes the notice that is due for longest. The next try is set before this one is made: a sender that dies in the middle leaves a notice that somebody else tries
 * again, and two senders never hold the same one while a try lasts. The database's clock decides.
 */
export async function takeDue(db: Database, firstPauseMs: number): Promise<DueNotice | undefined> {
  const pauseMs = sql<number>`least(${LONGEST_PAUSE_MS}::float8, ${firstPauseMs}::float8 * power(2, least(tries, 20)))`;
  const due = db
    .selectFrom('notice')
    .select('notice_id')
    .where('state', '=', 'pending')
    .where('next_try_at', '<=', sql<Instant>`now()`)
    .orderBy('next_try_at')
    .limit(1)
    .forUpdate()
    .skipLocked();
  const row = await db
    .updateTable('notice')
    .set({
      tries: sql<number>`tries + 1`,
      next_try_at: sql<Instant>`now() + ${pauseMs} * interval '1 millisecond'`,
    })
    .where('notice_id', '=', due)
    .returning(['notice_id', 'identity_id', 'report_id', 'kind', 'recipient_identity_id'])
    .executeTakeFirst();
  return row === undefined
    ? undefined
    : {
        noticeId: row.notice_id,
        identityId: row.identity_id,
        reportId: row.report_id,
        kind: row.kind,
        recipientId: row.recipient_identity_id,
      };
}

/** The server has it: the row and the audit record say so at once. */
export async function noteSent(db: Database, keys: KeyRing, notice: DueNotice, at: Instant): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx
      .updateTable('notice')
      .set({ state: 'sent', code: null, sent_at: sql<Instant>`now()` })
      .where('notice_id', '=', notice.noticeId)
      .execute();
    await appendAudit(trx, keys, {
      identityId: notice.identityId,
      at,
      actor: 'system',
      action: 'notice.sent',
      body: { noticeId: notice.noticeId, kind: notice.kind, recipient: notice.recipientId },
    });
  });
}

/** Notes why a try failed. After three days, or when the server refused for good, nobody tries any more. */
export async function noteFailed(
  db: Database,
  noticeId: string,
  failure: { readonly code: string; readonly isFinal: boolean },
): Promise<void> {
  await db
    .updateTable('notice')
    .set({
      code: failure.code,
      state: sql<NoticeState>`case when ${failure.isFinal} or created_at < now() - interval '3 days' then 'failed' else state end`,
    })
    .where('notice_id', '=', noticeId)
    .where('state', '=', 'pending')
    .execute();
}
