import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * The spine's tables. Append-only tables (fact, evidence, audit) are insert-only for the app role; personal values in the ledger, plans, evidence
 * and audit are ciphertext under a per-person data key, so that erasure destroys a key and no chain breaks (design D7).
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table identity (
     identity_id uuid primary key,
     created_at timestamptz not null default now(),
     generation integer not null default 0,
     ledger_version integer not null default 0,
     next_due_at timestamptz
   )`,
  `create index identity_next_due on identity (next_due_at) where next_due_at is not null`,
  // One data key per person; destroying it (wrapped = null) is erasure. The row stays as a tombstone, so no new key is ever minted under the same id.
  `create table identity_key (
     identity_id uuid primary key,
     wrapped bytea,
     master_key_id text not null,
     created_at timestamptz not null default now(),
     destroyed_at timestamptz
   )`,
  // Strong keys of HR, blind-indexed: the key itself is in the encrypted ledger only.
  `create table person_key (
     source text not null,
     key_index bytea not null,
     identity_id uuid not null references identity,
     primary key (source, key_index)
   )`,
  `create table employment (
     employment_id uuid primary key,
     identity_id uuid not null references identity,
     source text not null,
     key_index bytea not null,
     created_at timestamptz not null default now(),
     unique (source, key_index)
   )`,
  `create index employment_identity on employment (identity_id)`,
  `create table fact (
     fact_id uuid primary key,
     identity_id uuid not null references identity,
     ledger_version integer not null,
     employment_id uuid not null references employment,
     source text not null,
     source_event_id text not null,
     source_version integer not null,
     corrects text,
     kind text not null,
     content_hash text not null,
     statement bytea not null,
     recorded_at timestamptz not null,
     unique (identity_id, ledger_version),
     unique (source, source_event_id, source_version)
   )`,
  // The API writes the inbox row in the fact's transaction; the dispatcher repeats until the workflow knows (design D10).
  `create table inbox (
     identity_id uuid primary key references identity,
     ledger_version integer not null,
     urgent boolean not null default false,
     changed_at timestamptz not null default now(),
     delivered_version integer not null default 0,
     delivered_at timestamptz,
     attempts integer not null default 0
   )`,
  `create index inbox_open on inbox (urgent desc, changed_at) where delivered_version < ledger_version`,
  `create table hr_rejection (
     rejection_id uuid primary key,
     received_at timestamptz not null default now(),
     source text not null,
     source_event_id text,
     record bytea not null,
     problems jsonb not null,
     retry_key bytea,
     resolved_at timestamptz,
     resolved_by text
   )`,
  `create index hr_rejection_page on hr_rejection (received_at, rejection_id)`,
  `create index hr_rejection_retry on hr_rejection (retry_key) where retry_key is not null and resolved_at is null`,
  `create table policy_version (
     version integer generated always as identity primary key,
     hash text not null,
     files jsonb not null,
     created_at timestamptz not null default now(),
     created_by text not null
   )`,
  `create table process (
     process_id text primary key,
     transition_id text not null,
     revision integer not null,
     identity_id uuid not null references identity,
     kind text not null,
     process_kind text not null,
     generation integer not null,
     state text not null,
     phase text,
     workflow_id text not null,
     policy_version integer not null references policy_version,
     effective_at timestamptz not null,
     notice_at timestamptz,
     digest text not null,
     due_at timestamptz,
     blocked_on text,
     detail jsonb not null default '{}',
     opened_at timestamptz not null default now(),
     started_at timestamptz,
     ended_at timestamptz,
     outcome text,
     unique (transition_id, revision)
   )`,
  `create index process_identity on process (identity_id, opened_at)`,
  `create table plan (
     plan_id uuid primary key,
     identity_id uuid not null references identity,
     process_id text not null references process,
     phase text not null,
     policy_version integer not null,
     hash text not null,
     body bytea not null,
     created_at timestamptz not null
   )`,
  `create index plan_process on plan (process_id)`,
  `create table account (
     account_id uuid primary key,
     identity_id uuid not null references identity,
     application text not null,
     native_id text not null,
     login text not null,
     status text not null,
     attributes jsonb not null default '{}',
     entitlements text[] not null default '{}',
     archived boolean not null default false,
     sealed boolean not null default false,
     secret bytea,
     created_by_process text,
     observed_at timestamptz not null,
     linked_at timestamptz not null default now(),
     unlinked_at timestamptz
   )`,
  `create unique index account_native on account (application, native_id) where unlinked_at is null`,
  `create index account_identity on account (identity_id) where unlinked_at is null`,
  // A visit = all that happens to one person's account in one application in one phase (design D15).
  `create table visit (
     visit_id uuid primary key,
     plan_id uuid not null references plan,
     process_id text not null references process,
     identity_id uuid not null references identity,
     generation integer not null,
     application text not null,
     phase text not null,
     tier text,
     deadline_at timestamptz,
     account_id uuid,
     depends_on text[] not null default '{}',
     body bytea not null,
     status text not null default 'planned',
     outcome text,
     code text,
     attempt integer not null default 0,
     write_in_flight boolean not null default false,
     write_until timestamptz,
     wrote_at timestamptz,
     first_write_at timestamptz,
     created_at timestamptz not null default now(),
     settled_at timestamptz,
     unique nulls not distinct (plan_id, application, account_id)
   )`,
  `create index visit_process on visit (process_id)`,
  `create index visit_account on visit (identity_id, application)`,
  `create index visit_in_flight on visit (identity_id) where write_in_flight`,
  `create table visit_step (
     visit_id uuid not null references visit,
     operation_key text not null,
     state text not null,
     at timestamptz not null default now(),
     primary key (visit_id, operation_key)
   )`,
  // user names and mail addresses, reserved before any write and kept after release (edge cases 10, 11)
  `create table name_reservation (
     scope text not null,
     folded text not null,
     name text not null,
     identity_id uuid not null references identity,
     reserved_at timestamptz not null default now(),
     released_at timestamptz,
     blocked_until timestamptz,
     primary key (scope, folded)
   )`,
  `create index name_reservation_identity on name_reservation (identity_id)`,
  `create table approval (
     approval_id uuid primary key,
     identity_id uuid not null references identity,
     process_id text not null references process,
     entitlement_key text not null,
     approver_identity_id uuid,
     requested_at timestamptz not null,
     expires_at timestamptz not null,
     status text not null default 'pending',
     decided_by uuid,
     decided_at timestamptz,
     comment bytea,
     unique (process_id, entitlement_key)
   )`,
  `create index approval_open on approval (approver_identity_id, requested_at) where status = 'pending'`,
  // A decision's words stay here; Temporal carries the id only.
  `create table decision (
     decision_id uuid primary key,
     identity_id uuid not null references identity,
     decided_by text not null,
     decided_by_identity uuid,
     kind text not null,
     verdict text not null,
     comment bytea,
     proof bytea,
     at timestamptz not null default now()
   )`,
  `create table operator_task (
     task_id uuid primary key,
     identity_id uuid not null references identity,
     process_id text not null references process,
     visit_id uuid,
     application text,
     kind text not null,
     code text not null,
     attribute text,
     instructions bytea,
     due_at timestamptz,
     created_at timestamptz not null default now(),
     status text not null default 'open',
     resolution text,
     decision_id uuid,
     resolved_at timestamptz
   )`,
  `create index operator_task_open on operator_task (created_at, task_id) where status = 'open'`,
  `create index operator_task_process on operator_task (process_id) where status = 'open'`,
  `create unique index operator_task_visit on operator_task (visit_id) where status = 'open' and visit_id is not null`,
  `create table evidence (
     evidence_id uuid primary key,
     identity_id uuid not null references identity,
     process_id text,
     visit_id uuid,
     application text not null,
     phase text,
     operation_key text not null,
     check_kind text not null,
     road text not null,
     verdict text not null,
     code text,
     seen bytea not null,
     seen_hash text not null,
     residual text,
     residual_until timestamptz,
     deadline_at timestamptz,
     at timestamptz not null
   )`,
  `create index evidence_identity on evidence (identity_id, at)`,
  `create index evidence_process on evidence (process_id)`,
  // Hash chain per identity over ciphertext; the zero uuid is the system's own chain.
  `create table audit (
     identity_id uuid not null,
     seq integer not null,
     at timestamptz not null,
     actor text not null,
     action text not null,
     body bytea not null,
     prev_hash bytea not null,
     hash bytea not null,
     primary key (identity_id, seq)
   )`,
  `create table audit_head (
     identity_id uuid primary key,
     seq integer not null,
     hash bytea not null
   )`,
  `create table api_token (
     token_id uuid primary key,
     token_hash bytea not null unique,
     name text not null,
     role text not null,
     identity_id uuid,
     created_at timestamptz not null default now(),
     expires_at timestamptz,
     revoked_at timestamptz
   )`,
  `create table idempotency (
     token_id uuid not null,
     key text not null,
     request_hash text not null,
     status integer,
     response jsonb,
     created_at timestamptz not null default now(),
     primary key (token_id, key)
   )`,
  // What lists and searches need, in clear and deletable; never a source of truth.
  `create table identity_profile (
     identity_id uuid primary key references identity,
     display_name text not null default '',
     user_name text,
     mail text,
     department text,
     title text,
     lifecycle text not null default 'none',
     manager_identity_id uuid,
     search text not null default '',
     updated_at timestamptz not null default now()
   )`,
  `create index identity_profile_page on identity_profile (display_name, identity_id)`,
  // The account that must still sign in for a negative probe to count (design D5). Never touched by any plan.
  `create table canary (
     application text primary key,
     native_id text,
     login text not null,
     secret bytea not null,
     ready_at timestamptz
   )`,
  // First credential, single use: collected once, then gone (edge case 17).
  `create table credential_handover (
     handover_id uuid primary key,
     identity_id uuid not null references identity,
     application text not null,
     process_id text not null,
     secret bytea,
     created_at timestamptz not null default now(),
     expires_at timestamptz not null,
     collected_at timestamptz,
     collected_by text,
     unique (identity_id, application, process_id)
   )`,
  // Roles: the app may only add to what proves, and the auditor may only read.
  `grant usage on schema public to tenure_app, tenure_auditor`,
  `grant select, insert, update, delete on all tables in schema public to tenure_app`,
  `revoke update, delete on fact, evidence, audit, policy_version, plan, decision from tenure_app`,
  `revoke delete on identity, identity_key, audit_head, process, visit, visit_step, account, approval, operator_task, person_key, employment from tenure_app`,
  `revoke all on kysely_migration, kysely_migration_lock from tenure_app`,
  `grant select on kysely_migration to tenure_app`,
  `grant select on all tables in schema public to tenure_auditor`,
  `revoke select on api_token, idempotency, credential_handover, canary, identity_key from tenure_auditor`,
];
