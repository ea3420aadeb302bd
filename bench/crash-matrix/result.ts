import { execFileSync } from 'node:child_process';
import { z } from 'zod';
import { describeMachine, machineSchema } from '../result.js';
import { KINDS, MOMENTS, VICTIMS, allCells } from './cells.js';
import type { LeaverKind } from './cells.js';
import { VERDICTS } from './judge.js';
import type { JudgedCell, Verdict } from './judge.js';

const kind = z.enum(KINDS as readonly [LeaverKind, ...LeaverKind[]]);

export const resultSchema = z.strictObject({
  date: z.iso.datetime(),
  commit: z.string(),
  command: z.string(),
  machine: machineSchema,
  cells: z.array(
    z.strictObject({
      number: z.int(),
      victim: z.enum(VICTIMS),
      moment: z.enum(MOMENTS),
      kind,
      verdict: z.enum(VERDICTS),
      lost: z.array(kind),
      duplicate: z.array(kind),
      repeats: z.int(),
    }),
  ),
  /** Of the whole run, at its end: 0, or somebody had to be asked. */
  openTasks: z.int(),
});
export type MatrixResult = z.infer<typeof resultSchema>;

export function resultOf(
  run: { readonly cells: readonly JudgedCell[]; readonly openTasks: number },
  command: string,
  root: string,
): MatrixResult {
  return {
    date: new Date().toISOString(),
    commit: commitOf(root),
    command,
    machine: describeMachine(),
    cells: run.cells.map((cell) => ({ ...cell, lost: [...cell.lost], duplicate: [...cell.duplicate] })),
    openTasks: run.openTasks,
  };
}

function commitOf(root: string): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** Whether every cell that was run is well, and nobody had to be asked. */
export function isWell(result: MatrixResult): boolean {
  return result.openTasks === 0 && result.cells.every((cell) => cell.verdict === 'ok');
}

const SIGNS: Readonly<Record<Verdict, string>> = {
  ok: 'ok',
  lost: 'LOST',
  duplicate: 'DUPL',
  unfinished: 'OPEN',
  'not-held': 'MISS',
};

/** The matrix for people: a row for each kind, a column for each victim and moment; `-` was not run. */
export function printed(result: MatrixResult): string {
  const { cells } = result;
  const width = Math.max(...KINDS.map((one) => one.length));
  const columns = VICTIMS.flatMap((victim) => MOMENTS.map((moment) => ({ victim, moment })));
  const row = (first: string, rest: readonly string[]): string =>
    [first.padEnd(width), ...rest.map((text) => text.padEnd(6))].join(' ').trimEnd();
  const rows = KINDS.map((one) =>
    row(
      one,
      columns.map(({ victim, moment }) => {
        const found = cells.find((cell) => cell.kind === one && cell.victim === victim && cell.moment === moment);
        return found === undefined ? '-' : SIGNS[found.verdict];
      }),
    ),
  );
  const sum = (of: (cell: MatrixResult['cells'][number]) => number): number =>
    cells.reduce((all, cell) => all + of(cell), 0);
  return [
    `Crash matrix of the leaver, ${result.date}, commit ${result.commit}: kill -9 of a process before, during and after each operation`,
    '',
    row(
      '',
      columns.map(({ victim }, index) => (index % MOMENTS.length === 0 ? victim : '')),
    ),
    row(
      '',
      columns.map(({ moment }) => moment),
    ),
    ...rows,
    '',
    `${cells.length} of ${allCells().length} cells: ${cells.filter((cell) => cell.verdict === 'ok').length} ok, effects lost ${sum((cell) => cell.lost.length)}, ` +
      `duplicate ${sum((cell) => cell.duplicate.length)}; writes repeated without an effect ${sum((cell) => cell.repeats)}; tasks left open ${result.openTasks}`,
    ...cells
      .filter((cell) => cell.verdict !== 'ok')
      .map(
        (cell) =>
          `${SIGNS[cell.verdict]} ${cell.number} ${cell.victim} ${cell.moment} ${cell.kind}: lost ${cell.lost.join(', ') || 'none'}; duplicate ${cell.duplicate.join(', ') || 'none'}`,
      ),
    '',
  ].join('\n');
}
