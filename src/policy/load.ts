import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyFile, PolicyFiles } from '../domain/policy/types.js';

const FOLDERS = ['', 'applications', 'roles'] as const;

/**
 * Reads the policy folder: `lifecycle.yaml`, `applications/*.yaml`, `roles/*.yaml`, and any other YAML file beside them, so that a misplaced one
 * is reported by the compiler and not silently ignored. Paths are relative with forward slashes, in order. Throws the file system's error when
 * the folder cannot be read. A file in `overlay` (a missing folder is an empty one) takes the place of the one of the same path. Read-only, safe to repeat.
 */
export async function loadPolicyFiles(directory: string, overlay?: string): Promise<PolicyFiles> {
  const files = new Map<string, PolicyFile>();
  for (const one of await loadAll(directory)) files.set(one.path, one);
  if (overlay !== undefined && (await stat(overlay).catch(() => undefined)) !== undefined) {
    for (const one of await loadAll(overlay)) files.set(one.path, one);
  }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function loadAll(directory: string): Promise<readonly PolicyFile[]> {
  return (await Promise.all(FOLDERS.map((folder) => loadFolder(directory, folder)))).flat();
}

async function loadFolder(directory: string, folder: string): Promise<readonly PolicyFile[]> {
  const entries = await readdir(join(directory, folder), { withFileTypes: true }).catch((error: unknown) => {
    // An absent sub-folder is an empty one; the folder itself must be there.
    if (folder !== '' && typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT') {
      return [];
    }
    throw error;
  });
  const names = entries.filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name)).map((entry) => entry.name);
  return Promise.all(
    names.map(async (name) => ({
      path: folder === '' ? name : `${folder}/${name}`,
      text: await readFile(join(directory, folder, name), 'utf8'),
    })),
  );
}
