import { Client } from 'pg';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inheritedEnvironment, loadConfig } from '../../src/config.js';
import { startStack } from '../../src/embedded/supervisor.js';
import type { RunInfo } from '../../src/embedded/supervisor.js';
import type { Victim } from './cells.js';
import { writePolicy } from './policies.js';

const build = fileURLToPath(new URL('../..', import.meta.url));

/** The stack of `npm start` on the matrix's policy, with the supervisor in this process: whatever is killed is started again by it. */
export interface MatrixStack {
  readonly run: RunInfo;
  /** kill -9; resolves once the supervisor has noticed the end. Gives what waits until it can be used again. */
  kill(victim: Victim): Promise<{ readonly isBack: Promise<void> }>;
  /** A query at Tenure's own database; asked again while it is away. */
  query<Row extends object>(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  stop(): Promise<void>;
}

const TITLES: Readonly<Record<Victim, string>> = {
  worker: 'Worker',
  api: 'API',
  postgres: 'Postgres',
  temporal: 'Temporal',
};
const BACK_WITHIN_MS = 120_000;

export async function startMatrixStack(targetUrl: string): Promise<MatrixStack> {
  const home = mkdtempSync(join(tmpdir(), 'tenure-bench-'));
  // Postgres may run as another user and must be able to walk through.
  chmodSync(home, 0o711);
  const policy = join(home, 'matrix-policy');
  mkdirSync(policy);
  writePolicy(policy, join(build, '..', 'policy'), targetUrl);
  const said: string[] = [];
  const others = Object.entries(inheritedEnvironment()).filter(([name]) => !/^(TENURE|TEMPORAL)_/.test(name));
  const cacheDir = process.env['TENURE_CACHE_DIR'];
  const config = loadConfig({
    ...Object.fromEntries(others),
    ...(cacheDir === undefined ? {} : { TENURE_CACHE_DIR: cacheDir }),
    TENURE_HOME: home,
    TENURE_POLICY_DIR: policy,
    TENURE_SANDBOX: 'embedded',
    TENURE_PORT: '0',
    TENURE_POSTGRES_PORT: '0',
    TENURE_TEMPORAL_PORT: '0',
    TENURE_TEMPORAL_UI_PORT: '0',
  });
  const entry = (path: string): string => join(build, path);
  const remove = (): Promise<void> => rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  const stack = await startStack({
    config,
    fresh: false,
    entries: {
      api: entry('src/api/main.js'),
      worker: entry('bench/crash-matrix/worker.js'),
      targets: entry('src/embedded/targets/main.js'),
    },
    say: (line) => said.push(line),
    signal: new AbortController().signal,
  }).catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  const pidOf = (victim: Victim): number | undefined => {
    const text = readFileSync(join(home, 'children.json'), 'utf8');
    return (JSON.parse(text) as Partial<Record<Victim, { readonly pid: number }>>)[victim]?.pid;
  };
  return {
    run: stack.run,
    async kill(victim) {
      const pid = pidOf(victim);
      if (pid === undefined) throw new Error(`${victim} does not run`);
      const before = said.length;
      process.kill(pid, 'SIGKILL');
      const has = (text: string) =>
        said.slice(before).some((line) => line.startsWith(TITLES[victim]) && line.includes(text));
      await until(() => has('ended unexpectedly'), `the end of ${victim}`);
      const isBack = until(() => (pidOf(victim) ?? pid) !== pid, `${victim} again`);
      isBack.catch(() => undefined);
      return { isBack };
    },
    query: (sql, values = []) => persistently(stack.run.postgresUrl, sql, values),
    async stop() {
      await stack.stop();
      await remove();
    },
  };
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + BACK_WITHIN_MS; !holds(); await delay(20))
    if (Date.now() > end) throw new Error(`${what} was not seen within ${BACK_WITHIN_MS / 1000} s`);
}

async function persistently<Row extends object>(
  connectionString: string,
  sql: string,
  values: readonly unknown[],
): Promise<readonly Row[]> {
  for (const end = Date.now() + BACK_WITHIN_MS; ; await delay(250)) {
    const client = new Client({ connectionString });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query<Row>(sql, [...values])).rows;
    } catch (error) {
      if (Date.now() > end) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
