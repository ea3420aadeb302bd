import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '../config.js';
import { errorCode, StackError } from './errors.js';
import type { OsUser } from './os-user.js';

const run = promisify(execFile);

/** A process that cannot be mistaken for another one which later got the same number. */
export interface ProcessMark {
  readonly pid: number;
  readonly startedAt: string;
}

/** The mark of a running process; undefined when there is none. Read only. */
export async function markProcess(pid: number): Promise<ProcessMark | undefined> {
  const startedAt = await processStart(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** True while exactly this process runs; a stranger with the same number does not count. */
export async function isRunning(mark: ProcessMark): Promise<boolean> {
  return (await processStart(mark.pid)) === mark.startedAt;
}

/** The command line of a process, arguments joined by blanks; '' when there is none. */
export async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim();
  }
  const result = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return result.stdout.trim();
}

/** Marks of the running processes whose command line passes the test; ourselves left out. */
export async function findProcesses(test: (line: string) => boolean): Promise<readonly ProcessMark[]> {
  const pids = process.platform === 'linux' ? await readdir('/proc').catch(() => []) : await listPids();
  const found: ProcessMark[] = [];
  for (const pid of pids.map(Number).filter((number) => Number.isInteger(number) && number !== process.pid)) {
    const mark = test(await commandLine(pid)) ? await markProcess(pid) : undefined;
    if (mark !== undefined) found.push(mark);
  }
  return found;
}

/**
 * Ends exactly this process: each signal in turn, waiting `graceMs` after each.
 * Safe to repeat; a stranger that got the number meanwhile is left alone.
 */
export async function stopProcess(
  mark: ProcessMark,
  signals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGKILL'],
  graceMs = 15_000,
): Promise<void> {
  for (const signal of signals) {
    if (!(await isRunning(mark))) return;
    sendSignal(mark.pid, signal);
    const deadline = performance.now() + graceMs;
    while (performance.now() < deadline) {
      if (!(await isRunning(mark))) return;
      await delay(25);
    }
  }
}

export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output and errors are appended here. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly user?: OsUser | undefined;
  /** A Node child that reports readiness and hears of its parent's end. */
  readonly ipc?: boolean;
}

/**
 * Starts a child in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone and it can stop
 * the children in order. Rejects when the program cannot be started.
 */
export async function spawnChild(options: SpawnOptions): Promise<ChildProcess & { readonly pid: number }> {
  const log = openSync(options.logFile, 'a', 0o600);
  try {
    const child = spawn(options.command, options.args, {
      detached: true,
      stdio: options.ipc === true ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
      env: { ...(options.env ?? inheritedEnvironment()) },
      cwd: options.cwd,
      ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.on('error', () => undefined);
    return child as ChildProcess & { readonly pid: number };
  } finally {
    closeSync(log);
  }
}

/** The last lines of a log, for a message about a child that did not come up. */
export function lastLines(logFile: string, count = 15): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}

/** A port on loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was assigned');
  return address.port;
}

/**
 * Makes sure that a port can be taken.
 * @throws StackError naming the port and the variable that moves it.
 */
export async function requireFreePort(port: number, variable: string, host = '127.0.0.1'): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  } catch (error) {
    const reason =
      errorCode(error) === 'EADDRINUSE'
        ? `Port ${port} is already used by another program.`
        : `Port ${port} on ${host} cannot be opened (${errorCode(error) ?? 'unknown reason'}).`;
    throw new StackError(reason, `Set ${variable} to another port, or to 0 for any free one.`, { cause: error });
  }
}

async function listPids(): Promise<readonly string[]> {
  const result = await run('ps', ['-axo', 'pid=']).catch(() => ({ stdout: '' }));
  return result.stdout.split('\n').map((line) => line.trim());
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

async function processStart(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return linuxStart(pid);
  const result = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return result.stdout.trim() || undefined;
}

/** Field 22 of /proc/PID/stat; the command in field 2 may hold blanks and brackets, so counting starts after it. */
async function linuxStart(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended; only its parent has not asked yet.
  return fields[0] === 'Z' ? undefined : fields[19];
}
