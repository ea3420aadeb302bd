import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import iconv from 'iconv-lite';
import { ConnectorError } from '../errors.js';
import type { FileFormat } from './config.js';

/** A row as it stands in the file; cells of columns that nobody configured are kept. */
export interface Row {
  readonly key: string;
  readonly cells: readonly string[];
}

export interface Table {
  readonly header: readonly string[];
  /** In the order of the file. */
  readonly rows: readonly Row[];
  readonly hasMark: boolean;
}

/** What a file must look like to be believed. */
export interface Shape {
  readonly keyColumn: string;
  readonly columns: readonly string[];
  readonly format: FileFormat;
}

const byteOrderMark = '\uFEFF';
const markBytes = Buffer.from(byteOrderMark);
const lineEnds: ReadonlySet<number | undefined> = new Set(Buffer.from('\r\n'));

/** The problem of a file, by code and place, never with text of the file. Nothing is changed when it is thrown. */
function refuse(operation: string, targetCode: string, attribute?: string): ConnectorError {
  return new ConnectorError({ code: 'INVALID', operation, sent: false, targetCode, attribute });
}

/**
 * Reads a whole file, or says where it is wrong (INVALID): bytes that are not of the encoding, a column that is missing,
 * double or not known, a row with more or fewer cells than the header (columns shifted), a key that is empty or there
 * twice. A last line without its end is a file that is still being written: UNAVAILABLE.
 */
export function parseTable(bytes: Buffer, shape: Shape, operation: string): Table {
  const text = asUtf8(bytes, shape.format, operation);
  const hasMark = text.subarray(0, markBytes.length).equals(markBytes);
  if (!lineEnds.has(text.at(-1))) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'unfinished-line' });
  }
  const body = hasMark ? text.subarray(markBytes.length) : text;
  const records = split(body, shape.format, operation);
  const header = records[0] ?? [];
  checkHeader(header, shape, operation);
  const keyAt = header.indexOf(shape.keyColumn);
  const seen = new Set<string>();
  const wrong = (what: string, index: number, attribute?: string): ConnectorError =>
    refuse(operation, `${what}-line-${lineOf(body, shape.format, index + 1)}`, attribute);
  const rows = records.slice(1).map((cells, index) => {
    const key = cells[keyAt] ?? '';
    if (cells.length !== header.length) throw wrong('cells-shifted', index);
    if (key === '') throw wrong('key-empty', index, shape.keyColumn);
    if (seen.has(key)) throw wrong('key-twice', index, shape.keyColumn);
    seen.add(key);
    return { key, cells };
  });
  return { header, rows, hasMark };
}

/** SHA-256 of a file. */
export function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The file's bytes. Refuses (INVALID) a character that the encoding does not have, instead of writing a question mark. */
export function formatTable(table: Table, format: FileFormat, operation: string): Buffer {
  const text = stringify([table.header, ...table.rows.map((row) => row.cells)] as string[][], {
    delimiter: format.delimiter,
    quote: format.quote,
    escape: format.quote,
    record_delimiter: format.newline === 'crlf' ? '\r\n' : '\n',
  });
  const marked = table.hasMark ? byteOrderMark + text : text;
  const bytes = encode(marked, format);
  if (bytes === undefined) throw refuse(operation, 'not-in-encoding');
  return bytes;
}

/** True when the encoding can carry the text as it is. */
export function isEncodable(text: string, format: FileFormat): boolean {
  return !text.includes('\0') && encode(text, format) !== undefined;
}

function encode(text: string, format: FileFormat): Buffer | undefined {
  // UTF-8 has everything but half a character.
  if (format.encoding !== 'windows-1252') return /\p{Surrogate}/u.test(text) ? undefined : Buffer.from(text, 'utf8');
  const bytes = iconv.encode(text, 'win1252');
  return iconv.decode(bytes, 'win1252') === text ? bytes : undefined;
}

/** What the CSV library reads. */
function asUtf8(bytes: Buffer, { encoding }: FileFormat, operation: string): Buffer {
  if (encoding === 'windows-1252') {
    const text = iconv.decode(bytes, 'win1252');
    if (!iconv.encode(text, 'win1252').equals(bytes)) throw refuse(operation, 'not-windows-1252');
    return Buffer.from(text);
  }
  if (!isUtf8(bytes)) throw refuse(operation, 'not-utf-8');
  return bytes;
}

function optionsOf(format: FileFormat) {
  const { delimiter, quote } = format;
  return { delimiter, quote, escape: quote, relax_column_count: true, skip_empty_lines: true } as const;
}

/** Where a record ends in the file. Read once more for it: to know it of every record takes as long as all the rest. */
function lineOf(text: Buffer, format: FileFormat, index: number): number {
  const parsed: unknown = parse(text, { ...optionsOf(format), info: true });
  return (parsed as readonly { readonly info: { readonly lines: number } }[])[index]?.info.lines ?? 0;
}

function split(text: Buffer, format: FileFormat, operation: string): readonly string[][] {
  try {
    return parse(text, optionsOf(format));
  } catch (error) {
    const line = error instanceof Error && 'lines' in error && typeof error.lines === 'number' ? error.lines : 0;
    throw refuse(operation, `not-csv-line-${line}`);
  }
}

function checkHeader(header: readonly string[], shape: Shape, operation: string): void {
  for (const column of shape.columns) {
    const count = header.filter((name) => name === column).length;
    if (count === 0) throw refuse(operation, 'column-missing', column);
    if (count > 1) throw refuse(operation, 'column-twice', column);
  }
  const other = header.findIndex((name) => !shape.columns.includes(name));
  if (other >= 0 && shape.format.otherColumns === 'refuse') {
    throw refuse(operation, `column-unknown-at-${other + 1}`);
  }
}
