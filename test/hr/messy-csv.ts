import { Faker, de, en } from '@faker-js/faker';
import { stringify } from 'csv-stringify/sync';
import iconv from 'iconv-lite';
import type { LocalDate } from '../../src/domain/process/ids.js';
import { addDays } from '../../src/domain/time/instants.js';

export const HEADER = [
  'Employee No',
  'Name',
  'Department',
  'Job title',
  'Location',
  'Cost center',
  'Manager No',
  'Contract type',
  'Status',
  'Hire date',
  'Contract end',
  'Last working day',
  'Leave from',
  'Time zone',
  'Private mail',
  'Notes',
] as const;
type Column = (typeof HEADER)[number];
type Cells = Record<Column, string>;

export type Expected =
  | {
      readonly outcome: 'good';
      readonly lifecycle: 'active' | 'pre-hire' | 'left' | 'suspended';
      readonly warning?: boolean;
      readonly givenName: string;
      readonly familyName: string;
      readonly department: string;
    }
  | { readonly outcome: 'rejected'; readonly defect: string; readonly column: Column | ''; readonly reason: RegExp }
  | { readonly outcome: 'repeated' | 'ignored' };

export interface LabelledRow {
  /** As a spreadsheet counts: the header is row 1. */
  readonly row: number;
  readonly number: string;
  readonly expected: Expected;
}
export interface MessyCsv {
  readonly bytes: Buffer;
  readonly rows: readonly LabelledRow[];
}
export const DELIMITERS_FOR_TEST = [',', ';', '\t', '|'] as const;
export type FileEncoding = 'utf-8' | 'utf-8-bom' | 'utf-16le' | 'utf-16be' | 'utf-16le-bare' | 'windows-1252';

export interface MessyOptions {
  readonly seed?: number;
  /** Rows with content, header not counted. */
  readonly count?: number;
  readonly today: LocalDate;
  readonly encoding?: FileEncoding;
  readonly delimiter?: ',' | ';' | '\t';
  readonly lineBreak?: '\r\n' | '\n';
}

interface Defect {
  readonly name: string;
  readonly column: Column | '';
  readonly reason: RegExp;
  /** Changes the row, or gives raw cells of another number. */
  spoil(cells: Cells): readonly string[] | void;
}

const DEFECTS: readonly Defect[] = [
  { name: 'short row', column: '', reason: /is short$/, spoil: (cells) => listOf(cells).slice(0, 9) },
  { name: 'shifted row', column: '', reason: /is shifted$/, spoil: (cells) => shifted(cells) },
  {
    name: 'shifted row of right width',
    column: 'Status',
    reason: /unknown status/,
    spoil: (cells) => shifted(cells).slice(0, HEADER.length),
  },
  {
    name: 'no key',
    column: 'Employee No',
    reason: /must not be empty/,
    spoil: (cells) => void (cells['Employee No'] = '  '),
  },
  { name: 'no name', column: 'Name', reason: /must not be empty/, spoil: (cells) => void (cells.Name = '') },
  {
    name: 'no start',
    column: 'Hire date',
    reason: /must not be empty/,
    spoil: (cells) => void (cells['Hire date'] = ''),
  },
  {
    name: 'start in words',
    column: 'Hire date',
    reason: /not a date; expected yyyy-MM-dd or dd.MM.yyyy/,
    spoil: (cells) => void (cells['Hire date'] = 'next monday'),
  },
  {
    name: 'impossible date',
    column: 'Hire date',
    reason: /not a date/,
    spoil: (cells) => void (cells['Hire date'] = '31.02.2024'),
  },
  {
    name: 'date of another country',
    column: 'Hire date',
    reason: /not a date/,
    spoil: (cells) => void (cells['Hire date'] = '02/28/2024'),
  },
  {
    name: 'implausible year',
    column: 'Hire date',
    reason: /not a plausible date/,
    spoil: (cells) => void (cells['Hire date'] = '0024-02-28'),
  },
  {
    name: 'unknown status',
    column: 'Status',
    reason: /unknown status; the mapping knows active/,
    spoil: (cells) => void (cells.Status = 'Inaktiv?'),
  },
  {
    name: 'left without a day',
    column: 'Last working day',
    reason: /status says that the employment has ended/,
    spoil: (cells) => void (cells.Status = 'Left'),
  },
  {
    name: 'left before the start',
    column: 'Last working day',
    reason: /before the start/,
    spoil: (cells) => void ((cells.Status = 'Left'), (cells['Last working day'] = '1999-12-31')),
  },
  {
    name: 'contractor without end',
    column: 'Contract end',
    reason: /every contractor has a contract end/,
    spoil: (cells) => void (cells['Contract type'] = 'Extern'),
  },
  {
    name: 'unknown zone',
    column: 'Time zone',
    reason: /not an IANA zone name/,
    spoil: (cells) => void (cells['Time zone'] = 'MEZ+1'),
  },
  {
    name: 'endless cell',
    column: 'Job title',
    reason: /at most 512 characters/,
    spoil: (cells) => void (cells['Job title'] = 'x'.repeat(600)),
  },
  {
    name: 'control character',
    column: 'Department',
    reason: /control characters/,
    spoil: (cells) => void (cells.Department = 'Fin\u0007ance'),
  },
];

/**
 * An HR export as the field knows them, invented: every defect in it, each row labelled with what must become of it. The same options give the
 * same bytes.
 */
export function messyCsv(options: MessyOptions): MessyCsv {
  const faker = new Faker({ locale: [de, en], seed: options.seed ?? 4711 });
  const count = options.count ?? 300;
  const lines: (readonly string[])[] = [];
  const rows: LabelledRow[] = [];
  const add = (cells: readonly string[], expected: Expected): void => {
    rows.push({ row: lines.length + 2, number: cells[0] ?? '', expected });
    lines.push(cells);
  };
  const conflicts: { cells: Cells; index: number }[] = [];
  for (let index = 0; rows.length < count - 6; index += 1) {
    if (index % 23 === 7) lines.push(index % 2 === 0 ? [''] : HEADER.map(() => ''));
    const person = goodRow(faker, index, options.today);
    const defect = index % 6 === 5 ? DEFECTS[Math.floor(index / 6) % DEFECTS.length] : undefined;
    if (defect !== undefined) {
      const cells = {
        ...person.cells,
        Status: 'Active',
        'Contract type': 'Employee',
        'Contract end': '',
        'Last working day': '',
      };
      const raw = defect.spoil(cells);
      add(raw ?? listOf(cells), {
        outcome: 'rejected',
        defect: defect.name,
        column: defect.column,
        reason: defect.reason,
      });
      continue;
    }
    if (index % 40 === 13) {
      add(listOf({ ...person.cells, Status: 'Applicant' }), { outcome: 'ignored' });
      continue;
    }
    if (index % 90 === 20) conflicts.push({ cells: person.cells, index: rows.length });
    add(listOf(person.cells), person.expected);
    if (index % 50 === 30) add(listOf(person.cells), { outcome: 'repeated' });
  }
  for (const { cells, index } of conflicts.slice(0, 6)) {
    const expected: Expected = {
      outcome: 'rejected',
      defect: 'duplicate key',
      column: 'Employee No',
      reason: /duplicate key: rows/,
    };
    rows[index] = { ...(rows[index] as LabelledRow), expected };
    add(listOf({ ...cells, Department: 'Somewhere else' }), expected);
  }
  while (rows.length < count) {
    const person = goodRow(faker, 10_000 + rows.length, options.today);
    add(listOf(person.cells), person.expected);
  }
  return { bytes: encode(write(lines, options), options.encoding ?? 'utf-8-bom'), rows };
}

function goodRow(faker: Faker, index: number, today: LocalDate): { cells: Cells; expected: Expected } {
  const given = faker.person.firstName();
  const oneWord = index % 71 === 3;
  const family =
    ["O'Neill", 'van der Größe', 'Müller-Łański'.replaceAll('Ł', 'L').replaceAll('ń', 'n'), faker.person.lastName()][
      index % 11 < 3 ? index % 11 : 3
    ] ?? '';
  const department = faker.helpers.arrayElement(['Finance', 'Engineering', 'Sales, Field', 'People', 'Legal "& Co"']);
  const lifecycle =
    (['active', 'active', 'active', 'pre-hire', 'left', 'suspended', 'active'] as const)[index % 7] ?? 'active';
  const contractor = index % 9 === 4 && lifecycle === 'active';
  const hired = lifecycle === 'pre-hire' ? addDays(today, 30) : addDays(today, -400 - (index % 300));
  const missingManager = index % 17 === 2;
  const cells: Cells = {
    'Employee No': ` ${numberOf(index)}${index % 5 === 0 ? '  ' : ''}`,
    Name: oneWord ? family : `${family}, ${given}`,
    Department: index % 4 === 0 ? `${department}   ` : department,
    'Job title': index % 13 === 0 ? '' : faker.helpers.arrayElement(['Analyst', 'Engineer', 'Clerk, senior', 'Köchin']),
    Location: faker.helpers.arrayElement(['Berlin', 'München', 'Paris']),
    'Cost center': String(faker.number.int({ min: 1000, max: 9999 })),
    // Managers later in the file, in this row's own number (the head), never, or not at all.
    'Manager No':
      index % 10 === 9 ? '' : missingManager ? 'E99999' : index === 0 ? numberOf(0) : numberOf(managerOf(index)),
    'Contract type': contractor ? 'Extern' : 'Employee',
    Status: { active: 'Active', 'pre-hire': 'active ', left: 'LEFT', suspended: 'On  leave' }[lifecycle],
    'Hire date': formatted(hired, index),
    'Contract end': contractor ? formatted(addDays(today, 200), index) : index % 8 === 1 ? '9999-12-31' : '',
    'Last working day': lifecycle === 'left' ? formatted(addDays(today, -20), index + 1) : '',
    'Leave from': lifecycle === 'suspended' ? formatted(addDays(today, -10), index) : '',
    'Time zone': index % 6 === 2 ? 'Australia/Melbourne' : '',
    'Private mail': index % 3 === 0 ? `person${index}@example.org` : '',
    Notes: index % 12 === 1 ? 'first line\r\nsecond line; "quoted", with comma' : index % 19 === 4 ? '5" pipe' : '',
  };
  const expected: Expected = {
    outcome: 'good',
    lifecycle,
    givenName: oneWord ? '' : given,
    familyName: family,
    department,
    ...(missingManager && index % 10 !== 9 ? { warning: true } : {}),
  };
  return { cells, expected };
}

/** Somebody who is a good row for certain: neither spoiled, nor left out, nor contradicted. */
function managerOf(index: number): number {
  for (let candidate = index + 1; ; candidate = candidate > 60 ? 0 : candidate + 1)
    if (candidate % 6 !== 5 && candidate % 40 !== 13 && candidate % 90 !== 20 && candidate < 60 && candidate !== index)
      return candidate;
}

function numberOf(index: number): string {
  return `E${String(index).padStart(5, '0')}`;
}

function formatted(date: LocalDate, index: number): string {
  const [year, month, day] = date.split('-');
  return index % 2 === 0 ? date : `${day}.${month}.${year}`;
}

function listOf(cells: Cells): string[] {
  return HEADER.map((name) => cells[name]);
}

function shifted(cells: Cells): string[] {
  // With a filled last cell: blank ones beyond the header are dropped, and the row is then refused by its contents instead.
  const list = listOf({ ...cells, Notes: 'filled' });
  return [...list.slice(0, 2), 'slipped in', ...list.slice(2)];
}

function write(lines: readonly (readonly string[])[], options: MessyOptions): string {
  return stringify([[...HEADER], ...lines.map((line) => [...line])], {
    delimiter: options.delimiter ?? ';',
    record_delimiter: options.lineBreak ?? '\r\n',
    escape_formulas: false,
  });
}

function encode(text: string, encoding: FileEncoding): Buffer {
  switch (encoding) {
    case 'utf-8':
      return Buffer.from(text);
    case 'utf-8-bom':
      return iconv.encode(text, 'utf-8', { addBOM: true });
    case 'utf-16le':
      return iconv.encode(text, 'utf-16le', { addBOM: true });
    case 'utf-16be':
      return iconv.encode(text, 'utf-16be', { addBOM: true });
    case 'utf-16le-bare':
      return iconv.encode(text, 'utf-16le', { addBOM: false });
    case 'windows-1252':
      return iconv.encode(text, 'windows-1252');
  }
}
