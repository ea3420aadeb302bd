import { describe, expect, it } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { sampleOf } from '../../bench/crash-matrix/cells.js';
import { resultSchema } from '../../bench/crash-matrix/result.js';
import { runProgram } from '../support/run-program.js';
import { seeded } from './support/seeded.js';

const SEED = Number(process.env['TENURE_TEST_SEED'] ?? 5);
const program = fileURLToPath(new URL('../../scripts/crash-matrix.mjs', import.meta.url));

/** What the matrix counts, and how it holds and judges, is in test/bench/crash-matrix.test.ts; the whole of it is `npm run crash-matrix`. */
describe(`kill -9 in a leaver, a sample of the crash matrix (seed ${SEED})`, () => {
  const cells = sampleOf(12, seeded(SEED));

  it('loses nothing and does nothing twice, twelve cells and each operation kind', async () => {
    const run = await runProgram(program, ['--json', '--cells', cells.map((cell) => cell.number).join(',')]);
    expect(run.stderr).toContain(`${cells.length} cells to run`);
    const result = resultSchema.parse(JSON.parse(run.stdout));
    expect(result.cells.filter((cell) => cell.verdict !== 'ok')).toEqual([]);
    expect(result.cells.map((cell) => cell.number)).toEqual(cells.map((cell) => cell.number));
    expect(result.openTasks).toBe(0);
    expect(run.code).toBe(0);
  }, 900_000);
});
