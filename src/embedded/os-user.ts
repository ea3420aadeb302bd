import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** An account of the operating system. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom Postgres runs as: it refuses root, so under root an unprivileged account that is there (`postgres`, else
 * `nobody`); undefined means ourselves.
 */
export async function databaseOsUser(): Promise<OsUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const entry = passwd.find((fields) => fields[0] === name);
    if (entry !== undefined) return { name, uid: Number(entry[2]), gid: Number(entry[3]) };
  }
  return { name: 'nobody', uid: 65_534, gid: 65_534 };
}

/** True when `user` may walk through the folder and everything above it (undefined: ourselves, always). */
export async function canTraverse(folder: string, user: OsUser | undefined): Promise<boolean> {
  if (user === undefined) return true;
  for (let path = resolve(folder); ; path = dirname(path)) {
    const info = await stat(path).catch(() => undefined);
    if (info === undefined) return false;
    const bit = info.uid === user.uid ? 0o100 : info.gid === user.gid ? 0o010 : 0o001;
    if ((info.mode & bit) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

/** Makes `folder` and returns it if `user` can reach it; otherwise the first of the others for which that holds. */
export async function firstReachableFolder(
  folders: readonly string[],
  user: OsUser | undefined,
): Promise<string | undefined> {
  for (const folder of folders) {
    const made = await makeFolder(folder, user === undefined ? 0o700 : 0o711).catch(() => undefined);
    if (made !== undefined && (await canTraverse(folder, user))) return folder;
  }
  return undefined;
}

/** Makes a folder with exactly this mode, whatever the umask; a folder that is already there keeps its mode. */
export async function makeFolder(folder: string, mode: number): Promise<string> {
  if ((await mkdir(folder, { recursive: true, mode })) !== undefined) await chmod(folder, mode);
  return folder;
}
