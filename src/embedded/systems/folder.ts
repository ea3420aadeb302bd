import { chown, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OsUser } from '../os-user.js';

/** A new folder for `user`, mode 0700. */
export async function ownFolder(folder: string, user: OsUser | undefined): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(folder, user.uid, user.gid);
}

/** A file for `user` alone, mode 0600. */
export async function ownFile(file: string, text: string, user: OsUser | undefined): Promise<void> {
  await writeFile(file, text, { mode: 0o600 });
  if (user !== undefined) await chown(file, user.uid, user.gid);
}

/**
 * Runs `make` on an empty folder unless an earlier run finished it: what an interrupted one left is thrown away, so nothing
 * half-made is ever used.
 */
export async function makeOnce(folder: string, user: OsUser | undefined, make: () => Promise<void>): Promise<void> {
  const done = join(folder, 'complete');
  if ((await stat(done).catch(() => undefined)) !== undefined) return;
  await ownFolder(folder, user);
  for (const entry of await readdir(folder)) await rm(join(folder, entry), { recursive: true, force: true });
  await make();
  await writeFile(done, '', { mode: 0o600 });
}
