import { CsvFileError, decodeText } from './decode.js';
import type { Encoding } from './decode.js';
import { foldWord } from './mapping.js';
import type { CellExpression, Cells, ColumnRule, Mapping } from './mapping.js';
import { DEFAULT_LIMITS, parseCsv } from './parse.js';
import type { CsvLimits, CsvRow, CsvTable } from './parse.js';
import { mapRow } from './row.js';
import type { RowProblem, StatedRow } from './row.js';

export interface RejectedRow {
  readonly row: number;
  readonly cells: readonly string[];
  readonly problems: readonly RowProblem[];
}

/** A file, read: every row with content is in exactly one of the lists. */
export interface ReadFile {
  readonly header: readonly string[];
  readonly encoding: Encoding;
  readonly delimiter: string;
  readonly stated: readonly StatedRow[];
  readonly rejected: readonly RejectedRow[];
  /** Rows that the mapping leaves out by their status. */
  readonly ignored: readonly number[];
  /** Rows that say once more exactly what an earlier row says. */
  readonly repeated: readonly { readonly row: number; readonly of: number }[];
  /** Good rows of which something is worth a look. */
  readonly warnings: readonly RowProblem[];
  cellsOf(row: number): readonly string[];
  /** The file's own header of a column's short name. */
  headerOf(alias: string): string;
}

/**
 * Reads an HR export: decode, split, map, and compare the rows with one another. Bad rows are set aside with row, column and reason, and never
 * stop the good ones. A row that is not there says nothing: nobody leaves by missing.
 * @throws CsvFileError when the file as a whole cannot be taken (a bomb, a workbook, a column of the mapping that is not there).
 */
export function readHrFile(bytes: Uint8Array, mapping: Mapping, limits: CsvLimits = DEFAULT_LIMITS): ReadFile {
  if (bytes.byteLength > limits.bytes)
    throw new CsvFileError('too-large', `The file is larger than ${Math.floor(limits.bytes / 1_048_576)} MB.`);
  const { text, encoding } = decodeText(bytes, mapping.encoding);
  const table = parseCsv(text, mapping.delimiter, limits);
  const columns = locateColumns(table, mapping.columns);
  const headerOf = (alias: string): string => table.header[columns.get(alias) ?? -1] ?? alias;
  const stating = withoutAbsent(mapping, columns);
  const rejected: RejectedRow[] = [];
  const stated: StatedRow[] = [];
  const ignored: number[] = [];
  for (const row of table.rows) {
    const mapped =
      widthProblem(table, row) ?? mapRow(stating, row.row, cellsByAlias(row, mapping.columns, columns), headerOf);
    if (mapped.kind === 'stated') stated.push(mapped.stated);
    else if (mapped.kind === 'ignored') ignored.push(row.row);
    else rejected.push({ row: row.row, cells: row.cells, problems: mapped.problems });
  }
  const cells = new Map(table.rows.map((row) => [row.row, row.cells]));
  const cellsOf = (row: number): readonly string[] => cells.get(row) ?? [];
  const keyColumn = headerOf(mapping.employment.reads[0] ?? '');
  const unique = separateDuplicates(stated, keyColumn);
  const conflicts = unique.conflicts.map((problem) => ({
    row: problem.row,
    cells: cellsOf(problem.row),
    problems: [problem],
  }));
  return {
    header: table.header,
    encoding,
    delimiter: table.delimiter,
    stated: unique.kept,
    rejected: [...rejected, ...conflicts].sort((a, b) => a.row - b.row),
    ignored,
    repeated: unique.repeated,
    warnings: managerWarnings(unique.kept, headerOf(mapping.manager?.reads[0] ?? '')),
    cellsOf,
    headerOf,
  };
}

function locateColumns(table: CsvTable, rules: readonly ColumnRule[]): ReadonlyMap<string, number> {
  const folded = table.header.map(foldWord);
  const found = new Map<string, number>();
  for (const rule of rules) {
    const index = folded.findIndex((header) => rule.headers.includes(header));
    if (index >= 0) found.set(rule.alias, index);
    else if (!rule.optional) {
      const seen = table.header
        .map((header) => `"${header.slice(0, 40)}"`)
        .slice(0, 30)
        .join(', ');
      throw new CsvFileError(
        'column-missing',
        `The file has no column "${rule.headers.join('" or "')}"; it has ${seen}.`,
      );
    }
  }
  return found;
}

/**
 * The mapping as far as this file states something. What reads nothing but optional columns that the file does not have is left out: a shorter export clears no
 * attribute, no manager and no date.
 */
function withoutAbsent(mapping: Mapping, columns: ReadonlyMap<string, number>): Mapping {
  const isStated = ({ reads }: CellExpression): boolean =>
    reads.length === 0 || reads.some((alias) => columns.has(alias));
  const stated = <T extends Readonly<Record<string, CellExpression>>>(expressions: T): Partial<T> =>
    Object.fromEntries(Object.entries(expressions).filter(([, expression]) => isStated(expression))) as Partial<T>;
  const { manager, manner, ...rest } = mapping;
  return {
    ...rest,
    ...(manager !== undefined && isStated(manager) ? { manager } : {}),
    ...(manner !== undefined && isStated(manner) ? { manner } : {}),
    dates: { ...stated(mapping.dates), startOn: mapping.dates.startOn },
    attributes: stated(mapping.attributes) as Mapping['attributes'],
  };
}

/** Every column of the mapping has a cell: expressions may read an optional one that this file does not have. */
function cellsByAlias(row: CsvRow, rules: readonly ColumnRule[], columns: ReadonlyMap<string, number>): Cells {
  return Object.fromEntries(rules.map(({ alias }) => [alias, clean(row.cells[columns.get(alias) ?? -1] ?? '')]));
}

/** Blanks of every kind around a cell mean nothing; non-breaking ones come from spreadsheets. */
function clean(cell: string): string {
  return cell.replaceAll('\u00a0', ' ').trim();
}

function widthProblem(table: CsvTable, row: CsvRow): { kind: 'rejected'; problems: RowProblem[] } | undefined {
  if (row.cells.length === table.header.length) return undefined;
  const reason = `the row has ${row.cells.length} cells, the header has ${table.header.length}: it is ${
    row.cells.length < table.header.length ? 'short' : 'shifted'
  }`;
  return { kind: 'rejected', problems: [{ row: row.row, column: '', reason }] };
}

/** The same key twice: equal rows count once; rows that contradict one another are all refused, because nobody can tell which one is true. */
function separateDuplicates(
  rows: readonly StatedRow[],
  column: string,
): {
  readonly kept: readonly StatedRow[];
  readonly repeated: readonly { row: number; of: number }[];
  readonly conflicts: readonly RowProblem[];
} {
  const groups = new Map<string, StatedRow[]>();
  for (const row of rows) groups.set(row.employment, [...(groups.get(row.employment) ?? []), row]);
  const kept: StatedRow[] = [];
  const repeated: { row: number; of: number }[] = [];
  const conflicts: RowProblem[] = [];
  for (const group of groups.values()) {
    const [first, ...others] = group as [StatedRow, ...StatedRow[]];
    const content = (row: StatedRow): string => JSON.stringify({ ...row, row: 0 });
    if (others.every((row) => content(row) === content(first))) {
      kept.push(first);
      repeated.push(...others.map(({ row }) => ({ row, of: first.row })));
      continue;
    }
    const list = group.map(({ row }) => row).join(', ');
    conflicts.push(
      ...group.map(({ row }) => ({ row, column, reason: `duplicate key: rows ${list} state different things of it` })),
    );
  }
  return { kept, repeated, conflicts };
}

/** A manager who is not in the file may come later, or never: the person is imported without waiting (edge case 14). */
function managerWarnings(rows: readonly StatedRow[], column: string): RowProblem[] {
  const people = new Set(rows.map((row) => row.person));
  return rows
    .filter((row) => typeof row.manager === 'string' && !people.has(row.manager))
    .map(({ row }) => ({ row, column, reason: 'the manager is not in this file' }));
}
