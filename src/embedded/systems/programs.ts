/** Programs of the machine: where they are, what they say of themselves. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '../../config.js';
import { errorText } from '../errors.js';
import type { OsUser } from '../os-user.js';

const execute = promisify(execFile);

/** Where daemons live; a plain user's PATH leaves these out. */
const systemFolders = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin', '/usr/libexec'];

/** The caller's environment with the folders of daemons on its PATH. */
export function systemEnvironment(): Readonly<Record<string, string | undefined>> {
  const environment = inheritedEnvironment();
  return { ...environment, PATH: [environment['PATH'] ?? '', ...systemFolders].join(delimiter) };
}

/** The full path of a program, or undefined when it is not on this machine. Read only. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (systemEnvironment()['PATH'] ?? '').split(delimiter).filter((one) => one !== '')) {
    const path = join(folder, name);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path;
  }
  return undefined;
}

/** Those of the programs that are not on this machine. */
export async function missingPrograms(names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(names.map(async (name) => ({ name, path: await findProgram(name) })));
  return found.filter(({ path }) => path === undefined).map(({ name }) => name);
}

export interface RunOptions {
  readonly user?: OsUser | undefined;
  readonly cwd?: string;
  /** Written to standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. Rejects with the last words that it said when it fails. */
export async function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<Said> {
  const running = execute(command, args, {
    env: systemEnvironment(),
    cwd: options.cwd,
    timeout: options.timeoutMs ?? 60_000,
    maxBuffer: 64 * 1024 * 1024,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.user === undefined ? {} : { uid: options.user.uid, gid: options.user.gid }),
  });
  running.child.stdin?.on('error', () => undefined);
  running.child.stdin?.end(options.input ?? '');
  try {
    return await running;
  } catch (error) {
    throw new Error(`${command} failed: ${lastWords(error)}`, { cause: error });
  }
}

/** What a program prints, whatever it ends with: some give their version as a complaint. */
export async function outputOf(command: string, args: readonly string[]): Promise<string> {
  const said = await execute(command, args, { env: systemEnvironment(), timeout: 20_000 }).catch(
    (error: unknown) => error,
  );
  return typeof said === 'object' && said !== null
    ? ['stdout', 'stderr'].map((name) => String(Reflect.get(said, name) ?? '')).join('\n')
    : '';
}

function lastWords(error: unknown): string {
  if (typeof error === 'object' && error !== null && Reflect.get(error, 'killed') === true) return 'it took too long';
  const said = typeof error === 'object' && error !== null ? String(Reflect.get(error, 'stderr') ?? '') : '';
  const lines = said.split('\n').filter((line) => line.trim() !== '');
  return lines.at(-1) ?? errorText(error).split('\n')[0] ?? '';
}
