import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileStore } from './store.js';
import { StoreFailure, unlessOver } from './store.js';

/** A folder of this machine. */
export function localStore(folder: string): FileStore {
  const at = (name: string): string => join(folder, name);
  return {
    road: 'file:fresh-read',
    stat: (name, signal) =>
      io(signal, async () => {
        const { size, mtimeMs } = await stat(at(name));
        return { size, mtimeMs };
      }).catch(absent),
    read: (name, maxBytes, signal) =>
      io(signal, async () => {
        const { size } = await stat(at(name));
        if (size > maxBytes) throw new StoreFailure('INVALID', 'file-too-large');
        return readFile(at(name));
      }).catch(absent),
    createExclusive: (name, bytes, signal) =>
      io(signal, () => writeOnce(at(name), bytes, false)).then(
        () => true,
        (error: unknown) => {
          if (error instanceof StoreFailure && error.targetCode === 'EEXIST') return false;
          throw error;
        },
      ),
    write: (name, bytes, signal) => io(signal, () => writeOnce(at(name), bytes, true)),
    replace: (from, to, signal) =>
      io(signal, async () => {
        await rename(at(from), at(to));
        await syncFolder(dirname(at(to)));
      }),
    remove: (name, signal) => io(signal, () => rm(at(name), { force: true })),
    names: (inner, signal) => io(signal, () => readdir(at(inner))).catch(absent),
    weaknesses: () => Promise.resolve([]),
    another: () => localStore(folder),
    close: () => Promise.resolve(),
  };
}

async function writeOnce(path: string, bytes: Buffer, toDisk: boolean): Promise<void> {
  const handle = await open(path, 'wx', 0o640);
  try {
    await handle.writeFile(bytes);
    if (toDisk) await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Without it a rename may be forgotten when the power fails. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function io<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return unlessOver(signal, work).catch((error: unknown) => {
    throw error instanceof StoreFailure ? error : failureOf(error);
  });
}

function failureOf(error: unknown): StoreFailure {
  const code =
    typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
      ? error.code
      : 'unknown';
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StoreFailure('FORBIDDEN', code);
    default:
      return new StoreFailure('UNAVAILABLE', code);
  }
}

function absent(error: unknown): undefined {
  if (error instanceof StoreFailure && error.targetCode === 'ENOENT') return undefined;
  throw error;
}
