import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** Cuts of many people at once. Who is on a list that waits for its confirmation stands in the ciphertext only; rows of people come when it starts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table cut_batch (
     cut_id uuid primary key,
     state text not null,
     size integer not null,
     body bytea not null,
     proposed_by text not null,
     proposed_by_identity uuid,
     proposed_at timestamptz not null,
     expires_at timestamptz,
     confirmed_by text,
     started_at timestamptz
   )`,
  `create index cut_batch_page on cut_batch (proposed_at, cut_id)`,
  `create table cut_batch_person (
     cut_id uuid not null references cut_batch,
     identity_id uuid not null references identity,
     state text not null,
     attempts integer not null default 0,
     at timestamptz,
     primary key (cut_id, identity_id)
   )`,
  `create index cut_batch_person_waiting on cut_batch_person (cut_id) where state = 'waiting'`,
  `grant select, insert, update on cut_batch, cut_batch_person to tenure_app`,
  `grant select on cut_batch_person to tenure_auditor`,
  `grant select (cut_id, state, size, proposed_by, proposed_at, expires_at, confirmed_by, started_at) on cut_batch to tenure_auditor`,
];
