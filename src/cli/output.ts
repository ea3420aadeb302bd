import Table from 'cli-table3';

/** Where a command writes: results on `out`, progress and errors on `err`. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Progress is shown on terminals only. */
  readonly isInteractive: boolean;
}

export function processTerminal(): Terminal {
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    isInteractive: process.stderr.isTTY === true,
  };
}

export type Cell = string | number | boolean | null | undefined;

/** A table for people; "none" when it is empty. Control characters of foreign data never reach the terminal. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return 'None.';
  const made = new Table({ head: [...head], chars: PLAIN, style: STYLE });
  for (const row of rows) made.push(row.map(cellText));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Name and value per line. */
export function fields(pairs: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}`).join('\n');
}

export function cellText(value: Cell): string {
  const text = value === null || value === undefined ? '' : String(value);
  return text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => (character === '\n' ? '\n' : '�'));
}

/** An instant to the second, in UTC: the same everywhere. */
export function instant(value: string | null | undefined): string {
  return value === null || value === undefined ? '' : `${value.slice(0, 10)} ${value.slice(11, 19)} UTC`;
}

const STYLE = { head: [], border: [], 'padding-left': 0, 'padding-right': 0 };
const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;
