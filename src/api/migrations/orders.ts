import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { MigrationMoveTable, MigrationWaveTable } from '../../db/schema.js';
import type { IdentityId, LocalDate } from '../../domain/process/ids.js';
import { makeDue, releaseMoves } from '../../planning/waves.js';
import type { WaveRef } from '../../planning/waves.js';
import type { ApiDeps } from '../deps.js';
import type { Notice } from '../dispatch/dispatcher.js';
import { putIntoInbox } from '../hr/news.js';
import { ApiProblem, notFound } from '../http/problem.js';
import type { Caller } from '../http/tokens.js';
import { noteOrder } from './plan-migration.js';

export interface OrderAnswer extends WaveRef {
  /** How many people's queues were told. */
  readonly told: number;
}

interface Order {
  readonly deps: ApiDeps;
  readonly trx: Queryable;
  readonly ref: WaveRef;
  readonly wave: Selectable<MigrationWaveTable>;
  readonly moves: readonly Pick<
    Selectable<MigrationMoveTable>,
    'move_id' | 'identity_id' | 'state' | 'failed_step' | 'settled_at'
  >[];
}

/**
 * Starts a wave, or takes it up again after it halted or was rolled back: moves that failed are tried anew, those that were rolled back are planned again. Raises
 * 404, 409 while the plan waits for its confirmation or a roll-back is under way.
 */
export function startWave(deps: ApiDeps, ref: WaveRef, caller: Caller): Promise<OrderAnswer> {
  return ordered(deps, ref, caller, 'migration.wave-started', async ({ trx, moves }) => {
    if (moves.some((move) => move.state === 'rolled-back' && move.settled_at === null))
      throw new ApiProblem(
        409,
        'roll-back-under-way',
        'This wave is being rolled back; start it when that is through.',
      );
    const now = deps.now();
    const isAgain = (move: Order['moves'][number]): boolean =>
      move.state === 'rolled-back' || (move.state === 'coexisting' && move.failed_step !== null);
    const rolledBack = moves.filter((move) => move.state === 'rolled-back');
    const closing = moves.filter((move) => move.state === 'cut-over' && move.failed_step !== null);
    await setWave(trx, ref, { started_at: now, halted_at: null, rolled_back_at: null });
    await makeDue(trx, people([...moves.filter(isAgain), ...closing]), now);
    await setMoves(trx, moves.filter(isAgain), { state: 'planned', failed_step: null, code: null });
    await setMoves(trx, rolledBack, { before: null, differences: null });
    await setMoves(trx, closing, { failed_step: null, code: null });
    await again(trx, [...moves.filter(isAgain), ...closing]);
    return [...(await releaseMoves(trx, ref, now)), ...people(closing)];
  });
}

/** Says when the wave cuts over: at once, or at a date's midnight in each person's zone. Raises 404, 409 for a wave that is not started or is halted. */
export function cutOverWave(
  deps: ApiDeps,
  ref: WaveRef,
  caller: Caller,
  on: LocalDate | undefined,
): Promise<OrderAnswer> {
  return ordered(deps, ref, caller, 'migration.cut-over-ordered', async ({ trx, wave, moves }) => {
    if (wave.started_at === null || wave.rolled_back_at !== null)
      throw new ApiProblem(409, 'wave-not-started', 'Start this wave before it cuts over.');
    if (wave.halted_at !== null)
      throw new ApiProblem(409, 'wave-halted', 'This wave has halted; start it again or roll it back.');
    await setWave(trx, ref, on === undefined ? { cut_over_at: deps.now() } : { cut_over_on: on, cut_over_at: null });
    return people(moves.filter((move) => move.state === 'coexisting'));
  });
}

/**
 * Rolls a wave back: every move that has begun is undone, the old account as it was and the new one as before. Nobody whose old account is deleted can go back; such
 * a wave is refused as a whole (409), because half a roll-back is none. Raises 404.
 */
export function rollBackWave(deps: ApiDeps, ref: WaveRef, caller: Caller): Promise<OrderAnswer> {
  return ordered(deps, ref, caller, 'migration.roll-back-ordered', async ({ trx, wave, moves }) => {
    if (wave.started_at === null)
      throw new ApiProblem(409, 'wave-not-started', 'Nobody of this wave has moved; there is nothing to roll back.');
    const begun = moves.filter(
      (move) =>
        ['coexisting', 'cut-over', 'retired'].includes(move.state) ||
        (move.state === 'rolled-back' && move.failed_step !== null),
    );
    if (await isTooLate(trx, ref))
      throw new ApiProblem(409, 'too-late', 'Old accounts of this wave are archived or deleted already.');
    const now = deps.now();
    await makeDue(trx, people(begun), now);
    await setWave(trx, ref, { rolled_back_at: now, halted_at: null, cut_over_at: null });
    await setMoves(trx, begun, {
      state: 'rolled-back',
      rolled_back_at: now,
      settled_at: null,
      failed_step: null,
      code: null,
    });
    await again(trx, begun);
    return people(begun);
  });
}

/** Ends a migration: from here on policy alone says what is wanted, so its grants of the old application are to be gone by then. Raises 404, 409. */
export async function closeMigration(deps: ApiDeps, migrationId: string, caller: Caller): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('migration')
      .select('state')
      .where('migration_id', '=', migrationId)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) throw notFound('migration');
    if (row.state === 'closed') throw new ApiProblem(409, 'already-closed', 'This migration is closed already.');
    const open = await trx
      .selectFrom('migration_move')
      .select('move_id')
      .where('migration_id', '=', migrationId)
      .where((eb) =>
        eb.or([
          eb('state', 'in', ['coexisting', 'cut-over']),
          eb.and([eb('state', '=', 'rolled-back'), eb('settled_at', 'is', null)]),
        ]),
      )
      .executeTakeFirst();
    if (open !== undefined)
      throw new ApiProblem(409, 'moves-under-way', 'People of this migration are between two accounts.');
    await trx
      .updateTable('migration')
      .set({ state: 'closed', closed_at: deps.now() })
      .where('migration_id', '=', migrationId)
      .execute();
    await noteOrder(deps, trx, caller, 'migration.closed', { migrationId });
  });
}

/** One order for one wave at a time; whoever has to act on it is told after the commit. */
async function ordered(
  deps: ApiDeps,
  ref: WaveRef,
  caller: Caller,
  action: string,
  carryOut: (order: Order) => Promise<readonly IdentityId[]>,
): Promise<OrderAnswer> {
  const notices = await deps.db.transaction().execute(async (trx) => {
    const migration = await trx
      .selectFrom('migration')
      .select('state')
      .where('migration_id', '=', ref.migrationId)
      .executeTakeFirst();
    const wave = await trx
      .selectFrom('migration_wave')
      .selectAll()
      .where('migration_id', '=', ref.migrationId)
      .where('wave', '=', ref.wave)
      .forUpdate()
      .executeTakeFirst();
    if (migration === undefined || wave === undefined) throw notFound('wave');
    if (migration.state === 'proposed')
      throw new ApiProblem(409, 'not-confirmed', 'This plan waits for another principal to confirm it.');
    if (migration.state === 'closed') throw new ApiProblem(409, 'already-closed', 'This migration is closed.');
    const moves = await trx
      .selectFrom('migration_move')
      .select(['move_id', 'identity_id', 'state', 'failed_step', 'settled_at'])
      .where('migration_id', '=', ref.migrationId)
      .where('wave', '=', ref.wave)
      .orderBy('move_id')
      .execute();
    const told = await carryOut({ deps, trx, ref, wave, moves });
    const news = await tell(deps, trx, told);
    await noteOrder(deps, trx, caller, action, { ...ref, people: told.length });
    return news;
  });
  for (const notice of notices) deps.dispatcher.notify(notice);
  return { ...ref, told: notices.length };
}

/** Through the inbox, and so also after an outage of Temporal. */
async function tell(deps: ApiDeps, trx: Queryable, told: readonly IdentityId[]): Promise<readonly Notice[]> {
  const notices: Notice[] = [];
  for (const identityId of [...told].sort()) {
    const { ledger_version: ledgerVersion } = await trx
      .updateTable('identity')
      .set((eb) => ({ ledger_version: eb('ledger_version', '+', 1) }))
      .where('identity_id', '=', identityId)
      .returning('ledger_version')
      .executeTakeFirstOrThrow();
    notices.push(await putIntoInbox(trx, { identityId, ledgerVersion, urgent: false }, deps.now()));
  }
  return notices;
}

function people(moves: Order['moves']): readonly IdentityId[] {
  return moves.map((move) => move.identity_id);
}

async function setWave(trx: Queryable, ref: WaveRef, change: Partial<Selectable<MigrationWaveTable>>): Promise<void> {
  await trx
    .updateTable('migration_wave')
    .set(change)
    .where('migration_id', '=', ref.migrationId)
    .where('wave', '=', ref.wave)
    .execute();
}

async function setMoves(
  trx: Queryable,
  moves: Order['moves'],
  change: Partial<Selectable<MigrationMoveTable>>,
): Promise<void> {
  if (moves.length === 0) return;
  await trx
    .updateTable('migration_move')
    .set(change)
    .where(
      'move_id',
      'in',
      moves.map((move) => move.move_id),
    )
    .execute();
}

/** What is carried out once more is another revision of its process. */
async function again(trx: Queryable, moves: Order['moves']): Promise<void> {
  if (moves.length === 0) return;
  await trx
    .updateTable('migration_move')
    .set((eb) => ({ attempt: eb('attempt', '+', 1) }))
    .where(
      'move_id',
      'in',
      moves.map((move) => move.move_id),
    )
    .execute();
}

async function isTooLate(trx: Queryable, ref: WaveRef): Promise<boolean> {
  const row = await trx
    .selectFrom('migration_move as move')
    .innerJoin('migration', 'migration.migration_id', 'move.migration_id')
    .select('move.move_id')
    .where('move.migration_id', '=', ref.migrationId)
    .where('move.wave', '=', ref.wave)
    .where('move.state', '=', 'retired')
    .where(
      sql<boolean>`not exists (select from account where account.identity_id = move.identity_id
      and account.application = migration.from_application and not archived and unlinked_at is null)`,
    )
    .executeTakeFirst();
  return row !== undefined;
}
