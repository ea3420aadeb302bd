import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { errorText, explainFileError, StackError } from './errors.js';
import { makeFolder } from './os-user.js';
import type { OsUser } from './os-user.js';
import { commandLine, lastLines, markProcess, spawnChild, stopProcess } from './processes.js';
import type { ProcessMark } from './processes.js';

const run = promisify(execFile);

export interface PostgresOptions {
  /** Folder with bin/, from installPostgres. */
  readonly binaries: string;
  /** Folder of this server; holds data/ and the superuser's password file. Reachable for `user`. */
  readonly folder: string;
  readonly port: number;
  readonly logFile: string;
  readonly user: OsUser | undefined;
  /** false gives up crash safety for speed: tests only. */
  readonly durable: boolean;
  /** Told of the process before it is ready, so that whoever cleans up knows it. */
  readonly onSpawn?: (mark: ProcessMark) => Promise<void>;
}

export interface RunningPostgres {
  readonly mark: ProcessMark;
  readonly port: number;
  /** postgresql:// address of the superuser on database postgres; a secret. */
  readonly adminUrl: string;
  /** Settles when the server has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Fast shutdown: sessions are cut, everything committed is on disk. Safe to repeat. */
  stop(): Promise<void>;
}

/**
 * Starts Postgres on 127.0.0.1 and resolves when it accepts connections. A survivor of an earlier run on the same data
 * is stopped first; a half-made database folder is made again. Host connections need a password (scram-sha-256), there
 * is no socket file.
 * @throws StackError with the log's last lines when the server does not come up.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const data = join(options.folder, 'data');
  try {
    await makeFolder(options.folder, options.user === undefined ? 0o700 : 0o711);
    await stopPostgresSurvivor(options.folder);
    const password = await superuserPassword(options.folder);
    await initialise(options, data, password);
    const adminUrl = `postgresql://postgres:${password}@127.0.0.1:${options.port}/postgres`;
    return await launch(options, data, adminUrl);
  } catch (error) {
    throw explainFileError(error, options.folder);
  }
}

/** Stops the server that still runs on this folder, if there is one; never another program. Safe to repeat. */
export async function stopPostgresSurvivor(folder: string): Promise<void> {
  const data = join(folder, 'data');
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  const mark = await markProcess(pid);
  if (mark === undefined) return;
  const isOurs = (await commandLine(pid)).includes(`-D ${data} `);
  if (isOurs) await stopProcess(mark, ['SIGINT', 'SIGQUIT', 'SIGKILL'], 20_000);
  // A stranger has the number of a server that died: Postgres would take it for a running one and refuse to start.
  else await rm(pidFile, { force: true });
}

async function superuserPassword(folder: string): Promise<string> {
  const file = join(folder, 'superuser');
  const known = await readFile(file, 'utf8').catch(() => '');
  if (known !== '') return known;
  const password = randomBytes(24).toString('base64url');
  await writeFile(file, password, { mode: 0o600 });
  return password;
}

async function initialise(options: PostgresOptions, data: string, password: string): Promise<void> {
  if ((await stat(join(data, 'PG_VERSION')).catch(() => undefined)) !== undefined) return;
  const partial = `${data}.partial`;
  const passwordFile = join(options.folder, 'initdb-password');
  await rm(partial, { recursive: true, force: true });
  await makeFolder(partial, 0o700);
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (options.user !== undefined) {
    await chown(partial, options.user.uid, options.user.gid);
    await chown(passwordFile, options.user.uid, options.user.gid);
  }
  try {
    const args = ['-D', partial, '-U', 'postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    args.push('--encoding=UTF8', '--locale-provider=builtin', '--locale=C.UTF-8');
    if (!options.durable) args.push('--no-sync');
    await run(join(options.binaries, 'bin', 'initdb'), args, {
      cwd: options.folder,
      ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
    });
    // The folder gets its name last, so that an interrupted initdb is never taken for a database.
    await rename(partial, data);
  } catch (error) {
    throw notStarted('Postgres could not make its database folder', errorText(error));
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function launch(options: PostgresOptions, data: string, adminUrl: string): Promise<RunningPostgres> {
  const args = ['-D', data, ...settings(options).flatMap((setting) => ['-c', setting])];
  // After a crash the old server's workers may hold its shared memory for a moment; a second try finds it gone.
  for (let attempt = 1; ; attempt++) {
    const child = await spawnChild({
      command: join(options.binaries, 'bin', 'postgres'),
      args,
      logFile: options.logFile,
      cwd: options.folder,
      user: options.user,
    });
    let isOver = false;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        isOver = true;
        resolve();
      });
    });
    const mark = await markProcess(child.pid);
    if (mark !== undefined) await options.onSpawn?.(mark);
    if (mark !== undefined && (await accepts(adminUrl, () => isOver))) {
      child.unref();
      const stop = async () => {
        // Ours again: this process must not end before it has seen the server's end.
        child.ref();
        await stopProcess(mark, ['SIGINT', 'SIGQUIT', 'SIGKILL'], 20_000);
      };
      return { mark, port: options.port, adminUrl, ended, stop };
    }
    if (mark !== undefined) await stopProcess(mark, ['SIGINT', 'SIGKILL'], 5_000);
    if (attempt === 3) throw notStarted('Postgres did not start', lastLines(options.logFile));
    await delay(1_000);
  }
}

function settings(options: PostgresOptions): readonly string[] {
  const common = [
    'listen_addresses=127.0.0.1',
    `port=${options.port}`,
    'unix_socket_directories=',
    'max_connections=200',
    'timezone=UTC',
    'log_timezone=UTC',
    'dynamic_shared_memory_type=mmap',
  ];
  if (options.durable) return [...common, 'fsync=on'];
  return [...common, 'fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];
}

async function accepts(adminUrl: string, isOver: () => boolean): Promise<boolean> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline && !isOver()) {
    const client = new Client({ connectionString: adminUrl, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch {
      await delay(50);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  return false;
}

function notStarted(what: string, details: string): StackError {
  if (/No space left on device|ENOSPC/.test(details)) {
    return new StackError(
      'There is no space left on the disk for Postgres.',
      'Free some space (Tenure needs about 500 MB) or set TENURE_HOME to a folder on another disk.',
    );
  }
  return new StackError(`${what}.`, `Its last words were:\n${details}`);
}
