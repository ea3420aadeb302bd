import { sql } from 'kysely';
import type { Queryable } from '../db/database.js';
import { haltsWave } from '../domain/migration/moves.js';
import type { IdentityId, Instant } from '../domain/process/ids.js';

export interface WaveRef {
  readonly migrationId: string;
  readonly wave: number;
}

/**
 * Lets as many moves of a wave begin as there is room for: none while it is halted, rolled back or not started. Gives the people whose queues have to look; they
 * are due, too, so that nobody is forgotten who cannot be told. Repeating it releases only what there is room for then.
 */
export async function releaseMoves(trx: Queryable, ref: WaveRef, now: Instant): Promise<readonly IdentityId[]> {
  const wave = await trx
    .selectFrom('migration_wave as wave')
    .innerJoin('migration', 'migration.migration_id', 'wave.migration_id')
    .select(['wave.started_at', 'wave.halted_at', 'wave.rolled_back_at', 'migration.at_once', 'migration.state'])
    .where('wave.migration_id', '=', ref.migrationId)
    .where('wave.wave', '=', ref.wave)
    .forUpdate('wave')
    .executeTakeFirstOrThrow();
  const isOpen = wave.started_at !== null && wave.halted_at === null && wave.rolled_back_at === null;
  if (!isOpen || wave.state !== 'open') return [];
  const moves = await movesOf(trx, ref);
  const isUnderWay = (move: (typeof moves)[number]): boolean =>
    move.state === 'coexisting' && move.proven_at === null && move.failed_step === null;
  const room = wave.at_once - moves.filter(isUnderWay).length;
  const next = moves.filter((move) => move.state === 'planned').slice(0, Math.max(0, room));
  if (next.length === 0) return [];
  const people = next.map((move) => move.identity_id);
  // People before their moves, as the queue locks them.
  await makeDue(trx, people, now);
  await trx
    .updateTable('migration_move')
    .set({ state: 'coexisting', released_at: now, proven_at: null, rolled_back_at: null, settled_at: null })
    .where('migration_id', '=', ref.migrationId)
    .where('state', '=', 'planned')
    .where('identity_id', 'in', people)
    .execute();
  return people;
}

/** The schedule of due people finds them, whatever becomes of the message. */
export async function makeDue(trx: Queryable, people: readonly IdentityId[], now: Instant): Promise<void> {
  if (people.length === 0) return;
  await trx
    .selectFrom('identity')
    .select('identity_id')
    .where('identity_id', 'in', [...people])
    .orderBy('identity_id')
    .forNoKeyUpdate()
    .execute();
  await trx
    .updateTable('identity')
    .set({ next_due_at: sql<Instant>`least(next_due_at, ${now}::timestamptz)` })
    .where('identity_id', 'in', [...people])
    .execute();
}

/** Orders for a wave and news of its moves come one after the other: taken before a move is changed. */
export async function lockWave(trx: Queryable, ref: WaveRef): Promise<void> {
  await trx
    .selectFrom('migration_wave')
    .select('wave')
    .where('migration_id', '=', ref.migrationId)
    .where('wave', '=', ref.wave)
    .forUpdate()
    .execute();
}

/** Halts a wave when too many of its moves have failed; true when it is halted by that. Call it under the wave's lock. */
export async function guardWave(trx: Queryable, ref: WaveRef, now: Instant): Promise<boolean> {
  const wave = await trx
    .selectFrom('migration_wave as wave')
    .innerJoin('migration', 'migration.migration_id', 'wave.migration_id')
    .select(['wave.size', 'wave.halted_at', 'migration.failure_percent'])
    .where('wave.migration_id', '=', ref.migrationId)
    .where('wave.wave', '=', ref.wave)
    .executeTakeFirstOrThrow();
  const failed = (await movesOf(trx, ref)).filter((move) => move.failed_step !== null).length;
  if (wave.halted_at !== null || !haltsWave(failed, wave.size, wave.failure_percent)) return false;
  await trx
    .updateTable('migration_wave')
    .set({ halted_at: now })
    .where('migration_id', '=', ref.migrationId)
    .where('wave', '=', ref.wave)
    .execute();
  return true;
}

function movesOf(trx: Queryable, ref: WaveRef) {
  return trx
    .selectFrom('migration_move')
    .select(['move_id', 'identity_id', 'state', 'proven_at', 'failed_step'])
    .where('migration_id', '=', ref.migrationId)
    .where('wave', '=', ref.wave)
    .orderBy('move_id')
    .execute();
}
