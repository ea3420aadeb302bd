/** The folder of one jest run, and the servers in it: they end with the run or soon after jest is killed (reaper.mjs). */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProcessMark } from '../../src/embedded/processes.js';

const reaperProgram = fileURLToPath(new URL('./reaper.mjs', import.meta.url));

/** The folder that all workers of this run share; it is removed with everything in it when the run ends. */
export function runFolder(): string {
  const folder = process.env['TENURE_TEST_RUN'];
  if (folder === undefined) throw new Error('TENURE_TEST_RUN is not set: run tests with the project’s jest.config.js');
  return folder;
}

/** True for the first who asks in this run. */
export function isFirst(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}

/** Starts the program that waits for jest's end, once in a run. */
export function startReaper(folder: string): void {
  const owner = process.env['TENURE_TEST_OWNER'];
  if (owner === undefined || !isFirst(join(folder, 'reaper.lock'))) return;
  const [pid = '', ...start] = owner.split(' ');
  const args = [reaperProgram, folder, pid, start.join(' ')];
  spawn(process.execPath, args, { detached: true, stdio: 'ignore', env: { PATH: process.env['PATH'] } }).unref();
}

/** Notes a process that must not outlive the run. */
export function recordMark(folder: string, name: string, mark: ProcessMark): Promise<void> {
  writeFileSync(join(folder, `${name}.mark.json`), JSON.stringify(mark));
  return Promise.resolve();
}

/** Takes the note back, once the process has ended. */
export function forgetMark(folder: string, name: string): void {
  rmSync(join(folder, `${name}.mark.json`), { force: true });
}
