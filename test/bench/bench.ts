import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url));

export interface BenchRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `npm run bench -- ARGS` to its end. */
export function bench(...args: readonly string[]): Promise<BenchRun> {
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, NODE_OPTIONS: '' } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve) => child.once('exit', (code) => resolve({ code: code ?? 1, stdout, stderr })));
}

/** Folders of benches on this machine: none of a run that is over. */
export const benchHomes = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('tenure-bench-'));
