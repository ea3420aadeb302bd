/**
 * Programs from Go modules, built once into the tests' cache folder. Such a build takes minutes and gigabytes, so without a cached
 * program it happens only when TENURE_CI_FULL=1. This is the one skip that TENURE_TEST_ALLOW_SKIP=0 does not turn into a failure.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadConfig } from '../../src/config.js';

export interface GoProgram {
  /** Names the program and its folder in the cache; holds the version. */
  readonly name: string;
  /** The main package. */
  readonly package: string;
  /** `go install` refuses modules with replace lines: they are built from a go.mod of our own that requires these. */
  readonly require: Readonly<Record<string, string>>;
  readonly replace?: Readonly<Record<string, string>>;
  readonly tags?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Values that the linker puts into the program's variables, such as its version. */
  readonly variables?: Readonly<Record<string, string>>;
  /** What the program reads beside itself when it runs: folders of a module, copied to `files` next to it. */
  readonly files?: { readonly module: string; readonly folders: readonly string[] };
}

export type GoBuild =
  | { readonly program: string; readonly how: 'cached' | 'built'; readonly skip?: undefined }
  | { readonly program?: undefined; readonly skip: string };

/** Where the program is, when it was built before; `files` is next to it. */
export function cachedGoProgram(wanted: GoProgram): string {
  return join(loadConfig().cacheDir, 'go', wanted.name, 'program');
}

/**
 * The program, or why it cannot be had, naming it. Says on standard output which of the three happened. With TENURE_CI_FULL=1 it
 * is built, and a build that fails is an error. Safe to repeat and to run twice at once: the later one replaces an equal file.
 */
export async function goProgram(wanted: GoProgram): Promise<GoBuild> {
  const program = cachedGoProgram(wanted);
  const say = (what: string): void => void process.stdout.write(`${wanted.name}: ${what}\n`);
  if (existsSync(program)) {
    say('the build in the cache is used');
    return { program, how: 'cached' };
  }
  if (process.env['TENURE_CI_FULL'] !== '1') {
    const skip = `${wanted.name}: not built (TENURE_CI_FULL=1 builds it, 6 to 10 minutes)`;
    say('skipped, there is no build in the cache');
    return { skip };
  }
  say('being built');
  await build(wanted, program);
  say('was built');
  return { program, how: 'built' };
}

/** Builds under a name of its own and renames: an interrupted build leaves nothing half-made behind. */
async function build(wanted: GoProgram, program: string): Promise<void> {
  const folder = join(program, '..');
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, 'build-'));
  try {
    await writeFile(join(work, 'go.mod'), goMod(wanted));
    await writeFile(join(work, 'tools.go'), `//go:build tools\n\npackage tools\n\nimport _ "${wanted.package}"\n`);
    const set = Object.entries(wanted.variables ?? {}).map(([name, value]) => ` -X ${name}=${value}`);
    const tags = wanted.tags === undefined ? [] : ['-tags', wanted.tags];
    const args = ['build', '-trimpath', `-ldflags=-s -w${set.join('')}`, ...tags];
    await run(work, [...args, '-o', join(work, 'program'), wanted.package], wanted.env);
    if (wanted.files !== undefined) await copyFiles(work, wanted.files, join(folder, 'files'));
    // The program comes last: where it is, all that it needs is there.
    await rename(join(work, 'program'), program);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The module's folders from the cache that the build just filled. */
async function copyFiles(work: string, files: NonNullable<GoProgram['files']>, to: string): Promise<void> {
  const { stdout } = await promisify(execFile)('go', ['list', '-m', '-f', '{{.Dir}}', files.module], {
    cwd: work,
    env: { ...process.env, GOFLAGS: '-mod=mod' },
  });
  const fresh = join(work, 'files');
  for (const folder of files.folders) {
    await cp(join(stdout.trim(), folder), join(fresh, folder), { recursive: true });
  }
  // The cache is read-only, and the program may run as another user.
  await promisify(execFile)('chmod', ['-R', 'u+w,a+rX', fresh]);
  await rm(to, { recursive: true, force: true });
  await rename(fresh, to);
}

function goMod({ require, replace = {} }: GoProgram): string {
  const required = Object.entries(require).map(([module, version]) => `\t${module} ${version}\n`);
  const replaced = Object.entries(replace).map(([module, other]) => `replace ${module} => ${other}\n`);
  return `module local/build\n\ngo 1.25\n\nrequire (\n${required.join('')})\n\n${replaced.join('')}`;
}

async function run(cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  const logFile = join(cwd, 'build.log');
  const log = openSync(logFile, 'a');
  const child = spawn('go', args, {
    cwd,
    stdio: ['ignore', log, log],
    env: { ...process.env, GOFLAGS: '-mod=mod', ...env },
  });
  closeSync(log);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 1));
    // Whoever else uses this machine goes first.
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  });
  if (code !== 0) {
    throw new Error(`go ${args.join(' ')} ended with ${code}: ${readFileSync(logFile, 'utf8').slice(-1500)}`);
  }
}
