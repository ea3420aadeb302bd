import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { say } from '../result.js';
import { KINDS, allCells } from './cells.js';
import type { Cell } from './cells.js';
import { isWell, printed, resultOf, resultSchema } from './result.js';
import type { MatrixResult } from './result.js';
import { runCells } from './run.js';

export interface MatrixOptions {
  /** Numbers of cells from 1 and ranges of them, `1-33,40`; undefined: all. */
  readonly cells: string | undefined;
  /** One operation kind. */
  readonly only: string | undefined;
  /** The document alone, to stdout. */
  readonly json: boolean;
  /** The document goes to this file as well; cells that it has already are not run again. */
  readonly out: string | undefined;
  readonly command: string;
}

const root = join(fileURLToPath(new URL('../..', import.meta.url)), '..');

/** Runs the matrix, or a part of it, and prints it; the exit code is 1 when a cell is not well. Raises an Error for cells that are none. */
export async function runCrashMatrix(options: MatrixOptions): Promise<number> {
  const before = options.out === undefined ? undefined : readResult(options.out);
  const known = new Set(before?.cells.map((cell) => cell.number));
  const cells = chosen(options).filter((cell) => !known.has(cell.number));
  say(`${cells.length} cells to run${known.size > 0 ? `, ${known.size} are known` : ''}`);
  const run = await runCells(cells);
  const merged = {
    cells: [...(before?.cells ?? []), ...run.cells].sort((a, b) => a.number - b.number),
    openTasks: (before?.openTasks ?? 0) + run.openTasks,
  };
  const result = resultOf(merged, options.command, root);
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  if (options.out !== undefined) {
    mkdirSync(dirname(resolve(options.out)), { recursive: true });
    writeFileSync(options.out, text);
  }
  const shown = options.json ? text : printed(result);
  await new Promise((done) => process.stdout.write(shown, done));
  return isWell(result) ? 0 : 1;
}

function readResult(file: string): MatrixResult | undefined {
  return existsSync(file) ? resultSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined;
}

function chosen({ cells, only }: MatrixOptions): readonly Cell[] {
  const all = allCells();
  const ranges = (cells ?? `1-${all.length}`).split(',').map((range) => range.split('-').map(Number));
  const isIn = (number: number): boolean => ranges.some(([from = 0, to = from]) => number >= from && number <= to);
  const found = all.filter((cell) => isIn(cell.number) && (only === undefined || cell.kind === only));
  if (found.length === 0) throw new Error(`no such cells; there are 1-${all.length}, of the kinds ${KINDS.join(', ')}`);
  return found;
}
