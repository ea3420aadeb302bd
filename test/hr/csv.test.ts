import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { LocalDate } from '../../src/domain/process/ids.js';
import { CsvFileError } from '../../src/hr/csv/decode.js';
import { compileDateFormat, readDate } from '../../src/hr/csv/dates.js';
import { MappingError, loadMapping } from '../../src/hr/csv/mapping.js';
import { DEFAULT_LIMITS, parseCsv } from '../../src/hr/csv/parse.js';
import { readHrFile } from '../../src/hr/csv/read.js';
import { DELIMITERS_FOR_TEST, messyCsv } from './messy-csv.js';
import type { FileEncoding, MessyCsv } from './messy-csv.js';

const path = 'policy/hr/sample.yaml';
const text = readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
const mapping = loadMapping({ path, text });
const today = '2026-11-23' as LocalDate;

/** What the labels say and the file does not, and the reverse; empty when every row came out as labelled. */
function disagreements(file: MessyCsv): string[] {
  const read = readHrFile(file.bytes, mapping);
  const found: string[] = [];
  const warned = new Set(read.warnings.map((one) => one.row));
  for (const { row, expected } of file.rows) {
    const stated = read.stated.find((one) => one.row === row);
    const rejected = read.rejected.find((one) => one.row === row);
    const repeated = read.repeated.some((one) => one.row === row);
    const ignored = read.ignored.includes(row);
    const outcome = stated ? 'good' : rejected ? 'rejected' : repeated ? 'repeated' : ignored ? 'ignored' : 'lost';
    if (outcome !== expected.outcome)
      found.push(
        `row ${row}: ${outcome} instead of ${expected.outcome} ${JSON.stringify(rejected?.problems ?? expected)}`,
      );
    else if (expected.outcome === 'rejected') {
      const hit = rejected?.problems.some((one) => one.column === expected.column && expected.reason.test(one.reason));
      if (hit !== true) found.push(`row ${row} (${expected.defect}): ${JSON.stringify(rejected?.problems)}`);
    } else if (expected.outcome === 'good') {
      const { givenName, familyName, department } = stated?.attributes ?? {};
      if (
        familyName !== expected.familyName ||
        (givenName ?? '') !== expected.givenName ||
        department !== expected.department
      )
        found.push(`row ${row}: names or department differ`);
      if (warned.has(row) !== (expected.warning ?? false)) found.push(`row ${row}: warning ${warned.has(row)}`);
    }
  }
  const labelled = file.rows.length;
  const seen = read.stated.length + read.rejected.length + read.repeated.length + read.ignored.length;
  if (seen !== labelled) found.push(`${seen} rows read, ${labelled} written`);
  return found;
}

describe('readHrFile on 300 messy rows', () => {
  it.each<[FileEncoding, ',' | ';' | '\t', '\r\n' | '\n']>([
    ['utf-8', ',', '\n'],
    ['utf-8-bom', ';', '\r\n'],
    ['utf-16le', '\t', '\r\n'],
    ['utf-16be', ';', '\n'],
    ['utf-16le-bare', ',', '\r\n'],
    ['windows-1252', ';', '\r\n'],
  ])('reads every row as labelled: %s, separator %j, line break %j', (encoding, delimiter, lineBreak) => {
    const file = messyCsv({ today, encoding, delimiter, lineBreak });
    expect(file.rows).toHaveLength(300);
    expect(disagreements(file)).toEqual([]);
  });

  it('takes a file without the optional columns, and states nothing of them', () => {
    const head =
      'Employee No,Name,Department,Job title,Location,Cost center,Manager No,Contract type,Status,Hire date,Contract end,Last working day,Leave from';
    const row = '60001,"Linde, Åsa",Engineering,Developer,Berlin,4100,,permanent,Active,2026-11-01,,,';
    const short = readHrFile(Buffer.from(`${head}\n${row}\n`), mapping);
    expect(short.rejected).toEqual([]);
    expect(short.stated[0]).toMatchObject({
      zone: 'Europe/Berlin',
      manager: null,
      attributes: { familyName: 'Linde' },
    });
    expect(short.stated[0]?.attributes).not.toHaveProperty('personalMail');
    const whole = readHrFile(Buffer.from(`${head},Private mail\n${row},\n`), mapping);
    expect(whole.stated[0]?.attributes).toMatchObject({ personalMail: null });
  });

  it('has every defect at least twice', () => {
    const counts = new Map<string, number>();
    for (const { expected } of messyCsv({ today }).rows)
      if (expected.outcome === 'rejected') counts.set(expected.defect, (counts.get(expected.defect) ?? 0) + 1);
    expect(counts.size).toBe(18);
    expect([...counts.values()].every((count) => count >= 2)).toBe(true);
  });

  it('notices a wrong label: the comparison can fail', () => {
    const file = messyCsv({ today });
    const rows = file.rows.map((row, index) =>
      index === 0 ? { ...row, expected: { outcome: 'ignored' as const } } : row,
    );
    expect(disagreements({ ...file, rows })).toHaveLength(1);
  });

  it('repeats no cell in a reason', () => {
    const read = readHrFile(messyCsv({ today }).bytes, mapping);
    const cells = read.rejected
      .flatMap((one) => one.cells.map((cell) => cell.trim()))
      .filter((cell) => cell.length > 6);
    const reasons = read.rejected.flatMap((one) => one.problems.map((problem) => problem.reason)).join('\n');
    expect(cells.filter((cell) => reasons.includes(cell))).toEqual([]);
  });
});

describe('files that are refused as a whole', () => {
  const refuse = (content: string | Buffer, limits = DEFAULT_LIMITS): string => {
    try {
      readHrFile(Buffer.from(content), mapping, limits);
      return 'taken';
    } catch (error) {
      if (error instanceof CsvFileError) return error.code;
      throw error;
    }
  };
  const header = messyCsv({ today, count: 10, encoding: 'utf-8' }).bytes.toString().split('\r\n')[0] ?? '';
  const row = ';'.repeat(15);

  it.each<[string, string | Buffer, string]>([
    ['a workbook', Buffer.from('PK\u0003\u0004rest'), 'workbook'],
    ['zero bytes', 'a;b\0c\n1;2\n', 'not-text'],
    ['nothing', '', 'empty'],
    ['blank lines only', '\r\n \r\n;;;\r\n', 'empty'],
    ['a web page', '<html><body>302 Found</body></html>\n', 'column-missing'],
    ['a header named twice', `${header};Notes\r\n`, 'header-twice'],
    ['an unclosed quote', `${header}\r\n"E1${row}\r\nE2${row}\r\n`, 'quote-not-closed'],
    ['a quote that swallows the file', `${header}\r\n"E1${`${row}\r\n`.repeat(20_000)}`, 'row-too-large'],
    ['ten thousand columns', `${Array.from({ length: 10_000 }, (_, i) => `c${i}`).join(';')}\r\n`, 'too-many-columns'],
  ])('%s', (_name, content, code) => {
    expect(refuse(content)).toBe(code);
  });

  it('too many rows and too many bytes, at the limit and one above', () => {
    const rows = `E1${row}\r\n`.repeat(5);
    expect(refuse(`${header}\r\n${rows}`, { ...DEFAULT_LIMITS, rows: 5 })).toBe('taken');
    expect(refuse(`${header}\r\n${rows}`, { ...DEFAULT_LIMITS, rows: 4 })).toBe('too-many-rows');
    const content = `${header}\r\n${rows}`;
    expect(refuse(content, { ...DEFAULT_LIMITS, bytes: Buffer.byteLength(content) })).toBe('taken');
    expect(refuse(content, { ...DEFAULT_LIMITS, bytes: Buffer.byteLength(content) - 1 })).toBe('too-large');
  });

  it('a file without rows states nothing: nobody leaves by missing', () => {
    const read = readHrFile(Buffer.from(`${header}\r\n`), mapping);
    expect([read.stated, read.rejected]).toEqual([[], []]);
  });
});

describe('parseCsv', () => {
  it('keeps spreadsheet row numbers over quoted line breaks and blank rows', () => {
    const table = parseCsv('a,b\r\n"x\r\ny",1\r\n\r\n,,\r\nz,2,,\r\n', 'auto');
    expect(table.rows).toEqual([
      { row: 2, cells: ['x\r\ny', '1'] },
      { row: 5, cells: ['z', '2'] },
    ]);
  });

  it.each([...DELIMITERS_FOR_TEST])('finds the separator %j', (delimiter) => {
    expect(parseCsv(['a', '"b,;|"', 'c'].join(delimiter), 'auto').header).toEqual(['a', 'b,;|', 'c']);
  });
});

describe('readDate', () => {
  const formats = (...sources: string[]) => sources.flatMap((source) => compileDateFormat(source) ?? []);

  it('reads what the formats say and cuts a trailing midnight', () => {
    expect(readDate('24.12.2026', formats('dd.MM.yyyy'))).toEqual({ ok: true, date: '2026-12-24' });
    expect(readDate('2026-12-24 00:00:00', formats('yyyy-MM-dd'))).toEqual({ ok: true, date: '2026-12-24' });
    expect(readDate('1-Mar-2026', formats('d-MMM-yyyy'))).toEqual({ ok: true, date: '2026-03-01' });
  });

  it('never guesses between two meanings', () => {
    const both = formats('dd/MM/yyyy', 'MM/dd/yyyy');
    expect(readDate('03/04/2026', both)).toEqual({ ok: false, reason: 'ambiguous' });
    expect(readDate('13/04/2026', both)).toEqual({ ok: true, date: '2026-04-13' });
    expect(readDate('03/03/2026', both)).toEqual({ ok: true, date: '2026-03-03' });
  });

  it('refuses days that are not in the calendar and formats that are none', () => {
    expect(readDate('29.02.2026', formats('dd.MM.yyyy'))).toEqual({ ok: false, reason: 'not-a-date' });
    expect(compileDateFormat('dd.MM')).toBeUndefined();
    expect(compileDateFormat('dd.MM.yy')).toBeUndefined();
    expect(compileDateFormat('DD.MM.yyyy')).toBeUndefined();
  });
});

describe('loadMapping', () => {
  const problemsOf = (changed: string): string => {
    try {
      loadMapping({ path: 'm.yaml', text: changed });
      return '';
    } catch (error) {
      if (error instanceof MappingError) return error.message;
      throw error;
    }
  };

  it.each<[string, string, string, RegExp]>([
    [
      'an unknown column in an expression',
      'person: row.number',
      'person: row.nmber',
      /^m\.yaml:29 person: .*nmber.*expected: a CEL expression that gives text, over row\.number/,
    ],
    [
      'an expression that gives no text',
      'person: row.number',
      'person: \'row.number == "1"\'',
      /person: the expression gives bool/,
    ],
    [
      'an unknown attribute',
      '  department: row.department\n  title',
      '  departement: row.department\n  title',
      /attributes.*departement.*expected/s,
    ],
    [
      'an unknown field',
      'employment: row.number',
      'employment: row.number\nemploymnt: row.number',
      /employmnt: unknown field/,
    ],
    ['a bad zone', 'default: Europe/Berlin', 'default: CET+1', /^m\.yaml:7 zone\.default: .*IANA/],
    ['a bad date format', '[yyyy-MM-dd, dd.MM.yyyy]', '[yyyy-MM-dd, DD.MM.YYYY]', /dateFormats.*expected: a format of/],
    ['broken YAML', 'source: hr-export', 'source: [hr-export', /expected: YAML/],
  ])('tells line, what is wrong and what was expected: %s', (_name, from, to, pattern) => {
    expect(text).toContain(from);
    expect(problemsOf(text.replace(from, to))).toMatch(pattern);
  });
});
