/** One process at a time. Plain Node >= 20, no dependencies: it runs before there are any. */
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { say } from './root.mjs';

/** Longer than any install or build: a lock older than this is a dead process's whose number somebody else has now. */
const LONGEST_MS = 20 * 60_000;

/**
 * Does the work while no other process does work under the same lock: npm start here and npx tenure there would take each other's files away. Waits for the
 * other one; the lock of a process that is gone counts for nothing.
 * @param {string} lock file that says who
 * @param {string} doing what the holder does, for whoever waits: "installs the packages"
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 * @template T
 */
export async function alone(lock, doing, work) {
  let told = false;
  while (!take(lock)) {
    if (isStale(lock)) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!told) say(`Another command (process ${holderOf(lock)}) ${doing}; waiting for it ...`);
    told = true;
    await delay(200);
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** True when the lock is ours now. Written aside and linked, so that it never stands without its holder. */
function take(lock) {
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(mine, { force: true });
  }
}

function isStale(lock) {
  const holder = holderOf(lock);
  const since = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
  return holder !== undefined && since !== undefined && (!isAlive(holder) || Date.now() - since > LONGEST_MS);
}

function holderOf(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
