/**
 * Prepares brought servers once, before API and worker are started without the supervisor (docker-compose.yml):
 * roles and database with the passwords in the three role URLs, schema, Temporal namespace and search attributes.
 * TENURE_DATABASE_URL is an administrator. Safe to repeat.
 */
import { Connection } from '@temporalio/client';
import { loadConfig, requireDatabaseUrl } from '../config.js';
import type { Config, DatabaseRole } from '../config.js';
import { migrate, prepareDatabase } from '../db/migrate.js';
import { errorText, StackError } from './errors.js';
import { searchAttributes } from './search-attributes.js';
import { ensureNamespace } from './temporal.js';

try {
  await setUp(loadConfig());
} catch (error) {
  process.stderr.write(`${errorText(error)}\n`);
  if (error instanceof StackError) process.stderr.write(`${error.remedy}\n`);
  process.exitCode = 1;
}

async function setUp(config: Config): Promise<void> {
  const adminUrl = config.database.adminUrl;
  if (adminUrl === undefined)
    throw new StackError('TENURE_DATABASE_URL is not set.', 'Set it to an administrator’s URL.');
  const owner = new URL(requireDatabaseUrl(config, 'owner'));
  const password = (role: DatabaseRole) => decodeURIComponent(new URL(requireDatabaseUrl(config, role)).password);
  await prepareDatabase({
    adminUrl,
    database: decodeURIComponent(owner.pathname.slice(1)),
    passwords: { owner: password('owner'), app: password('app'), auditor: password('auditor') },
  });
  await migrate(owner.href);
  const connection = await Connection.connect(config.temporal.connection);
  try {
    await ensureNamespace(connection, config.temporal.namespace, searchAttributes);
  } finally {
    await connection.close();
  }
}
