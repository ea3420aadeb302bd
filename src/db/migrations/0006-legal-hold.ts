import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * Legal holds. Whether somebody is held stands in the person's own row as well: the fence locks that row just before a write, and so never misses a hold that was
 * set a moment before.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `alter table identity add column held_since timestamptz`,
  `create table legal_hold (
     hold_id uuid primary key,
     identity_id uuid not null references identity,
     terms bytea not null,
     set_at timestamptz not null,
     set_by text not null,
     lifted_at timestamptz,
     lifted_by text,
     lift_reason bytea
   )`,
  `create unique index legal_hold_standing on legal_hold (identity_id) where lifted_at is null`,
  `create index legal_hold_list on legal_hold (set_at, hold_id)`,
  `grant select, insert, update on legal_hold to tenure_app`,
  `grant select on legal_hold to tenure_auditor`,
];
