import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { MigrationTable } from '../../db/schema.js';
import type { Instant } from '../../domain/process/ids.js';
import type { ApiDeps } from '../deps.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';

export type WaveState =
  'planned' | 'running' | 'coexisting' | 'cutting-over' | 'halted' | 'done' | 'rolling-back' | 'rolled-back';

interface WaveCounts {
  readonly planned: number;
  /** Released, the new account not proven yet. */
  readonly underWay: number;
  /** Both accounts stand. */
  readonly coexisting: number;
  readonly cuttingOver: number;
  readonly retired: number;
  readonly rollingBack: number;
  readonly rolledBack: number;
  /** Rolled back, and not all was as before. */
  readonly differing: number;
  readonly left: number;
  readonly failed: number;
}

export interface WaveView extends WaveCounts {
  readonly wave: number;
  readonly size: number;
  readonly state: WaveState;
  readonly cutOverOn: string | null;
  readonly cutOverAt: Instant | null;
  readonly startedAt: Instant | null;
  readonly haltedAt: Instant | null;
  readonly rolledBackAt: Instant | null;
  /** Codes of failures with how many each. */
  readonly codes: Readonly<Record<string, number>>;
}

/** A migration with how far each wave is. Raises 404. */
export async function migrationView(deps: Pick<ApiDeps, 'db'>, migrationId: string): Promise<object> {
  const row = await deps.db
    .selectFrom('migration')
    .selectAll()
    .where('migration_id', '=', migrationId)
    .executeTakeFirst();
  if (row === undefined) throw notFound('migration');
  return { ...headOf(row), waves: await wavesOf(deps, migrationId) };
}

async function wavesOf({ db }: Pick<ApiDeps, 'db'>, migrationId: string): Promise<readonly WaveView[]> {
  const count = (condition: string) => sql<number>`(count(*) filter (where ${sql.raw(condition)}))::integer`;
  const waves = await db
    .selectFrom('migration_wave as wave')
    .innerJoin('migration_move as move', (join) =>
      join.onRef('move.migration_id', '=', 'wave.migration_id').onRef('move.wave', '=', 'wave.wave'),
    )
    .selectAll('wave')
    .select([
      count(`move.state = 'planned'`).as('planned'),
      count(`move.state = 'coexisting' and proven_at is null and failed_step is null`).as('underWay'),
      count(`move.state = 'coexisting' and proven_at is not null and failed_step is null`).as('coexisting'),
      count(`move.state = 'cut-over' and failed_step is null`).as('cuttingOver'),
      count(`move.state = 'retired'`).as('retired'),
      count(`move.state = 'rolled-back' and settled_at is null and failed_step is null`).as('rollingBack'),
      count(`move.state = 'rolled-back' and settled_at is not null`).as('rolledBack'),
      count(`move.state = 'rolled-back' and cardinality(differences) > 0`).as('differing'),
      count(`move.state = 'left'`).as('left'),
      count(`failed_step is not null`).as('failed'),
    ])
    .where('wave.migration_id', '=', migrationId)
    .groupBy(['wave.migration_id', 'wave.wave'])
    .orderBy('wave.wave')
    .execute();
  const codes = await db
    .selectFrom('migration_move')
    .select(['wave', 'code'])
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .where('migration_id', '=', migrationId)
    .where('code', 'is not', null)
    .groupBy(['wave', 'code'])
    .execute();
  return waves.map((row) => {
    const { planned, underWay, coexisting, cuttingOver, retired, rollingBack, rolledBack, differing, left, failed } =
      row;
    const counts = {
      planned,
      underWay,
      coexisting,
      cuttingOver,
      retired,
      rollingBack,
      rolledBack,
      differing,
      left,
      failed,
    };
    return {
      wave: row.wave,
      size: row.size,
      state: stateOf(row, counts),
      cutOverOn: row.cut_over_on,
      cutOverAt: row.cut_over_at,
      startedAt: row.started_at,
      haltedAt: row.halted_at,
      rolledBackAt: row.rolled_back_at,
      ...counts,
      codes: Object.fromEntries(
        codes.filter((one) => one.wave === row.wave).map((one) => [one.code ?? '', Number(one.count)]),
      ),
    };
  });
}

function stateOf(
  wave: { started_at: Instant | null; halted_at: Instant | null; rolled_back_at: Instant | null; size: number },
  counts: WaveCounts,
): WaveState {
  if (wave.rolled_back_at !== null) return counts.rollingBack + counts.failed > 0 ? 'rolling-back' : 'rolled-back';
  if (wave.halted_at !== null) return 'halted';
  if (wave.started_at === null) return 'planned';
  if (counts.retired + counts.left === wave.size) return 'done';
  if (counts.cuttingOver + counts.retired > 0) return 'cutting-over';
  return counts.planned + counts.underWay > 0 ? 'running' : 'coexisting';
}

const listCursor = z.tuple([z.string(), z.uuid()]);

/** Migrations, newest first. */
export async function listMigrations(
  { db }: Pick<ApiDeps, 'db'>,
  query: { readonly after?: string | undefined; readonly limit: number },
): Promise<Page<object>> {
  const cursor = decodeCursor(query.after, listCursor);
  const rows = await db
    .selectFrom('migration')
    .selectAll()
    .$if(cursor !== undefined, (select) =>
      select.where(
        sql<boolean>`(created_at, migration_id) < (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
      ),
    )
    .orderBy('created_at', 'desc')
    .orderBy('migration_id', 'desc')
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, (row) => [row.created_at, row.migration_id], headOf);
}

const moveCursor = z.tuple([z.uuid()]);

/** The people of a migration with how far each is; of one wave, or only those that failed. */
export async function listMoves(
  { db }: Pick<ApiDeps, 'db'>,
  migrationId: string,
  query: {
    readonly wave?: number | undefined;
    readonly failed: boolean;
    readonly after?: string | undefined;
    readonly limit: number;
  },
): Promise<Page<object>> {
  const { wave, failed, limit } = query;
  const cursor = decodeCursor(query.after, moveCursor);
  const rows = await db
    .selectFrom('migration_move as move')
    .leftJoin('identity_profile as profile', 'profile.identity_id', 'move.identity_id')
    .select(['move_id', 'move.identity_id', 'display_name', 'wave', 'state', 'attempt', 'failed_step', 'code'])
    .select(['released_at', 'proven_at', 'retired_at', 'settled_at', 'differences'])
    .where('migration_id', '=', migrationId)
    .$if(wave !== undefined, (select) => select.where('wave', '=', wave ?? 0))
    .$if(failed, (select) => select.where('failed_step', 'is not', null))
    .$if(cursor !== undefined, (select) => select.where('move_id', '>', cursor?.[0] ?? ''))
    .orderBy('move_id')
    .limit(limit + 1)
    .execute();
  return pageOf(
    rows,
    limit,
    (row) => [row.move_id],
    (row) => ({
      identityId: row.identity_id,
      displayName: row.display_name,
      wave: row.wave,
      state: row.state,
      attempt: row.attempt,
      failedStep: row.failed_step,
      code: row.code,
      releasedAt: row.released_at,
      provenAt: row.proven_at,
      retiredAt: row.retired_at,
      settledAt: row.settled_at,
      differences: row.differences,
    }),
  );
}

function headOf(row: Selectable<MigrationTable>): object {
  return {
    migrationId: row.migration_id,
    state: row.state,
    from: row.from_application,
    to: row.to_application,
    size: row.size,
    joiners: row.joiners,
    failurePercent: row.failure_percent,
    atOnce: row.at_once,
    patienceSeconds: row.patience_ms / 1_000,
    createdBy: row.created_by,
    createdAt: row.created_at,
    confirmedBy: row.confirmed_by,
    closedAt: row.closed_at,
  };
}
