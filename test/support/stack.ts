/**
 * One Postgres and one Temporal server for a whole jest run, shared by its workers, started when the first test asks.
 * They end with the run (global-teardown.mjs) or soon after jest is killed (reaper.mjs).
 */
import { Connection } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { loadConfig } from '../../src/config.js';
import type { DatabaseRole } from '../../src/config.js';
import { migrate, prepareDatabase } from '../../src/db/migrate.js';
import { loadRolePasswords } from '../../src/embedded/database-roles.js';
import { databaseOsUser } from '../../src/embedded/os-user.js';
import { installPostgres } from '../../src/embedded/postgres-binaries.js';
import { startPostgres } from '../../src/embedded/postgres.js';
import { freePort } from '../../src/embedded/processes.js';
import { findTemporalCli } from '../../src/embedded/temporal-cli.js';
import type { SearchAttributes } from '../../src/embedded/temporal.js';
import { ensureNamespace, startTemporal } from '../../src/embedded/temporal.js';
import { isFirst, recordMark, runFolder, startReaper } from './run-folder.js';

const template = 'tenure_template';

export interface TestDatabase extends Readonly<Record<DatabaseRole, string>> {
  readonly name: string;
  /** Superuser on this database: for peeking and for planting what no role may do. */
  readonly admin: string;
  /** Cuts all sessions and removes the database. Safe to repeat. */
  drop(): Promise<void>;
}

export interface TestNamespace {
  readonly address: string;
  readonly namespace: string;
}

/** Address of the run's Postgres superuser; starts the server on first use (about 2 s). */
export async function acquirePostgres(): Promise<{ readonly adminUrl: string }> {
  return once('postgres', async (folder) => {
    const config = loadConfig();
    const user = await databaseOsUser();
    const server = await startPostgres({
      binaries: await installPostgres([config.cacheDir, '/var/cache/tenure', join(folder, 'cache')], user),
      folder: join(folder, 'postgres'),
      port: await freePort(),
      logFile: join(folder, 'postgres.log'),
      user,
      durable: false,
      onSpawn: (mark) => recordMark(folder, 'postgres', mark),
    });
    return { adminUrl: server.adminUrl };
  });
}

/** Address of the run's Temporal server (in memory, time skipping allowed); starts it on first use (about 2 s). */
export async function acquireTemporal(): Promise<{ readonly address: string }> {
  return once('temporal', async (folder) => {
    const config = loadConfig();
    const server = await startTemporal({
      program: await findTemporalCli({
        ...config.temporal.embedded,
        cacheDirs: [config.cacheDir, join(folder, 'cache')],
      }),
      port: await freePort(),
      uiPort: undefined,
      logFile: join(folder, 'temporal.log'),
      databaseFile: undefined,
      timeSkipping: true,
      onSpawn: (mark) => recordMark(folder, 'temporal', mark),
    });
    return { address: server.address };
  });
}

/** A migrated database of one's own; migrations run once per jest run, the rest are copies. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { adminUrl } = await acquirePostgres();
  const roles = await once('template', async (folder) => {
    const passwords = await loadRolePasswords(join(folder, 'roles.json'));
    const urls = await prepareDatabase({ adminUrl, database: template, passwords });
    await migrate(urls.owner);
    return urls;
  });
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await copyTemplate(adminUrl, name);
  const on = (url: string) => withDatabase(url, name);
  return {
    name,
    owner: on(roles.owner),
    app: on(roles.app),
    auditor: on(roles.auditor),
    admin: on(adminUrl),
    drop: () => execute(adminUrl, `drop database if exists ${name} with (force)`),
  };
}

/** A Temporal namespace of one's own that knows the given search attributes. */
export async function createTestNamespace(attributes: SearchAttributes = {}): Promise<TestNamespace> {
  const { address } = await acquireTemporal();
  const namespace = `test-${randomUUID()}`;
  const connection = await Connection.connect({ address });
  try {
    await ensureNamespace(connection, namespace, attributes, 1);
  } finally {
    await connection.close();
  }
  return { address, namespace };
}

/** Does the work in the first worker that asks and gives all others its result, or its failure. */
export async function once<Result extends object>(
  name: string,
  work: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = runFolder();
  const file = join(folder, `${name}.json`);
  if (!existsSync(file) && isFirst(join(folder, `${name}.lock`))) {
    startReaper(folder);
    const outcome = await work(folder).then(
      (result) => ({ result }),
      (error: unknown) => ({
        failure: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error),
      }),
    );
    writeFileSync(`${file}.partial`, JSON.stringify(outcome), { mode: 0o600 });
    renameSync(`${file}.partial`, file);
  }
  for (let waited = 0; !existsSync(file); waited += 50) {
    if (waited > 300_000) throw new Error(`the test run's ${name} did not come up`);
    await delay(50);
  }
  const outcome = JSON.parse(readFileSync(file, 'utf8')) as { readonly result?: Result; readonly failure?: string };
  if (outcome.result === undefined) throw new Error(`the test run's ${name} failed: ${outcome.failure ?? ''}`);
  return outcome.result;
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}

/** Postgres copies a template only while nobody is connected to it; another copy in progress is waited for. */
async function copyTemplate(adminUrl: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await execute(adminUrl, `create database ${name} owner tenure_owner template ${template}`);
    } catch (error) {
      if (attempt === 100 || !(error instanceof Error) || !error.message.includes('being accessed')) throw error;
      await delay(100);
    }
  }
}

async function execute(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
