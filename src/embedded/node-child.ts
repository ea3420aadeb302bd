import { z } from 'zod';
import { StackError } from './errors.js';
import type { RunningChild } from './keeper.js';
import { lastLines, markProcess, spawnChild, stopProcess } from './processes.js';

const readySchema = z.looseObject({ ready: z.literal(true), env: z.record(z.string(), z.string()).default({}) });

/** What a Node child says when it can be used; `env` is for the children that are started after it. */
export type ChildReady = z.infer<typeof readySchema>;

export interface NodeChild extends RunningChild {
  readonly ready: ChildReady;
}

export interface NodeChildOptions {
  readonly name: string;
  /** Compiled entry file. */
  readonly entry: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logFile: string;
  readonly readyWithinMs?: number;
  readonly stopWithinMs?: number;
}

/** API and worker make much garbage that dies young; in a nursery of the usual size a part of it grows old first, and collecting that is dear. */
const YOUNG_GENERATION = '--max-semi-space-size=64';

/**
 * Starts a Node program and resolves when it reports `{ ready: true, ... }` over its channel.
 * @throws StackError with the log's last lines when it ends before that or takes too long.
 */
export async function startNodeChild(options: NodeChildOptions): Promise<NodeChild> {
  const child = await spawnChild({
    command: process.execPath,
    args: ['--enable-source-maps', YOUNG_GENERATION, options.entry],
    env: options.env,
    logFile: options.logFile,
    ipc: true,
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const mark = await markProcess(child.pid);
  const ready = await firstReady(child, ended, options.readyWithinMs ?? 60_000);
  if (mark !== undefined && ready !== undefined) {
    const stop = () => stopProcess(mark, ['SIGTERM', 'SIGKILL'], options.stopWithinMs ?? 35_000);
    return { mark, ready, ended, stop, kill: () => child.kill('SIGKILL') };
  }
  if (mark !== undefined) await stopProcess(mark, ['SIGKILL'], 2_000);
  throw new StackError(
    `The ${options.name} did not start.`,
    `Its last words (${options.logFile}) were:\n${lastLines(options.logFile)}`,
  );
}

async function firstReady(
  child: Awaited<ReturnType<typeof spawnChild>>,
  ended: Promise<void>,
  withinMs: number,
): Promise<ChildReady | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const ready = new Promise<ChildReady>((resolve) => {
    child.on('message', (message) => {
      const parsed = readySchema.safeParse(message);
      if (parsed.success) resolve(parsed.data);
    });
  });
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), withinMs)));
  try {
    return await Promise.race([ready, ended.then(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}
