/** Servers from the Python package index, each in an environment of its own under the tests' cache folder. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadConfig } from '../../src/config.js';

const run = promisify(execFile);

export interface PythonPackage {
  readonly name: string;
  readonly version: string;
  /** What must be in the environment's `bin` when it is whole. */
  readonly program: string;
}

/** The program; installs the package on first use. Safe to run twice at once: the first environment that is whole is kept. */
export async function pythonProgram({ name, version, program }: PythonPackage): Promise<string> {
  const cache = loadConfig().cacheDir;
  const home = join(cache, `${name}-${version}`);
  const file = join(home, 'bin', program);
  if (existsSync(file)) return file;
  // Built under a name of its own and linked when it is whole: an interrupted install leaves nothing half-made behind.
  mkdirSync(cache, { recursive: true });
  const fresh = `${home}.${process.pid}`;
  await run('python3', ['-m', 'venv', fresh]);
  const pip = join(fresh, 'bin', 'pip');
  const args = ['--quiet', '--disable-pip-version-check', 'install', '--prefer-binary', `${name}==${version}`];
  await run(pip, args, { timeout: 900_000 });
  // A link whose folder somebody has tidied away is none.
  if (!existsSync(home)) rmSync(home, { force: true });
  try {
    symlinkSync(fresh, home);
  } catch (error) {
    if (!existsSync(file)) throw error;
  }
  return file;
}

/** Why the package cannot be had here, or undefined when it can. With TENURE_TEST_ALLOW_SKIP=0 a reason is an error instead. */
export async function reasonToSkipPython(wanted: PythonPackage): Promise<string | undefined> {
  try {
    await pythonProgram(wanted);
    return undefined;
  } catch (error) {
    const first = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    const reason = `${wanted.name} ${wanted.version}: ${first}`;
    if (process.env['TENURE_TEST_ALLOW_SKIP'] === '0')
      throw new Error(`must not be skipped: ${reason}`, { cause: error });
    return reason;
  }
}
