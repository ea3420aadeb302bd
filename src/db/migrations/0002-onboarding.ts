import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * Onboarding of applications: the last health probe, the reports of tests, and imports of existing accounts. What an import has staged is short-lived: keys are
 * blind indexes, what a person has to see is ciphertext under the system key, and all of it is deleted with the import (design D7, D14).
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  // One row per application: the last probe and how often each answer was got, never a history.
  `create table application_health (
     application text primary key,
     ok boolean not null,
     code text,
     latency_ms integer not null,
     at timestamptz not null,
     changed_at timestamptz not null,
     ok_count bigint not null default 0,
     failed_count bigint not null default 0
   )`,
  `create table application_test (
     test_id uuid primary key,
     application text not null,
     state text not null,
     stage text not null,
     requested_by text not null,
     created_at timestamptz not null,
     ended_at timestamptz,
     report jsonb
   )`,
  `create index application_test_application on application_test (application, created_at)`,
  `create table account_import (
     import_id uuid primary key,
     application text not null,
     state text not null,
     stage text not null,
     links boolean not null,
     page_size integer not null,
     policy_version integer not null references policy_version,
     requested_by text not null,
     created_at timestamptz not null,
     touched_at timestamptz not null,
     ended_at timestamptz,
     expires_at timestamptz not null,
     dropped_at timestamptz,
     code text,
     cursor bytea,
     after_key text,
     is_complete boolean,
     pages integer not null default 0,
     accounts integer not null default 0,
     identities integer not null default 0,
     counts jsonb
   )`,
  // One at a time: two listings of one target would only slow each other down.
  `create unique index account_import_running on account_import (application) where state = 'running'`,
  `create index account_import_application on account_import (application, created_at)`,
  `create table staged_account (
     import_id uuid not null references account_import on delete cascade,
     native_id text not null,
     body bytea not null,
     status text not null,
     is_protected boolean not null,
     result text,
     identity_ids uuid[] not null default '{}',
     keys text[] not null default '{}',
     code text,
     primary key (import_id, native_id)
   )`,
  `create index staged_account_result on staged_account (import_id, result, native_id)`,
  `create index staged_account_identity on staged_account (import_id, (identity_ids[1])) where result = 'strong'`,
  `create table staged_key (
     import_id uuid not null references account_import on delete cascade,
     side text not null,
     owner text not null,
     key text not null,
     key_index bytea not null,
     primary key (import_id, side, owner, key)
   )`,
  `create index staged_key_index on staged_key (import_id, side, key, key_index)`,
  `grant select, insert, update, delete on application_health, application_test, account_import, staged_account, staged_key to tenure_app`,
  `grant select on application_health, application_test, account_import to tenure_auditor`,
];
