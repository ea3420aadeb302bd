import { posix } from 'node:path';
import type { SFTPWrapper } from 'ssh2';
import type { SftpSettings } from './sftp-connection.js';
import { SftpConnection } from './sftp-connection.js';
import type { FileStore } from './store.js';
import { StoreFailure } from './store.js';

/** SSH_FX codes, draft-ietf-secsh-filexfer-02 section 7. */
const noSuchFile = 2;
const permissionDenied = 3;
const failure = 4;
const connectionLost = new Set([6, 7]);
const unsupported = 8;

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** A folder at an SFTP server, over one connection that is opened when it is needed. */
export function sftpStore(settings: SftpSettings, folder: string, road = 'sftp:second-connection'): FileStore {
  const connection = new SftpConnection(settings);
  const at = (name: string): string => posix.join(folder, name);
  const call = <T>(signal: AbortSignal, work: (sftp: SFTPWrapper, done: Done<T>) => void): Promise<T> =>
    connection.use(signal, (sftp) => answer((done) => work(sftp, done)));
  return {
    road,
    stat: (name, signal) =>
      call<{ size: number; mtime: number }>(signal, (sftp, done) => sftp.stat(at(name), done))
        .then(({ size, mtime }) => ({ size, mtimeMs: mtime * 1000 }))
        .catch(absent),
    read: (name, maxBytes, signal) =>
      connection.use(signal, (sftp) => readWhole(sftp, at(name), maxBytes)).catch(absent),
    createExclusive: (name, bytes, signal) => createExclusive(connection, at(name), bytes, signal),
    write: (name, bytes, signal) => connection.use(signal, (sftp) => writeWhole(sftp, at(name), bytes, true)),
    replace: (from, to, signal) =>
      // Plain SFTP rename must not overwrite; only this extension is one step (PROTOCOL of OpenSSH, section 4.3).
      call<unknown>(signal, (sftp, done) =>
        sftp.ext_openssh_rename(at(from), at(to), done as (error?: Error | null) => void),
      ).then(() => undefined),
    remove: (name, signal) =>
      call<unknown>(signal, (sftp, done) => sftp.unlink(at(name), done as (error?: Error | null) => void))
        .then(() => undefined)
        .catch(absent),
    names: (inner, signal) =>
      call<{ filename: string }[]>(signal, (sftp, done) => sftp.readdir(at(inner), done))
        .then((entries) => entries.map((entry) => entry.filename).filter((one) => one !== '.' && one !== '..'))
        .catch(absent),
    weaknesses: (signal) =>
      connection.use(signal, (sftp) => {
        const known = '_extensions' in sftp ? (sftp._extensions as Readonly<Record<string, unknown>>) : {};
        const missing = ['posix-rename', 'fsync'].filter((one) => known[`${one}@openssh.com`] === undefined);
        return Promise.resolve(missing.map((one) => `no-${one}`));
      }),
    another: () => sftpStore(settings, folder, road),
    close: () => connection.close(),
  };
}

/** One request and its answer; what ssh2 throws at once counts as one. */
function answer<T>(work: (done: Done<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    try {
      work((error, value) => (error === null || error === undefined ? resolve(value) : reject(failureOf(error))));
    } catch (error) {
      // ssh2 throws, instead of answering, when the server does not offer an extension.
      reject(failureOf(error, 'UNSUPPORTED'));
    }
  });
}

async function readWhole(sftp: SFTPWrapper, path: string, maxBytes: number): Promise<Buffer> {
  const { size } = await answer<{ size: number }>((done) => sftp.stat(path, done));
  if (size > maxBytes) throw new StoreFailure('INVALID', 'file-too-large');
  return answer<Buffer>((done) => sftp.readFile(path, done));
}

async function writeWhole(sftp: SFTPWrapper, path: string, bytes: Buffer, toDisk: boolean): Promise<void> {
  const handle = await answer<Buffer>((done) => sftp.open(path, 'wx', 0o640, done));
  try {
    const step = 32_000;
    for (let from = 0; from < bytes.length; from += step) {
      const length = Math.min(step, bytes.length - from);
      await answer<unknown>((done) =>
        sftp.write(handle, bytes, from, length, from, done as (error?: Error | null) => void),
      );
    }
    if (toDisk) await answer<unknown>((done) => sftp.ext_openssh_fsync(handle, done)).catch(unlessUnsupported);
  } finally {
    await answer<unknown>((done) => sftp.close(handle, done as (error?: Error | null) => void));
  }
}

async function createExclusive(
  connection: SftpConnection,
  path: string,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<boolean> {
  return connection.use(signal, async (sftp) => {
    try {
      await writeWhole(sftp, path, bytes, false);
      return true;
    } catch (error) {
      // OpenSSH says FAILURE for "exists already", as for much else: looking tells.
      if (!(error instanceof StoreFailure) || error.targetCode !== `sftp-${failure}`) throw error;
      const held = await answer<unknown>((done) => sftp.stat(path, done)).then(
        () => true,
        () => false,
      );
      if (held) return false;
      throw error;
    }
  });
}

function unlessUnsupported(error: unknown): void {
  if (!(error instanceof StoreFailure) || error.code !== 'UNSUPPORTED') throw error;
}

function failureOf(error: unknown, otherwise: 'UNAVAILABLE' | 'UNSUPPORTED' = 'UNAVAILABLE'): StoreFailure {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined;
  if (code === undefined) return new StoreFailure(otherwise, 'sftp');
  if (code === permissionDenied) return new StoreFailure('FORBIDDEN', `sftp-${code}`);
  if (code === unsupported) return new StoreFailure('UNSUPPORTED', `sftp-${code}`);
  return new StoreFailure('UNAVAILABLE', connectionLost.has(code) ? 'connection-lost' : `sftp-${code}`);
}

function absent(error: unknown): undefined {
  if (error instanceof StoreFailure && error.targetCode === `sftp-${noSuchFile}`) return undefined;
  throw error;
}
