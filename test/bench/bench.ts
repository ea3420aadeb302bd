import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../support/run-program.js';
import type { ProgramRun } from '../support/run-program.js';

const program = fileURLToPath(new URL('../../scripts/bench.mjs', import.meta.url));

/** Runs `npm run bench -- ARGS` to its end. */
export function bench(...args: readonly string[]): Promise<ProgramRun> {
  return runProgram(program, args);
}

/** Folders of benches on this machine: none of a run that is over. */
export const benchHomes = (): readonly string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith('tenure-bench-'));
