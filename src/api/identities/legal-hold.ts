import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import { appendAudit } from '../../db/audit.js';
import type { AuditEntry } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import { amendedDetail } from '../../db/process-detail.js';
import type { LegalHoldTable } from '../../db/schema.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import type { Notice } from '../dispatch/dispatcher.js';
import type { ApiDeps } from '../deps.js';
import { putIntoInbox } from '../hr/news.js';
import { lockIdentity } from '../hr/person-lookup.js';
import type { DoorPerson } from '../hr/person-lookup.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { ApiProblem, notFound } from '../http/problem.js';

export interface HoldView {
  readonly holdId: string;
  readonly identityId: IdentityId;
  readonly reason: string | null;
  readonly reference: string | null;
  readonly setAt: Instant;
  readonly setBy: string;
  readonly liftedAt: Instant | null;
  readonly liftedBy: string | null;
  readonly liftReason: string | null;
}

interface HoldOrder {
  readonly identityId: IdentityId;
  readonly actor: string;
  readonly reason: string;
  readonly reference?: string | undefined;
}

/**
 * Puts a person under legal hold: from the commit on, nothing of theirs is archived, made anonymous or deleted; cuts go on as ever. The row, the mark that the
 * fence reads, the audit record and the news to the person's processes are one transaction. Said again it sets reason and reference anew. Raises 404.
 */
export async function setHold(deps: ApiDeps, order: HoldOrder): Promise<HoldView> {
  return changing(deps, order.identityId, async (trx, person, now) => {
    if (person.isErased) throw new ApiProblem(409, 'erased', 'The person was erased: there is nothing to hold.');
    const terms = { reason: order.reason, reference: order.reference ?? null };
    const sealed = await deps.keys.encryptFor(trx, order.identityId, 'legal-hold', terms);
    const standing = await standingHold(trx, order.identityId);
    const row =
      standing === undefined
        ? await trx
            .insertInto('legal_hold')
            .values({
              hold_id: randomUUID(),
              identity_id: order.identityId,
              terms: sealed,
              set_at: now,
              set_by: order.actor,
              lifted_at: null,
              lifted_by: null,
              lift_reason: null,
            })
            .returningAll()
            .executeTakeFirstOrThrow()
        : await trx
            .updateTable('legal_hold')
            .set({ terms: sealed })
            .where('hold_id', '=', standing.hold_id)
            .returningAll()
            .executeTakeFirstOrThrow();
    await trx
      .updateTable('identity')
      .set({ held_since: row.set_at })
      .where('identity_id', '=', order.identityId)
      .execute();
    const record = {
      identityId: order.identityId,
      at: now,
      actor: order.actor,
      action: standing === undefined ? 'legal-hold.set' : 'legal-hold.changed',
      body: { holdId: row.hold_id, ...terms },
    };
    return { row, record };
  });
}

/** Lifts a person's legal hold; what waited for it goes on, at the later of now and its own date. Raises 404 when none stands. */
export async function liftHold(deps: ApiDeps, order: Omit<HoldOrder, 'reference'>): Promise<HoldView> {
  return changing(deps, order.identityId, async (trx, _person, now) => {
    const standing = await standingHold(trx, order.identityId);
    if (standing === undefined) throw notFound('legal hold');
    const reason = await deps.keys.encryptFor(trx, order.identityId, 'legal-hold', order.reason);
    const row = await trx
      .updateTable('legal_hold')
      .set({ lifted_at: now, lifted_by: order.actor, lift_reason: reason })
      .where('hold_id', '=', standing.hold_id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await trx.updateTable('identity').set({ held_since: null }).where('identity_id', '=', order.identityId).execute();
    const record = {
      identityId: order.identityId,
      at: now,
      actor: order.actor,
      action: 'legal-hold.lifted',
      body: { holdId: row.hold_id, reason: order.reason },
    };
    return { row, record };
  });
}

/** All holds that a person has or had, newest first. */
export async function holdsOf(deps: Pick<ApiDeps, 'db' | 'keys'>, identityId: IdentityId): Promise<HoldView[]> {
  const rows = await deps.db
    .selectFrom('legal_hold')
    .selectAll()
    .where('identity_id', '=', identityId)
    .orderBy('set_at', 'desc')
    .orderBy('hold_id')
    .execute();
  return Promise.all(rows.map((row) => viewOf(deps, row)));
}

const cursorSchema = z.tuple([z.string(), z.string()]);

/** Holds of everybody, oldest first; only those that stand unless all are asked for. */
export async function listHolds(
  deps: Pick<ApiDeps, 'db' | 'keys'>,
  query: { readonly state: 'standing' | 'all'; readonly after?: string | undefined; readonly limit: number },
): Promise<Page<HoldView>> {
  const cursor = decodeCursor(query.after, cursorSchema);
  const rows = await deps.db
    .selectFrom('legal_hold')
    .selectAll()
    .$if(query.state === 'standing', (select) => select.where('lifted_at', 'is', null))
    .$if(cursor !== undefined, (select) =>
      select.where(sql<boolean>`(set_at, hold_id::text) > (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''})`),
    )
    .orderBy('set_at')
    .orderBy(sql`hold_id::text`)
    .limit(query.limit + 1)
    .execute();
  const views = await Promise.all(rows.map((row) => viewOf(deps, row)));
  return pageOf(
    views,
    query.limit,
    (view) => [view.setAt, view.holdId],
    (view) => view,
  );
}

async function viewOf(
  { db, keys }: { readonly db: Queryable; readonly keys: ApiDeps['keys'] },
  row: Selectable<LegalHoldTable>,
): Promise<HoldView> {
  const opened = await keys.decryptFor(db, row.identity_id, 'legal-hold', row.terms);
  const terms = termsSchema.safeParse(opened).data;
  const lift =
    row.lift_reason === null ? undefined : await keys.decryptFor(db, row.identity_id, 'legal-hold', row.lift_reason);
  return {
    holdId: row.hold_id,
    identityId: row.identity_id,
    reason: terms?.reason ?? null,
    reference: terms?.reference ?? null,
    setAt: row.set_at,
    setBy: row.set_by,
    liftedAt: row.lifted_at,
    liftedBy: row.lifted_by,
    liftReason: typeof lift === 'string' ? lift : null,
  };
}

const termsSchema = z.object({ reason: z.string(), reference: z.string().nullable() });

function standingHold(trx: Queryable, identityId: IdentityId): Promise<Selectable<LegalHoldTable> | undefined> {
  return trx
    .selectFrom('legal_hold')
    .selectAll()
    .where('identity_id', '=', identityId)
    .where('lifted_at', 'is', null)
    .executeTakeFirst();
}

/** The hold as it is now, and what the chain says of the change. */
interface Changed {
  readonly row: Selectable<LegalHoldTable>;
  readonly record: AuditEntry;
}

/** The person's row is locked for the whole change: a write that has passed the fence came before it, any other one sees it. */
async function changing(
  deps: ApiDeps,
  identityId: IdentityId,
  change: (trx: Queryable, person: DoorPerson, now: Instant) => Promise<Changed>,
): Promise<HoldView> {
  const now = deps.now();
  const { row, notice } = await deps.db.transaction().execute(async (trx) => {
    const person = await lockIdentity(trx, identityId);
    if (person === undefined) throw notFound('identity');
    const changed = await change(trx, person, now);
    const told = await tellLeavers(trx, person, now);
    await appendAudit(trx, deps.keys, changed.record);
    return { row: changed.row, notice: told };
  });
  deps.dispatcher.notify(notice);
  return viewOf(deps, row);
}

/** Leavers, and migrations, under way read their schedule anew; told through the inbox, and so also after an outage of Temporal. */
async function tellLeavers(trx: Queryable, person: DoorPerson, now: Instant): Promise<Notice> {
  const { identityId } = person;
  const ledgerVersion = person.ledgerVersion + 1;
  await trx
    .updateTable('process')
    .set({ detail: amendedDetail })
    .where('identity_id', '=', identityId)
    .where('process_kind', 'in', ['leaver', 'migration'])
    .where('state', 'in', ['running', 'tail'])
    .execute();
  await trx
    .updateTable('identity')
    .set({ ledger_version: ledgerVersion })
    .where('identity_id', '=', identityId)
    .execute();
  return putIntoInbox(trx, { identityId, ledgerVersion, urgent: false }, now);
}
