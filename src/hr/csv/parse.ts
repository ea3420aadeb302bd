import { CsvError, parse } from 'csv-parse/sync';
import { CsvFileError } from './decode.js';

export const DELIMITERS = [',', ';', '\t', '|'] as const;
export type Delimiter = (typeof DELIMITERS)[number];

export interface CsvLimits {
  readonly bytes: number;
  readonly rows: number;
  readonly columns: number;
  /** Characters of one row, quoted line breaks included: an unclosed quote does not swallow a large file. */
  readonly rowLength: number;
}
export const DEFAULT_LIMITS: CsvLimits = { bytes: 64 * 1024 * 1024, rows: 200_000, columns: 300, rowLength: 200_000 };

export interface CsvRow {
  /** As a spreadsheet counts: the header is row 1. */
  readonly row: number;
  /** As they are in the file: a row may have more or fewer cells than the header. */
  readonly cells: readonly string[];
}

export interface CsvTable {
  readonly header: readonly string[];
  /** Rows with at least one filled cell. */
  readonly rows: readonly CsvRow[];
  readonly delimiter: Delimiter;
}

/**
 * Splits text into rows, forgiving where files of the field are sloppy (CRLF, blank rows and blanks around cells, a stray quote inside a cell) and
 * strict where meaning would be guessed: rows keep their own number of cells, so that a shifted one is seen.
 * @throws CsvFileError for a file without header, with a duplicate header, an unclosed quote, or beyond a limit.
 */
export function parseCsv(text: string, wanted: Delimiter | 'auto', limits: CsvLimits = DEFAULT_LIMITS): CsvTable {
  const delimiter = wanted === 'auto' ? detectDelimiter(text) : wanted;
  const records = split(text, delimiter, limits);
  const start = records.findIndex((cells) => cells.some((cell) => cell.trim() !== ''));
  const header = records[start]?.map((cell) => cell.trim().replaceAll(/\s+/g, ' '));
  if (header === undefined) throw new CsvFileError('empty', 'The file is empty: it has not even a header.');
  while (header.at(-1) === '') header.pop();
  checkHeader(header, limits);
  const rows = records.slice(start + 1).flatMap((cells, index) => {
    const trimmed = withoutTail(cells, header.length);
    return trimmed.every((cell) => cell.trim() === '') ? [] : [{ row: start + index + 2, cells: trimmed }];
  });
  if (rows.length > limits.rows) throw new CsvFileError('too-many-rows', `The file has more than ${limits.rows} rows.`);
  return { header, rows, delimiter };
}

function split(text: string, delimiter: Delimiter, limits: CsvLimits): string[][] {
  try {
    return parse(text, {
      delimiter,
      relax_column_count: true,
      relax_quotes: true,
      record_delimiter: ['\r\n', '\n', '\r'],
      max_record_size: limits.rowLength,
      // The header, some blank rows, and one row more than allowed so that "too many" shows: a bomb is not read to its end.
      to: limits.rows * 2 + 10,
    });
  } catch (error) {
    if (error instanceof CsvError && error.code === 'CSV_QUOTE_NOT_CLOSED')
      throw new CsvFileError('quote-not-closed', `A quote opened in line ${lineIn(error)} is never closed.`);
    if (error instanceof CsvError && error.code === 'CSV_MAX_RECORD_SIZE')
      throw new CsvFileError(
        'row-too-large',
        `A row near line ${lineIn(error)} has more than ${limits.rowLength} characters; perhaps a quote is never closed.`,
      );
    if (error instanceof CsvError)
      throw new CsvFileError('not-text', `The file cannot be read as CSV near line ${lineIn(error)} (${error.code}).`);
    throw error;
  }
}

function lineIn(error: CsvError): string {
  const { lines } = error as CsvError & { readonly lines?: unknown };
  return typeof lines === 'number' ? String(lines) : '?';
}

function checkHeader(header: readonly string[], limits: CsvLimits): void {
  if (header.length > limits.columns)
    throw new CsvFileError(
      'too-many-columns',
      `The header has ${header.length} columns; at most ${limits.columns} are taken.`,
    );
  const twice = header.find((name, index) => name !== '' && header.indexOf(name) !== index);
  if (twice !== undefined)
    throw new CsvFileError('header-twice', `The header names column "${twice.slice(0, 60)}" twice.`);
}

/** Exports often end every row with extra separators: blank cells beyond the header mean nothing. */
function withoutTail(cells: readonly string[], width: number): readonly string[] {
  let length = cells.length;
  while (length > width && (cells[length - 1] ?? '').trim() === '') length -= 1;
  return cells.slice(0, length);
}

/** The separator that occurs most in the header line, outside quotes. */
function detectDelimiter(text: string): Delimiter {
  const first = /[^\r\n]*\S[^\r\n]*/.exec(text.slice(0, 100_000))?.[0] ?? '';
  const bare = first.replaceAll(/"[^"]*"/g, '');
  const counted = DELIMITERS.map((delimiter) => ({ delimiter, count: bare.split(delimiter).length }));
  return counted.reduce((best, one) => (one.count > best.count ? one : best)).delimiter;
}
