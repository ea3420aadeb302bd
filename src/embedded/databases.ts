import { join } from 'node:path';
import type { Config, DatabaseRole } from '../config.js';
import { migrate, prepareDatabase } from '../db/migrate.js';
import { loadRolePasswords } from './database-roles.js';
import { errorText, StackError } from './errors.js';

export type DatabaseUrls = Readonly<Record<DatabaseRole, string>>;

/**
 * Makes the roles and the database where they are missing and brings the schema up to date. Safe to repeat.
 * @param adminUrl superuser of the embedded server, or undefined for the one that was brought
 * @throws StackError saying what the brought server's user may not do.
 */
export async function openDatabase(config: Config, adminUrl: string | undefined): Promise<DatabaseUrls> {
  try {
    const urls = adminUrl === undefined ? await broughtUrls(config) : await embeddedUrls(config, adminUrl);
    await migrate(urls.owner);
    return urls;
  } catch (error) {
    if (error instanceof StackError) throw error;
    throw new StackError(
      `The database could not be brought up to date: ${errorText(error)}.`,
      adminUrl === undefined
        ? 'Check TENURE_DATABASE_URL: its user must own the database and may create roles (or give TENURE_DATABASE_APP_URL and TENURE_DATABASE_AUDITOR_URL as well).'
        : `The log is in ${join(config.home, 'logs', 'postgres.log')}; npm start -- --fresh begins with an empty database.`,
      { cause: error },
    );
  }
}

async function embeddedUrls(config: Config, adminUrl: string): Promise<DatabaseUrls> {
  const passwords = await loadRolePasswords(join(config.home, 'roles.json'));
  return prepareDatabase({ adminUrl, database: 'tenure', passwords });
}

async function broughtUrls(config: Config): Promise<DatabaseUrls> {
  const { owner, app, auditor } = config.database.urls;
  if (owner === undefined) throw new StackError('TENURE_DATABASE_URL is not set.', 'Set it, or use the embedded one.');
  if (app !== undefined && auditor !== undefined) return { owner, app, auditor };
  const passwords = await loadRolePasswords(join(config.home, 'roles.json'));
  const database = decodeURIComponent(new URL(owner).pathname.slice(1));
  // The brought user stays the owner: the database is theirs already.
  return { ...(await prepareDatabase({ adminUrl: owner, database, passwords })), owner };
}
