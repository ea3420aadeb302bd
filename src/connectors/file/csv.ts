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
  /** SHA-256 of the bytes. */
  readonly digest: string;
  readonly hasMark: boolean;
}

/** What a file must look like to be believed. */
export interface Shape {
  readonly keyColumn: string;
  readonly columns: readonly string[];
  readonly format: FileFormat;
}

const byteOrderMark = '\uFEFF';

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
  const text = decode(bytes, shape.format, operation);
  const hasMark = text.startsWith(byteOrderMark);
  if (!/[\r\n]$/.test(text)) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'unfinished-line' });
  }
  const records = split(hasMark ? text.slice(1) : text, shape.format, operation);
  const header = records[0]?.record ?? [];
  checkHeader(header, shape, operation);
  const keyAt = header.indexOf(shape.keyColumn);
  const seen = new Set<string>();
  const rows = records.slice(1).map(({ record, line }) => {
    const key = record[keyAt] ?? '';
    if (record.length !== header.length) throw refuse(operation, `cells-shifted-line-${line}`);
    if (key === '') throw refuse(operation, `key-empty-line-${line}`, shape.keyColumn);
    if (seen.has(key)) throw refuse(operation, `key-twice-line-${line}`, shape.keyColumn);
    seen.add(key);
    return { key, cells: record };
  });
  return { header, rows, digest: digestOf(bytes), hasMark };
}

export function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The file's bytes. Refuses (INVALID) a character that the encoding does not have, instead of writing a question mark. */
export function formatTable(table: Omit<Table, 'digest'>, format: FileFormat, operation: string): Buffer {
  const text = stringify([[...table.header], ...table.rows.map((row) => [...row.cells])], {
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
  const bytes = format.encoding === 'windows-1252' ? iconv.encode(text, 'win1252') : Buffer.from(text, 'utf8');
  const back = format.encoding === 'windows-1252' ? iconv.decode(bytes, 'win1252') : bytes.toString('utf8');
  return back === text ? bytes : undefined;
}

function decode(bytes: Buffer, { encoding }: FileFormat, operation: string): string {
  if (encoding === 'windows-1252') {
    const text = iconv.decode(bytes, 'win1252');
    if (!iconv.encode(text, 'win1252').equals(bytes)) throw refuse(operation, 'not-windows-1252');
    return text;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refuse(operation, 'not-utf-8');
  }
}

interface Parsed {
  readonly record: string[];
  readonly line: number;
}

function split(text: string, format: FileFormat, operation: string): readonly Parsed[] {
  try {
    const parsed = parse(text, {
      delimiter: format.delimiter,
      quote: format.quote,
      escape: format.quote,
      relax_column_count: true,
      skip_empty_lines: true,
      info: true,
    }) as unknown as { readonly record: string[]; readonly info: { readonly lines: number } }[];
    return parsed.map(({ record, info }) => ({ record, line: info.lines }));
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
