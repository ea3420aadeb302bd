import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import type { MigrationMoveTable, MigrationTable } from '../db/schema.js';
import { inQueueOrder, moveTransitions } from '../domain/migration/moves.js';
import type { Move, MoveCourse } from '../domain/migration/moves.js';
import type { MoveSnapshot } from '../domain/migration/snapshot.js';
import type { Transition } from '../domain/ledger/types.js';
import type { LifecyclePolicy } from '../domain/policy/types.js';
import type { IdentityId, Instant } from '../domain/process/ids.js';
import { isWorking } from './person.js';
import type { Person } from './person.js';

/** A person's part in every open migration, also where no plan names them: a joiner, or somebody whom no wave takes. */
export async function loadMoves(db: Queryable, identityId: IdentityId): Promise<readonly Move[]> {
  const rows = await db
    .selectFrom('migration')
    .leftJoin('migration_move as move', (join) =>
      join.onRef('move.migration_id', '=', 'migration.migration_id').on('move.identity_id', '=', identityId),
    )
    .select(['migration.from_application as from', 'migration.to_application as to', 'migration.joiners', 'move.state'])
    .select(
      sql<boolean>`exists (select from account where identity_id = ${identityId} and unlinked_at is null
      and application = migration.from_application)`.as('hasFrom'),
    )
    .select(
      sql<boolean>`exists (select from account where identity_id = ${identityId} and unlinked_at is null
      and application = migration.to_application
      and not coalesce(starts_with(created_by_process, move.move_id::text), false))`.as('keepsTo'),
    )
    .where('migration.state', '=', 'open')
    .orderBy('migration.created_at')
    .execute();
  return rows.map(({ from, to, joiners, state, hasFrom, keepsTo }) => {
    const isOutside = state === null && hasFrom;
    const asJoiner = joiners === 'to' && !isOutside ? 'retired' : 'planned';
    return { from, to, keepsTo, state: state === null || state === 'left' ? asJoiner : state };
  });
}

/**
 * Everything that a person's queue has to carry out at some time: what the ledger implies, and the steps of their moves. Nobody who has left moves on; what such a
 * person still has is a leaver's.
 */
export async function queuedTransitions(
  db: Queryable,
  person: Person,
  now: Instant,
  lifecycle: LifecyclePolicy,
): Promise<readonly Transition[]> {
  const courses = await loadCourses(db, person.identityId);
  const state = courses.length === 0 ? undefined : person.stateAt(now);
  const zone = state?.primary?.zone;
  if (state === undefined || zone === undefined) return person.transitions;
  if (!isWorking(state)) {
    await noteLeft(db, person.identityId);
    return person.transitions;
  }
  return inQueueOrder(
    person.transitions,
    courses.flatMap((course) => moveTransitions(course, zone, lifecycle)),
  );
}

async function loadCourses(db: Queryable, identityId: IdentityId): Promise<readonly MoveCourse[]> {
  const rows = await db
    .selectFrom('migration_move as move')
    .innerJoin('migration_wave as wave', (join) =>
      join.onRef('wave.migration_id', '=', 'move.migration_id').onRef('wave.wave', '=', 'move.wave'),
    )
    .selectAll('move')
    .select(['wave.halted_at', 'wave.cut_over_on', 'wave.cut_over_at'])
    .where('identity_id', '=', identityId)
    .execute();
  return rows.map((row) => ({
    moveId: row.move_id,
    state: row.state,
    attempt: row.attempt,
    releasedAt: row.released_at,
    provenAt: row.proven_at,
    retiredAt: row.retired_at,
    rolledBackAt: row.rolled_back_at,
    failedStep: row.failed_step,
    wave: { isHalted: row.halted_at !== null, cutOverOn: row.cut_over_on, cutOverAt: row.cut_over_at },
  }));
}

async function noteLeft(db: Queryable, identityId: IdentityId): Promise<void> {
  await db
    .updateTable('migration_move')
    .set({ state: 'left' })
    .where('identity_id', '=', identityId)
    .where('state', 'in', ['planned', 'coexisting', 'cut-over'])
    .execute();
}

export type MoveRow = Selectable<MigrationMoveTable> &
  Pick<Selectable<MigrationTable>, 'from_application' | 'to_application' | 'patience_ms'>;

/** A move with what its migration says of it; undefined when there is none. */
export function loadMove(db: Queryable, moveId: string): Promise<MoveRow | undefined> {
  return db
    .selectFrom('migration_move as move')
    .innerJoin('migration', 'migration.migration_id', 'move.migration_id')
    .selectAll('move')
    .select(['from_application', 'to_application', 'patience_ms'])
    .where('move_id', '=', moveId)
    .executeTakeFirst();
}

/** Both accounts as they were before the move; undefined while nobody has looked. */
export async function loadSnapshot(db: Queryable, keys: KeyRing, move: MoveRow): Promise<MoveSnapshot | undefined> {
  if (move.before === null) return undefined;
  const opened = await keys.decryptFor(db, move.identity_id, snapshotContext(move.move_id), move.before);
  return opened as unknown as MoveSnapshot | undefined;
}

export function snapshotContext(moveId: string): string {
  return `move/${moveId}`;
}
