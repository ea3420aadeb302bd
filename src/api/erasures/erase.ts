import { sql } from 'kysely';
import { appendAudit } from '../../db/audit.js';
import type { Queryable } from '../../db/database.js';
import { SYSTEM } from '../../db/keys.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import { erasedName } from '../../planning/names.js';
import { openBody, sealBody } from '../cuts/body.js';
import type { ApiDeps } from '../deps.js';
import { personIndex } from '../hr/person-lookup.js';
import { readRejection } from '../hr/rejections.js';

/** How many rows were deleted or made anonymous, by table; what is under the person's key needs no touch. */
export type Erased = Readonly<Record<string, number>>;

/**
 * Erases a person inside the caller's transaction, which holds their row: what is in clear is deleted, or made anonymous where it must stay (accounts, reserved names, HR's
 * keys), and the data key is destroyed, which makes facts, plans, evidence, audit and reports unreadable without touching them. The chain of the person ends with
 * `identity.erased`; the system's own says who asked and confirmed, and nothing personal. Not reversible.
 */
export async function erase(
  deps: Pick<ApiDeps, 'db' | 'keys'>,
  trx: Queryable,
  input: {
    readonly erasureId: string;
    readonly identityId: IdentityId;
    readonly proposedBy: string;
    readonly confirmedBy: string;
    readonly now: Instant;
  },
): Promise<Erased> {
  const { keys } = deps;
  const { erasureId, identityId, now } = input;
  const erased: Erased = {
    hr_rejection: await dropRejections(deps, trx, identityId),
    name_reservation: await anonymiseNames(deps, trx, identityId),
    account: await anonymiseAccounts(trx, identityId),
    person_key: await forgetKeys(trx, 'person_key', identityId),
    employment: await forgetKeys(trx, 'employment', identityId),
    cut_batch: await forgetCutReasons(deps, trx, identityId),
    identity_profile: await dropOwn(trx, 'identity_profile', identityId),
    credential_handover: await dropOwn(trx, 'credential_handover', identityId),
    staged_account: await dropStaged(trx, identityId),
    api_token: await dropTokens(trx, identityId),
  };
  const entry = { at: now, actor: input.confirmedBy, action: 'identity.erased' };
  await appendAudit(trx, keys, { ...entry, identityId, body: { erasureId } });
  await keys.destroyKey(trx, identityId, now);
  const { proposedBy, confirmedBy } = input;
  await appendAudit(trx, keys, {
    ...entry,
    identityId: SYSTEM,
    body: { erasureId, identityId, proposedBy, confirmedBy, rows: erased },
  });
  return erased;
}

/** Refused HR records are under the system's key: those of the person are found by what they say, and go. */
async function dropRejections(
  { keys }: Pick<ApiDeps, 'keys'>,
  trx: Queryable,
  identityId: IdentityId,
): Promise<number> {
  const known = await trx
    .selectFrom('person_key')
    .select(['source', 'key_index'])
    .where('identity_id', '=', identityId)
    .execute();
  let dropped = 0;
  for (const { source, key_index: index } of known) {
    const rows = await trx
      .selectFrom('hr_rejection')
      .select(['rejection_id', 'record'])
      .where('source', '=', source)
      .execute();
    for (const row of rows) {
      const record = await readRejection(trx, keys, row.record);
      const person = typeof record === 'object' && record !== null && 'person' in record ? record['person'] : undefined;
      if (typeof person !== 'string' || !personIndex(keys, source, person).equals(index)) continue;
      await trx.deleteFrom('hr_rejection').where('rejection_id', '=', row.rejection_id).execute();
      dropped += 1;
    }
  }
  return dropped;
}

/** Their names stay out of others' reach for as long as they would have, as blind indexes. */
async function anonymiseNames(
  { keys }: Pick<ApiDeps, 'keys'>,
  trx: Queryable,
  identityId: IdentityId,
): Promise<number> {
  const rows = await trx
    .selectFrom('name_reservation')
    .select(['scope', 'folded'])
    .where('identity_id', '=', identityId)
    .execute();
  for (const { scope, folded } of rows) {
    const name = erasedName(keys, scope, folded);
    await trx
      .updateTable('name_reservation')
      .set({ folded: name, name })
      .where('scope', '=', scope)
      .where('folded', '=', folded)
      .execute();
  }
  return rows.length;
}

async function anonymiseAccounts(trx: Queryable, identityId: IdentityId): Promise<number> {
  const rows = await trx
    .updateTable('account')
    .set({
      native_id: sql<string>`'erased:' || account_id`,
      login: '',
      attributes: '{}',
      entitlements: [],
      secret: null,
      unlinked_at: sql<Instant>`coalesce(unlinked_at, now())`,
    })
    .where('identity_id', '=', identityId)
    .returning('account_id')
    .execute();
  return rows.length;
}

/** HR's keys lead nowhere any more: somebody who comes back with the same one is somebody new. */
async function forgetKeys(trx: Queryable, table: 'person_key' | 'employment', identityId: IdentityId): Promise<number> {
  const result = await sql`
    update ${sql.table(table)} set key_index = sha256(gen_random_uuid()::text::bytea) where identity_id = ${identityId}
  `.execute(trx);
  return Number(result.numAffectedRows ?? 0);
}

/** Why many people were cut stands in each one's own chain; the list's own copy goes when all of it is through. */
async function forgetCutReasons(
  deps: Pick<ApiDeps, 'db' | 'keys'>,
  trx: Queryable,
  identityId: IdentityId,
): Promise<number> {
  const rows = await trx
    .selectFrom('cut_batch')
    .select(['cut_id', 'body'])
    .where('cut_id', 'in', (eb) =>
      eb.selectFrom('cut_batch_person').select('cut_id').where('identity_id', '=', identityId),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('cut_batch_person as other')
            .select('other.cut_id')
            .whereRef('other.cut_id', '=', 'cut_batch.cut_id')
            .where('other.state', '=', 'waiting'),
        ),
      ),
    )
    .execute();
  for (const row of rows) {
    const { people } = await openBody(deps, row.cut_id, row.body);
    const body = await sealBody(deps, trx, row.cut_id, { reason: '', people });
    await trx.updateTable('cut_batch').set({ body }).where('cut_id', '=', row.cut_id).execute();
  }
  return rows.length;
}

async function dropOwn(
  trx: Queryable,
  table: 'identity_profile' | 'credential_handover',
  identityId: IdentityId,
): Promise<number> {
  const result = await sql`delete from ${sql.table(table)} where identity_id = ${identityId}`.execute(trx);
  return Number(result.numAffectedRows ?? 0);
}

async function dropStaged(trx: Queryable, identityId: IdentityId): Promise<number> {
  await trx.deleteFrom('staged_key').where('side', '=', 'identity').where('owner', '=', identityId).execute();
  const { numDeletedRows } = await trx
    .deleteFrom('staged_account')
    .where(sql<boolean>`${identityId}::uuid = any(identity_ids)`)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

/** A token's name may say whose it is; stored answers to it may say more. */
async function dropTokens(trx: Queryable, identityId: IdentityId): Promise<number> {
  const own = trx.selectFrom('api_token').select('token_id').where('identity_id', '=', identityId);
  await trx.deleteFrom('idempotency').where('token_id', 'in', own).execute();
  const { numDeletedRows } = await trx.deleteFrom('api_token').where('identity_id', '=', identityId).executeTakeFirst();
  return Number(numDeletedRows);
}
