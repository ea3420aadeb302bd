import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * Service accounts that nobody may need any more, and who owns them. Each is an identity of its own, so that plans, visits, proofs, approvals, tasks and the audit
 * chain are those of everybody else. Owners' voices are approvals.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table service_account (
     identity_id uuid primary key references identity,
     application text not null,
     login text not null,
     origin text not null,
     purpose bytea,
     declared_by text not null,
     declared_at timestamptz not null,
     state text not null default 'open',
     process_id text not null references process,
     round integer not null default 1,
     was_enabled boolean,
     screamed_at timestamptz,
     attested_at timestamptz,
     given_up_at timestamptz
   )`,
  `create unique index service_account_login on service_account (application, lower(login)) where state not in ('removed', 'gone')`,
  `create index service_account_page on service_account (declared_at, identity_id)`,
  `create table service_account_owner (
     identity_id uuid not null references service_account,
     owner_identity_id uuid not null references identity,
     named_by text not null,
     named_at timestamptz not null,
     ended_at timestamptz,
     primary key (identity_id, owner_identity_id)
   )`,
  `create index service_account_owner_person on service_account_owner (owner_identity_id) where ended_at is null`,
  `grant select, insert, update on service_account, service_account_owner to tenure_app`,
  `grant select on service_account, service_account_owner to tenure_auditor`,
];
