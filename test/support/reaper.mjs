/**
 * Ends the servers of a test run and removes its folder. Used by jest's teardown, and run as a program of its own that
 * waits for jest's end, so that nothing is left behind when jest itself is killed.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** @param {number} pid @returns {string | undefined} what tells this process from a later one with its number */
export function startOf(pid) {
  try {
    if (process.platform !== 'linux') {
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** @param {string} folder of the run; holds NAME.mark.json per server @returns {Promise<void>} safe to repeat */
export async function reap(folder) {
  const names = safely(() => readdirSync(folder), []).filter((name) => name.endsWith('.mark.json'));
  const marks = names.map((name) => safely(() => JSON.parse(readFileSync(join(folder, name), 'utf8')), undefined));
  for (const mark of marks.filter((each) => each !== undefined)) {
    // SIGQUIT makes Postgres end at once with all its processes; the data are thrown away anyway.
    for (const signal of ['SIGQUIT', 'SIGKILL']) {
      if (startOf(mark.pid) !== mark.startedAt) break;
      safely(() => process.kill(mark.pid, signal), undefined);
      for (let waited = 0; waited < 5_000 && startOf(mark.pid) === mark.startedAt; waited += 20) await delay(20);
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

function safely(act, fallback) {
  try {
    return act();
  } catch {
    return fallback;
  }
}

if (process.argv[1] === import.meta.filename) {
  const [folder, pid, startedAt] = process.argv.slice(2);
  while (startOf(Number(pid)) === startedAt) await delay(1_000);
  await reap(folder);
}
