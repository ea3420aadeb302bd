import { Kysely, PostgresDialect, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import pg from 'pg';
import * as spine from './migrations/0001-spine.js';
import * as onboarding from './migrations/0002-onboarding.js';
import * as appendAudit from './migrations/0003-append-audit.js';
import * as applicationState from './migrations/0004-application-state.js';
import * as legalHold from './migrations/0006-legal-hold.js';
import * as reportNotice from './migrations/0008-report-notice.js';
import * as erasure from './migrations/0012-erasure.js';
import * as cutBatch from './migrations/0005-cut-batch.js';
import * as leave from './migrations/0009-leave.js';
import * as serviceAccount from './migrations/0010-service-account.js';
import * as migration from './migrations/0011-migration.js';

/** Passwords of the three roles; alphanumeric or base64url text. */
export interface RolePasswords {
  readonly owner: string;
  readonly app: string;
  readonly auditor: string;
}

const ROLES = { owner: 'tenure_owner', app: 'tenure_app', auditor: 'tenure_auditor' } as const;

/**
 * Creates what only an administrator may: the three log-in roles and the database, owned by `tenure_owner`. Safe to repeat; passwords are set anew.
 * Returns the URL of each role. Raises the Postgres error when the administrator's rights do not suffice.
 */
export async function prepareDatabase(input: {
  readonly adminUrl: string;
  readonly database: string;
  readonly passwords: RolePasswords;
}): Promise<Readonly<Record<keyof RolePasswords, string>>> {
  const admin = open(input.adminUrl);
  try {
    for (const key of ['owner', 'app', 'auditor'] as const) {
      await ensureRole(admin, ROLES[key], input.passwords[key]);
    }
    const exists = await sql<{
      one: number;
    }>`select 1 as one from pg_database where datname = ${input.database}`.execute(admin);
    if (exists.rows.length === 0) {
      await sql`create database ${sql.id(input.database)} owner ${sql.id(ROLES.owner)}`.execute(admin);
    }
  } finally {
    await admin.destroy();
  }
  const urlOf = (key: keyof RolePasswords): string => {
    const url = new URL(input.adminUrl);
    url.username = ROLES[key];
    url.password = input.passwords[key];
    url.pathname = `/${input.database}`;
    return url.toString();
  };
  return { owner: urlOf('owner'), app: urlOf('app'), auditor: urlOf('auditor') };
}

async function ensureRole(admin: Kysely<unknown>, role: string, password: string): Promise<void> {
  // Roles belong to the whole server: two stacks may create them in the same second, hence the exception handler.
  await sql
    .raw(`do $$ begin create role ${role} login; exception when duplicate_object or unique_violation then null; end $$`)
    .execute(admin);
  await sql`alter role ${sql.id(role)} login password ${sql.lit(password)}`.execute(admin);
}

/** Brings the schema up to date as the owner role. Forward only, one transaction, safe to repeat and to run from two processes at once. */
export async function migrate(ownerUrl: string): Promise<void> {
  const db = open(ownerUrl);
  try {
    const migrator = new Migrator({
      db,
      provider: {
        getMigrations: () =>
          Promise.resolve({
            '0001-spine': spine,
            '0002-onboarding': onboarding,
            '0003-append-audit': appendAudit,
            '0004-application-state': applicationState,
            '0006-legal-hold': legalHold,
            '0008-report-notice': reportNotice,
            '0005-cut-batch': cutBatch,
            '0009-leave': leave,
            '0010-service-account': serviceAccount,
            '0012-erasure': erasure,
            '0011-migration': migration,
          }),
      },
    });
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error instanceof Error ? error : new Error('the migration failed');
  } finally {
    await db.destroy();
  }
}

function open(url: string): Kysely<unknown> {
  return new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 1 }) }),
  });
}
