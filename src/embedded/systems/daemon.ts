import { setTimeout as delay } from 'node:timers/promises';
import type { RunningChild } from '../keeper.js';
import type { OsUser } from '../os-user.js';
import { lastLines, markProcess, spawnChild, stopProcess } from '../processes.js';
import { systemEnvironment } from './programs.js';

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly user?: OsUser | undefined;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isReady: () => Promise<boolean>;
  readonly readyWithinMs: number;
  /** Ends the waiting, and what was started, when nobody wants it any longer. */
  readonly signal: AbortSignal;
}

/**
 * Starts a program in the foreground and resolves when it can be used. Ends it when it cannot, or when `signal` says so.
 * @throws an Error with the log's last words
 */
export async function startDaemon(options: DaemonOptions): Promise<RunningChild> {
  const { command, args, logFile, user, cwd, signal } = options;
  signal.throwIfAborted();
  const child = await spawnChild({
    command,
    args,
    logFile,
    user,
    env: { ...systemEnvironment(), ...options.env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  const state = { isOver: false };
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      state.isOver = true;
      resolve();
    });
  });
  const mark = await markProcess(child.pid);
  const deadline = performance.now() + options.readyWithinMs;
  while (mark !== undefined && !state.isOver && !signal.aborted && performance.now() < deadline) {
    if (await options.isReady()) {
      return { mark, ended, stop: () => stopProcess(mark), kill: () => child.kill('SIGKILL') };
    }
    await delay(100);
  }
  if (mark !== undefined) await stopProcess(mark, ['SIGTERM', 'SIGKILL'], 5_000);
  signal.throwIfAborted();
  const words = lastLines(logFile, 3);
  throw new Error(
    `${state.isOver ? 'it ended at once' : 'it did not answer in time'}${words === '' ? '' : ` (${words})`}`,
  );
}
