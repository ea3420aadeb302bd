import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** Requests to erase a person: who asked, who confirmed, when. The reason is under the person's own key and goes with it. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table erasure (
     erasure_id uuid primary key,
     identity_id uuid not null references identity,
     state text not null,
     reason bytea not null,
     proposed_by text not null,
     proposed_by_identity uuid,
     proposed_at timestamptz not null,
     expires_at timestamptz not null,
     due_at timestamptz,
     confirmed_by text,
     confirmed_at timestamptz,
     ended_at timestamptz
   )`,
  `create unique index erasure_open on erasure (identity_id) where state in ('proposed', 'queued')`,
  `create index erasure_page on erasure (proposed_at, erasure_id)`,
  `grant select, insert, update on erasure to tenure_app`,
  `grant select on erasure to tenure_auditor`,
];
