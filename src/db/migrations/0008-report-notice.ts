import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * Reports that processes made, version by version and never overwritten, and the outbox of the notices about them. A report is ciphertext under the leaver's key;
 * a notice names its recipient by id: the address is read when it is sent.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table report (
     report_id uuid primary key,
     identity_id uuid not null references identity,
     process_id text not null references process,
     version integer not null check (version > 0),
     occasion text not null,
     made_at timestamptz not null,
     key_id text not null,
     hash text not null,
     body bytea not null,
     unique (process_id, version)
   )`,
  `create table notice (
     notice_id uuid primary key,
     identity_id uuid not null references identity,
     process_id text not null references process,
     report_id uuid references report,
     kind text not null,
     recipient_identity_id uuid references identity,
     state text not null,
     tries integer not null default 0,
     code text,
     created_at timestamptz not null default now(),
     next_try_at timestamptz not null default now(),
     sent_at timestamptz
   )`,
  `create index notice_pending on notice (next_try_at) where state = 'pending'`,
  `create index notice_created on notice (created_at, notice_id)`,
  `grant select, insert on report to tenure_app`,
  `grant select, insert, update on notice to tenure_app`,
  `grant select on report, notice to tenure_auditor`,
];
