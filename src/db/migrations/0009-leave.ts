import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * What extended leaves closed, account by account, until it is open again; and for each account whether Tenure's own write was the last that closed it, so that an
 * administrator's word is told from ours.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `alter table account add column closed_by_tenure boolean not null default false`,
  `update account set closed_by_tenure = true where status = 'disabled' and (sealed or created_by_process is not null)`,
  `create table suspension (
     account_id uuid not null references account,
     identity_id uuid not null references identity,
     process_id text not null references process,
     found text not null,
     suspended_at timestamptz not null,
     ended_at timestamptz,
     outcome text,
     primary key (account_id, suspended_at)
   )`,
  `create unique index suspension_standing on suspension (account_id) where ended_at is null`,
  `create index suspension_identity on suspension (identity_id)`,
  `grant select, insert, update on suspension to tenure_app`,
  `grant select on suspension to tenure_auditor`,
];
