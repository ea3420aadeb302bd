import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** Migrations of people from one application to another: waves, and a move per person. What the accounts were before is ciphertext under the person's key. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table migration (
     migration_id uuid primary key,
     state text not null,
     from_application text not null,
     to_application text not null,
     joiners text not null,
     failure_percent integer not null,
     at_once integer not null,
     patience_ms integer not null,
     size integer not null,
     created_by text not null,
     created_by_identity uuid,
     created_at timestamptz not null,
     confirmed_by text,
     closed_at timestamptz
   )`,
  `create index migration_page on migration (created_at, migration_id)`,
  `create index migration_open on migration (state) where state = 'open'`,
  `create table migration_wave (
     migration_id uuid not null references migration,
     wave integer not null,
     size integer not null,
     cut_over_on text,
     cut_over_at timestamptz,
     started_at timestamptz,
     halted_at timestamptz,
     rolled_back_at timestamptz,
     primary key (migration_id, wave)
   )`,
  `create table migration_move (
     move_id uuid primary key,
     migration_id uuid not null,
     wave integer not null,
     identity_id uuid not null references identity,
     state text not null,
     attempt integer not null default 0,
     released_at timestamptz,
     proven_at timestamptz,
     retired_at timestamptz,
     rolled_back_at timestamptz,
     settled_at timestamptz,
     failed_step text,
     code text,
     before bytea,
     differences text[],
     unique (migration_id, identity_id),
     foreign key (migration_id, wave) references migration_wave
   )`,
  `create index migration_move_identity on migration_move (identity_id)`,
  `create index migration_move_wave on migration_move (migration_id, wave, state)`,
  `grant select, insert, update on migration, migration_wave, migration_move to tenure_app`,
  `grant select on migration, migration_wave to tenure_auditor`,
  `grant select (move_id, migration_id, wave, identity_id, state, attempt, released_at, proven_at, retired_at, rolled_back_at,
     settled_at, failed_step, code, differences) on migration_move to tenure_auditor`,
];
