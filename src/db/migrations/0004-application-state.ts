import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/** How an application's target fares, for all workers together: its token bucket, failures in a row, and quarantine. One row an application. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS: readonly string[] = [
  `create table application_state (
     application text primary key,
     tokens double precision not null default 0,
     refilled_at timestamptz,
     failures integer not null default 0,
     code text,
     quarantined_since timestamptz,
     quarantined_until timestamptz,
     pauses integer not null default 0
   )`,
  `grant select, insert, update on application_state to tenure_app`,
  `grant select on application_state to tenure_auditor`,
];
