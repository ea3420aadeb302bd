import { randomBytes, randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { explainFileError, StackError } from './errors.js';
import { firstReachableFolder, makeFolder } from './os-user.js';
import type { OsUser } from './os-user.js';
import { isRunning, markProcess } from './processes.js';
import type { ProcessMark } from './processes.js';

/** Everything the embedded stack makes in its home; `--fresh` removes these and nothing else. */
const ownEntries = [
  'postgres',
  'cache',
  'temporal.db',
  'temporal.db-shm',
  'temporal.db-wal',
  'targets',
  'logs',
  'story.json',
  'children.json',
  'run.json',
  'ports.json',
  'roles.json',
  'sandbox-token',
  'master.key',
  'report.key',
  'handover',
  'policy',
  'systems',
  'systems.json',
] as const;

const markSchema = z.object({ pid: z.number(), startedAt: z.string() });
const lockSchema = markSchema.extend({ id: z.string(), isStopping: z.boolean() });
type Lock = z.infer<typeof lockSchema>;

export interface HomeLock {
  /** Others may wait for us from now on instead of giving up. */
  announceStop(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Makes the home folder and takes it for this process alone. A lock left by a process that died is taken over; one
 * that is shutting down is waited for.
 * @throws StackError when another supervisor uses this home, or the folder cannot be written.
 */
export async function openHome(home: string, user: OsUser | undefined, waitMs = 60_000): Promise<HomeLock> {
  try {
    // Postgres' user has to walk through; everything inside has modes of its own.
    await makeFolder(home, user === undefined ? 0o700 : 0o711);
    await makeFolder(join(home, 'logs'), 0o700);
    return await lockHome(home, waitMs);
  } catch (error) {
    throw explainFileError(error, home);
  }
}

/** Removes what the stack made; anything else in the folder stays. Only for the holder of the lock, with all stopped. */
export async function clearHome(home: string, folders: readonly string[]): Promise<void> {
  for (const folder of folders.filter((one) => one !== '')) await rm(folder, { recursive: true, force: true });
  for (const entry of ownEntries) await rm(join(home, entry), { recursive: true, force: true });
  await makeFolder(join(home, 'logs'), 0o700);
}

/**
 * Where the database's files live: in home, or, when Postgres' user cannot reach that (root's private folders), in a
 * folder of the system that is named after the home.
 */
export function databaseFolder(home: string, user: OsUser | undefined): Promise<string> {
  return reachableFolder(home, user, 'postgres');
}

/** The same for the real systems of the sandbox. */
export function systemsFolder(home: string, user: OsUser | undefined): Promise<string> {
  return reachableFolder(home, user, 'systems');
}

async function reachableFolder(home: string, user: OsUser | undefined, name: string): Promise<string> {
  const inside = join(home, name);
  const outside = join('/var/lib/tenure', Buffer.from(home).toString('base64url'), name);
  const folder = await firstReachableFolder(user === undefined ? [inside] : [inside, outside], user);
  if (folder !== undefined) return folder;
  throw new StackError(
    `Servers run as the user ${user?.name ?? 'you are'}, who cannot reach ${home}.`,
    'Set TENURE_HOME to a folder that is not below a private one.',
  );
}

/** Where npm start writes the applications and roles of the systems that run; the worker lays it over the policy. */
export function policyOverlayFolder(home: string): string {
  return join(home, 'policy');
}

/** Reads a file's text or makes it (mode 0600) from `create`; what is there is never changed. */
export async function keepSecret(file: string, create: () => string): Promise<string> {
  try {
    await writeFile(file, create(), { mode: 0o600, flag: 'wx' });
  } catch {
    // It is there already, or cannot be written, which reading will tell.
  }
  return readFile(file, 'utf8');
}

/** 32 random bytes in base64. */
export function randomKey(): string {
  return randomBytes(32).toString('base64');
}

/** Writes JSON with mode 0600 so that a reader sees the old text or the new one, never half of it. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  const partial = `${file}.${randomUUID()}`;
  await writeFile(partial, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(partial, file);
}

/** Reads JSON of a known shape; undefined when the file is missing or says something else. */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

async function lockHome(home: string, waitMs: number): Promise<HomeLock> {
  const file = join(home, 'supervisor.json');
  const mark = await markProcess(process.pid);
  if (mark === undefined) throw new Error('this process cannot be found in the list of processes');
  const mine: Lock = { ...mark, id: randomUUID(), isStopping: false };
  const deadline = performance.now() + waitMs;
  while (!(await take(file, mine))) {
    const holder = await readJson(file, lockSchema);
    if (holder === undefined || !(await isRunning(holder))) await removeStale(file, holder);
    else if (!holder.isStopping || performance.now() > deadline) throw alreadyRunning(home, holder);
    else await delay(200);
  }
  return {
    announceStop: () => writeJson(file, { ...mine, isStopping: true }),
    release: async () => {
      if ((await readJson(file, lockSchema))?.id === mine.id) await rm(file, { force: true });
    },
  };
}

/** True when the lock is ours: made in one step, and still ours after anyone who raced us for a stale one is done. */
async function take(file: string, mine: Lock): Promise<boolean> {
  const partial = `${file}.${mine.id}`;
  await writeFile(partial, JSON.stringify(mine), { mode: 0o600 });
  try {
    await link(partial, file);
  } catch {
    return false;
  } finally {
    await unlink(partial);
  }
  await delay(50);
  return (await readJson(file, lockSchema))?.id === mine.id;
}

async function removeStale(file: string, holder: Lock | undefined): Promise<void> {
  const info = await stat(file).catch(() => undefined);
  // A file without a readable holder may be one that is being written this moment.
  if (holder === undefined && info !== undefined && Date.now() - info.mtimeMs < 2_000) return delay(200);
  if ((await readJson(file, lockSchema))?.id === holder?.id) await rm(file, { force: true });
}

function alreadyRunning(home: string, holder: ProcessMark): StackError {
  return new StackError(
    `Tenure already runs with the folder ${home} (process ${holder.pid}).`,
    `Its addresses are in ${join(home, 'run.json')}. Stop it with Ctrl-C where it runs or with "kill ${holder.pid}", or set TENURE_HOME to another folder.`,
  );
}
