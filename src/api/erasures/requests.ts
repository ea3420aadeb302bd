import { randomUUID } from 'node:crypto';
import type { Selectable } from 'kysely';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import type { ErasureTable } from '../../db/schema.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import type { ApiDeps } from '../deps.js';
import { lockIdentity } from '../hr/person-lookup.js';
import { refuseOwnCase } from '../http/own-case.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';
import { erase } from './erase.js';
import { obstacleProblem, retentionProblem, standingOf } from './standing.js';

export interface ErasureAnswer {
  readonly identityId: IdentityId;
  /** `erasable`: a dry run found nothing against it. */
  readonly state: 'erased' | 'erasable' | 'proposed';
  readonly erasureId?: string;
  /** When it is to be carried out; absent: with its confirmation. */
  readonly dueAt?: Instant;
  readonly expiresAt?: Instant;
}

/**
 * Asks to erase somebody. Refused with the reason while anything stands against it; within the retention duty it names the earliest date, or waits for that date
 * with `queue`. Of an erased person it says so and writes nothing. Nothing is erased before another principal has confirmed. Raises 404 and 409.
 */
export async function requestErasure(
  deps: ApiDeps,
  input: {
    readonly identityId: IdentityId;
    readonly caller: Caller;
    readonly reason: string;
    readonly dryRun: boolean;
    readonly queue: boolean;
  },
): Promise<ErasureAnswer> {
  const { identityId, caller } = input;
  const now = deps.now();
  return deps.db.transaction().execute(async (trx): Promise<ErasureAnswer> => {
    const person = await lockIdentity(trx, identityId);
    if (person === undefined) throw notFound('identity');
    if (person.isErased) return { identityId, state: 'erased' };
    const { obstacle, keptUntil } = await standingOf(deps, trx, identityId, now);
    if (obstacle !== undefined) throw obstacleProblem(obstacle);
    const isKept = keptUntil > now;
    if (isKept && !input.queue) throw retentionProblem(keptUntil);
    const due = isKept ? { dueAt: keptUntil } : {};
    if (input.dryRun) return { identityId, state: 'erasable', ...due };
    await requireNoOther(trx, identityId, now);
    const erasureId = randomUUID();
    const expiresAt = await expiry(deps, trx, now);
    await trx
      .insertInto('erasure')
      .values({
        erasure_id: erasureId,
        identity_id: identityId,
        state: 'proposed',
        reason: await deps.keys.encryptFor(trx, identityId, `erasure/${erasureId}`, input.reason),
        proposed_by: caller.name,
        proposed_by_identity: caller.identityId ?? null,
        proposed_at: now,
        expires_at: expiresAt,
        due_at: isKept ? keptUntil : null,
        confirmed_by: null,
        confirmed_at: null,
        ended_at: null,
      })
      .execute();
    await note(deps, trx, { identityId, actor: caller.name, action: 'erasure.proposed', erasureId, now });
    return { identityId, state: 'proposed', erasureId, expiresAt, ...due };
  });
}

/**
 * A second principal's yes: erases at once, or queues until the retention duty ends. What stands against it is asked anew. Whoever asked for it, and whoever it is about,
 * are refused (403); a late yes is 410.
 */
export async function confirmErasure(
  deps: ApiDeps,
  erasureId: string,
  caller: Caller,
): Promise<{ readonly erasureId: string; readonly state: 'queued' | 'done'; readonly dueAt: Instant | null }> {
  const now = deps.now();
  return deps.db.transaction().execute(async (trx) => {
    const row = await locked(trx, erasureId);
    if (row === undefined) throw notFound('erasure');
    refuseOwnCase(caller, row.identity_id);
    if (row.state === 'queued' || row.state === 'done')
      throw new ApiProblem(409, 'already-confirmed', 'This erasure was confirmed already.');
    if (row.state !== 'proposed' || row.expires_at <= now)
      throw new ApiProblem(410, 'deadline-passed', 'The time for this confirmation has passed; ask for it again.');
    const isSame =
      caller.name === row.proposed_by ||
      (caller.identityId !== undefined && caller.identityId === row.proposed_by_identity);
    if (isSame)
      throw new ApiProblem(403, 'second-person-needed', 'Who asked for an erasure cannot confirm it.', {
        detail: 'Another principal with the role hr or admin has to confirm.',
      });
    const { obstacle, keptUntil } = await standingOf(deps, trx, row.identity_id, now);
    if (obstacle !== undefined) throw obstacleProblem(obstacle);
    if (keptUntil > now) {
      if (row.due_at === null) throw retentionProblem(keptUntil);
      await end(trx, erasureId, { state: 'queued', confirmed_by: caller.name, confirmed_at: now, due_at: keptUntil });
      const identityId = row.identity_id;
      await note(deps, trx, { identityId, actor: caller.name, action: 'erasure.confirmed', erasureId, now });
      return { erasureId, state: 'queued', dueAt: keptUntil };
    }
    await end(trx, erasureId, { confirmed_by: caller.name, confirmed_at: now });
    await carryOut(deps, trx, { ...row, confirmed_by: caller.name }, now);
    return { erasureId, state: 'done', dueAt: null };
  });
}

/**
 * Carries out what was queued and is due now, one transaction each. Under a legal hold it goes on waiting; of somebody who works here again it is withdrawn. Safe to repeat and to
 * run in several processes at once. Returns how many people were erased.
 */
export async function eraseDue(deps: ApiDeps): Promise<number> {
  const now = deps.now();
  const due = await deps.db
    .selectFrom('erasure')
    .select('erasure_id')
    .where('state', '=', 'queued')
    .where('due_at', '<=', now)
    .orderBy('due_at')
    .execute();
  let erased = 0;
  for (const { erasure_id: erasureId } of due) if (await eraseQueued(deps, erasureId, now)) erased += 1;
  return erased;
}

function eraseQueued(deps: ApiDeps, erasureId: string, now: Instant): Promise<boolean> {
  return deps.db.transaction().execute(async (trx) => {
    const row = await locked(trx, erasureId);
    if (row?.state !== 'queued') return false;
    const { identity_id: identityId } = row;
    const { obstacle, keptUntil } = await standingOf(deps, trx, identityId, now);
    if (obstacle?.kind === 'still-employed') {
      await end(trx, erasureId, { state: 'withdrawn', ended_at: now });
      await note(deps, trx, { identityId, actor: 'system', action: 'erasure.withdrawn', erasureId, now });
      return false;
    }
    if (obstacle !== undefined || keptUntil > now) return false;
    await carryOut(deps, trx, row, now);
    return true;
  });
}

async function carryOut(deps: ApiDeps, trx: Queryable, row: Selectable<ErasureTable>, now: Instant): Promise<void> {
  await end(trx, row.erasure_id, { state: 'done', ended_at: now });
  await erase(deps, trx, {
    erasureId: row.erasure_id,
    identityId: row.identity_id,
    proposedBy: row.proposed_by,
    confirmedBy: row.confirmed_by ?? row.proposed_by,
    now,
  });
}

/** The person's row first, as everybody else does; then the request's. */
async function locked(trx: Queryable, erasureId: string): Promise<Selectable<ErasureTable> | undefined> {
  const found = await trx
    .selectFrom('erasure')
    .select('identity_id')
    .where('erasure_id', '=', erasureId)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  await lockIdentity(trx, found.identity_id);
  return trx.selectFrom('erasure').selectAll().where('erasure_id', '=', erasureId).forUpdate().executeTakeFirst();
}

async function end(trx: Queryable, erasureId: string, change: Partial<Selectable<ErasureTable>>): Promise<void> {
  await trx.updateTable('erasure').set(change).where('erasure_id', '=', erasureId).execute();
}

/** One request at a time; one whose time has passed makes way. */
async function requireNoOther(trx: Queryable, identityId: IdentityId, now: Instant): Promise<void> {
  await trx
    .updateTable('erasure')
    .set({ state: 'expired', ended_at: now })
    .where('identity_id', '=', identityId)
    .where('state', '=', 'proposed')
    .where('expires_at', '<=', now)
    .execute();
  const open = await trx
    .selectFrom('erasure')
    .select('erasure_id')
    .where('identity_id', '=', identityId)
    .where('state', 'in', ['proposed', 'queued'])
    .executeTakeFirst();
  if (open !== undefined)
    throw new ApiProblem(409, 'already-requested', 'An erasure of this person has been asked for already.');
}

async function expiry(deps: ApiDeps, trx: Queryable, now: Instant): Promise<Instant> {
  const policy = await deps.policies.active(trx);
  const afterMs = policy?.lifecycle.erasure.proposalExpiresAfterMs ?? 0;
  return brand<Instant>(new Date(Date.parse(now) + afterMs).toISOString());
}

function note(
  deps: ApiDeps,
  trx: Queryable,
  entry: {
    readonly identityId: IdentityId;
    readonly actor: string;
    readonly action: string;
    readonly erasureId: string;
    readonly now: Instant;
  },
): Promise<void> {
  const { identityId, actor, action, erasureId, now } = entry;
  return appendAudit(trx, deps.keys, { identityId, at: now, actor, action, body: { erasureId } });
}
