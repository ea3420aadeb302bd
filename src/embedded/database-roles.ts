import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { Client } from 'pg';
import { z } from 'zod';
import type { DatabaseRole } from '../config.js';

const passwordsSchema = z.object({ owner: z.string(), app: z.string(), auditor: z.string() });
export type RolePasswords = Readonly<Record<DatabaseRole, string>>;
export type DatabaseUrls = Readonly<Record<DatabaseRole, string>>;

/** Login names of the three roles. */
export const roleNames: Readonly<Record<DatabaseRole, string>> = {
  owner: 'tenure_owner',
  app: 'tenure_app',
  auditor: 'tenure_auditor',
};

/** Reads the roles' passwords from `file`, or makes random ones and keeps them there with mode 0600. */
export async function loadRolePasswords(file: string): Promise<RolePasswords> {
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return passwordsSchema.parse(JSON.parse(known));
  const random = () => randomBytes(24).toString('base64url');
  const passwords = { owner: random(), app: random(), auditor: random() };
  await writeFile(file, JSON.stringify(passwords), { mode: 0o600 });
  return passwords;
}

/**
 * Makes sure that the three roles exist and may sign in with these passwords. The owner may create roles, so that
 * migrations run as it find or make what they need. Safe to repeat.
 * @param adminUrl a role that may create roles
 */
export async function ensureRoles(adminUrl: string, passwords: RolePasswords): Promise<void> {
  await withClient(adminUrl, async (client) => {
    for (const role of ['owner', 'app', 'auditor'] as const) {
      const name = client.escapeIdentifier(roleNames[role]);
      const exists = await client.query('select 1 from pg_roles where rolname = $1', [roleNames[role]]);
      if (exists.rowCount === 0) await client.query(`create role ${name}`);
      const rights = role === 'owner' ? 'createrole' : 'nocreaterole';
      await client.query(`alter role ${name} login ${rights} password ${client.escapeLiteral(passwords[role])}`);
    }
    // Migrations run as the owner and may have to grant or alter the two others.
    await client.query(`grant tenure_app, tenure_auditor to tenure_owner with admin option, inherit false, set false`);
  });
}

/** Makes sure that the database exists and belongs to tenure_owner. Safe to repeat. */
export async function ensureDatabase(adminUrl: string, database: string, template?: string): Promise<void> {
  await withClient(adminUrl, async (client) => {
    const exists = await client.query('select 1 from pg_database where datname = $1', [database]);
    if (exists.rowCount !== 0) return;
    const from = template === undefined ? '' : ` template ${client.escapeIdentifier(template)}`;
    await client.query(`create database ${client.escapeIdentifier(database)} owner tenure_owner${from}`);
    await client.query(`revoke all on database ${client.escapeIdentifier(database)} from public`);
    await client.query(`grant connect on database ${client.escapeIdentifier(database)} to tenure_app, tenure_auditor`);
    await client.query(`grant temporary on database ${client.escapeIdentifier(database)} to tenure_app`);
  });
}

/** The addresses of the three roles on one database of the server behind `adminUrl`; secrets. */
export function roleUrls(adminUrl: string, database: string, passwords: RolePasswords): DatabaseUrls {
  const url = (role: DatabaseRole) => {
    const address = new URL(adminUrl);
    address.username = roleNames[role];
    address.password = passwords[role];
    address.pathname = `/${database}`;
    return address.href;
  };
  return { owner: url('owner'), app: url('app'), auditor: url('auditor') };
}

async function withClient(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
