import { Client, Connection } from '@temporalio/client';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment, loadConfig } from '../../src/config.js';
import { migrate, prepareDatabase } from '../../src/db/migrate.js';
import { loadRolePasswords } from '../../src/embedded/database-roles.js';
import type { RunningChild } from '../../src/embedded/keeper.js';
import { startNodeChild } from '../../src/embedded/node-child.js';
import type { NodeChild } from '../../src/embedded/node-child.js';
import { databaseOsUser } from '../../src/embedded/os-user.js';
import { installPostgres } from '../../src/embedded/postgres-binaries.js';
import { startPostgres } from '../../src/embedded/postgres.js';
import { freePort, markProcess } from '../../src/embedded/processes.js';
import type { ProcessMark } from '../../src/embedded/processes.js';
import { searchAttributes } from '../../src/embedded/search-attributes.js';
import { findTemporalCli } from '../../src/embedded/temporal-cli.js';
import { ensureNamespace, startTemporal } from '../../src/embedded/temporal.js';

type Variables = Readonly<Record<string, string | undefined>>;

/** A Tenure database and namespace of their own on the bench's servers. */
export interface Tenancy {
  readonly namespace: string;
  readonly appUrl: string;
  readonly ownerUrl: string;
  readonly masterKey: string;
  readonly client: Client;
  /** The client's. */
  readonly connection: Connection;
  /** What a worker of this tenancy needs. */
  readonly env: Variables;
}

export interface Stack {
  /** Temporary; gone after the run. */
  readonly home: string;
  readonly adminUrl: string;
  readonly pids: { readonly postgres: number; readonly temporal: number };
  createTenancy(name: string, policyDir: string): Promise<Tenancy>;
  /** Starts a compiled program as a child that ends with the stack. `entry` is relative to build/. */
  startChild(name: string, entry: string, env: Variables): Promise<NodeChild>;
  /** A server that somebody else started ends with the stack, too. */
  adopt(name: string, server: RunningChild): void;
  stop(): Promise<void>;
}

/** A worker with hundreds of queues on a busy machine takes its time. */
const READY_MS = 300_000;

const build = fileURLToPath(new URL('../..', import.meta.url));
const reaper = join(build, '..', 'test', 'support', 'reaper.mjs');

/**
 * The servers of `npm start` in a temporary home: Postgres with crash safety, and a Temporal dev server on a SQLite file with the same two pragmas.
 * They end with `stop`, also after a failure half-way, and soon after this process was killed.
 */
export async function startStack(): Promise<Stack> {
  const home = mkdtempSync(join(tmpdir(), 'tenure-bench-'));
  // Postgres may run as another user and must be able to walk through.
  chmodSync(home, 0o711);
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one().catch(() => undefined);
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    await startReaper(home);
    const postgres = await postgresIn(home);
    stops.push(() => postgres.stop());
    const temporal = await temporalIn(home);
    stops.push(() => temporal.stop());
    const connection = await Connection.connect({ address: temporal.address });
    stops.push(() => connection.close());
    return {
      home,
      adminUrl: postgres.adminUrl,
      pids: { postgres: postgres.mark.pid, temporal: temporal.mark.pid },
      createTenancy: (name, policyDir) =>
        createTenancy({ home, adminUrl: postgres.adminUrl, address: temporal.address, connection, name, policyDir }),
      async startChild(name, entry, env) {
        const child = await startNodeChild({
          name,
          entry: join(build, entry),
          env: { ...plainEnvironment(), TENURE_HOME: home, ...env },
          logFile: join(home, `${name}.log`),
          readyWithinMs: READY_MS,
        });
        noteMark(home, name, child.mark);
        stops.push(() => child.stop());
        return child;
      },
      adopt(name, server) {
        noteMark(home, name, server.mark);
        stops.push(() => server.stop());
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface TenancyOptions {
  readonly home: string;
  readonly adminUrl: string;
  readonly address: string;
  readonly connection: Connection;
  readonly name: string;
  readonly policyDir: string;
}

async function createTenancy(options: TenancyOptions): Promise<Tenancy> {
  const { home, name, adminUrl, address, connection } = options;
  const passwords = await loadRolePasswords(join(home, 'roles.json'));
  const urls = await prepareDatabase({ adminUrl, database: `bench_${name}`, passwords });
  await migrate(urls.owner);
  const namespace = `bench-${name}`;
  await ensureNamespace(connection, namespace, searchAttributes, 1);
  const masterKey = randomBytes(32).toString('base64');
  const keyFile = join(home, `${name}.key`);
  writeFileSync(keyFile, masterKey, { mode: 0o600 });
  return {
    namespace,
    appUrl: urls.app,
    ownerUrl: urls.owner,
    masterKey,
    client: new Client({ connection, namespace }),
    connection,
    env: {
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      TENURE_DATABASE_APP_URL: urls.app,
      TENURE_MASTER_KEY: `file:${keyFile}`,
      TENURE_POLICY_DIR: options.policyDir,
      TENURE_LOG_LEVEL: 'warn',
    },
  };
}

async function postgresIn(home: string) {
  const user = await databaseOsUser();
  return startPostgres({
    binaries: await installPostgres([loadConfig().cacheDir, '/var/cache/tenure', join(home, 'cache')], user),
    folder: join(home, 'postgres'),
    port: await freePort(),
    logFile: join(home, 'postgres.log'),
    user,
    durable: true,
    onSpawn: (mark) => Promise.resolve(noteMark(home, 'postgres', mark)),
  });
}

async function temporalIn(home: string) {
  const config = loadConfig();
  return startTemporal({
    program: await findTemporalCli({
      ...config.temporal.embedded,
      cacheDirs: [config.cacheDir, join(home, 'cache')],
    }),
    port: await freePort(),
    uiPort: undefined,
    logFile: join(home, 'temporal.log'),
    databaseFile: join(home, 'temporal.db'),
    onSpawn: (mark) => Promise.resolve(noteMark(home, 'temporal', mark)),
  });
}

/** The caller's environment without anything that would lead a child to another stack. */
function plainEnvironment(): Variables {
  return Object.fromEntries(
    Object.entries(inheritedEnvironment()).filter(([name]) => !/^(TENURE|TEMPORAL)_/.test(name)),
  );
}

/** A program of its own that removes servers and home when this process dies without tidying up. */
async function startReaper(home: string): Promise<void> {
  const own = await markProcess(process.pid);
  if (own === undefined) return;
  const child = spawn(process.execPath, [reaper, home, String(own.pid), own.startedAt], {
    detached: true,
    stdio: 'ignore',
  });
  child.unref();
}

function noteMark(home: string, name: string, mark: ProcessMark): void {
  writeFileSync(join(home, `${name}.mark.json`), JSON.stringify(mark));
}
