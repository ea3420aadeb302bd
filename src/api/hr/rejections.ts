import { randomUUID } from 'node:crypto';
import type { Queryable } from '../../db/database.js';
import { SYSTEM } from '../../db/keys.js';
import type { KeyRing } from '../../db/keys.js';
import type { Instant } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import type { Problem } from '../../hr/problems.js';

const CONTEXT = 'hr-rejection';
const SOURCE = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const EVENT = /^[\w.:/-]{1,200}$/;
/** Beyond this a record is cut: nobody mends it by hand, and it must not fill the table. */
const MAX_RECORD = 64 * 1024;

/** Keeps a record that could not be taken, encrypted. The same record with the same problems, sent again, stays one entry. */
export async function keepRejection(
  db: Queryable,
  keys: KeyRing,
  rejection: {
    readonly record: unknown;
    readonly problems: readonly Problem[];
    readonly retryKey?: Buffer;
    readonly now: Instant;
  },
): Promise<string> {
  const { source, eventId } = originOf(rejection.record);
  const body = await keys.encryptFor(db, SYSTEM, CONTEXT, storable(rejection.record));
  const problems = JSON.stringify(rejection.problems);
  const row = { record: body, problems, retry_key: rejection.retryKey ?? null, received_at: rejection.now };
  const known =
    eventId === null
      ? undefined
      : await db
          .updateTable('hr_rejection')
          .set(row)
          .where('source', '=', source)
          .where('source_event_id', '=', eventId)
          .where('resolved_at', 'is', null)
          .returning('rejection_id')
          .executeTakeFirst();
  if (known !== undefined) return known.rejection_id;
  const rejectionId = randomUUID();
  await db
    .insertInto('hr_rejection')
    .values({
      rejection_id: rejectionId,
      source,
      source_event_id: eventId,
      ...row,
      resolved_at: null,
      resolved_by: null,
    })
    .execute();
  return rejectionId;
}

/** The event was taken in the end: its open rejections are settled. */
export async function settleRejections(
  db: Queryable,
  event: { readonly source: string; readonly eventId: string },
  by: { readonly actor: string; readonly now: Instant },
): Promise<number> {
  const rows = await db
    .updateTable('hr_rejection')
    .set({ resolved_at: by.now, resolved_by: by.actor, retry_key: null })
    .where('source', '=', event.source)
    .where('source_event_id', '=', event.eventId)
    .where('resolved_at', 'is', null)
    .returning('rejection_id')
    .execute();
  return rows.length;
}

/** Records of a person that were refused for what was not known then, oldest first. */
export async function liftableRecords(db: Queryable, keys: KeyRing, retryKey: Buffer): Promise<readonly unknown[]> {
  const rows = await db
    .selectFrom('hr_rejection')
    .select('record')
    .where('retry_key', '=', retryKey)
    .where('resolved_at', 'is', null)
    .orderBy('received_at')
    .limit(100)
    .execute();
  return Promise.all(rows.map((row) => keys.decryptFor(db, SYSTEM, CONTEXT, row.record)));
}

export function readRejection(db: Queryable, keys: KeyRing, record: Buffer): Promise<Json | undefined> {
  return keys.decryptFor(db, SYSTEM, CONTEXT, record);
}

function originOf(record: unknown): { readonly source: string; readonly eventId: string | null } {
  const { source, eventId } = (typeof record === 'object' && record !== null ? record : {}) as Record<string, unknown>;
  return {
    source: typeof source === 'string' && SOURCE.test(source) ? source : 'unknown',
    eventId: typeof eventId === 'string' && EVENT.test(eventId) ? eventId : null,
  };
}

function storable(record: unknown): Json {
  const text = JSON.stringify(record) ?? 'null';
  return text.length <= MAX_RECORD ? (JSON.parse(text) as Json) : { cutOff: true, length: text.length };
}
