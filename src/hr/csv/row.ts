import type { AttributeName, Attributes, EndManner, WorkerType } from '../../domain/ledger/types.js';
import type { LocalDate, ZoneId } from '../../domain/process/ids.js';
import { isKnownZone } from '../fields.js';
import { readDate } from './dates.js';
import { foldWord } from './mapping.js';
import type { CellExpression, Cells, Mapping } from './mapping.js';
import type { DateField, Standing } from './mapping-schema.js';

/** Why a row cannot be taken. `column` is the header as it is in the file, empty for the row as a whole; the reason repeats no value. */
export interface RowProblem {
  readonly row: number;
  readonly column: string;
  readonly reason: string;
}

/** What one row states of one employment. Null is an empty cell, which a snapshot clears; absent is what the mapping says nothing of. */
export interface StatedRow {
  readonly row: number;
  readonly person: string;
  readonly employment: string;
  readonly standing: Exclude<Standing, 'ignore'>;
  readonly startOn: LocalDate;
  readonly zone: ZoneId;
  readonly worker: WorkerType;
  readonly endOn?: LocalDate | null;
  readonly manager?: string | null;
  readonly attributes: Attributes;
  readonly lastWorkingDay?: LocalDate | null;
  readonly manner?: EndManner;
  readonly noticeOn?: LocalDate | null;
  readonly leaveFrom?: LocalDate | null;
  readonly leaveUntil?: LocalDate | null;
  readonly effectiveOn?: LocalDate | null;
}

export type MappedRow =
  | { readonly kind: 'stated'; readonly stated: StatedRow }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'rejected'; readonly problems: readonly RowProblem[] };

const MANNERS: readonly string[] = ['voluntary', 'immediate', 'contract-end', 'retirement', 'death', 'other'];
const MAX_TEXT = 512;
const MAX_KEY = 200;

/** Reads one row by the mapping; all problems of the row at once. Pure. `headerOf` gives the file's own header of an alias. */
export function mapRow(mapping: Mapping, row: number, cells: Cells, headerOf: (alias: string) => string): MappedRow {
  return new RowReader(mapping, row, cells, headerOf).read();
}

type Dates = Partial<Record<DateField, LocalDate | null>>;

class RowReader {
  readonly #problems: RowProblem[] = [];

  constructor(
    private readonly mapping: Mapping,
    private readonly row: number,
    private readonly cells: Cells,
    private readonly headerOf: (alias: string) => string,
  ) {}

  read(): MappedRow {
    const { mapping } = this;
    for (const column of mapping.columns)
      if (column.required && (this.cells[column.alias] ?? '') === '') this.refuse(column.alias, 'must not be empty');
    const standing = this.standing();
    if (standing === 'ignore') return { kind: 'ignored' };
    const person = this.key('person', mapping.person);
    const employment = this.key('employment', mapping.employment);
    const dates = this.dates();
    const zone = this.zone();
    const worker = this.worker();
    const manner = this.manner();
    const attributes = this.attributes();
    const manager = mapping.manager === undefined ? undefined : this.manager(person, mapping.manager);
    this.compare(standing, worker, dates);
    if (this.#problems.length > 0 || !dates.startOn) return { kind: 'rejected', problems: this.#problems };
    return {
      kind: 'stated',
      stated: {
        row: this.row,
        person,
        employment,
        standing,
        zone,
        worker,
        ...(manner === undefined ? {} : { manner }),
        attributes,
        ...(manager === undefined ? {} : { manager }),
        ...dates,
        // A contractor's last working day is the contract's end when no other is stated.
        ...(worker === 'contractor' && !dates.endOn && dates.lastWorkingDay ? { endOn: dates.lastWorkingDay } : {}),
        startOn: dates.startOn,
      },
    };
  }

  private refuse(alias: string, reason: string): void {
    const column = alias === '' ? '' : this.headerOf(alias);
    if (!this.#problems.some((one) => one.column === column && one.column !== ''))
      this.#problems.push({ row: this.row, column, reason });
  }

  private run(expression: CellExpression): string {
    try {
      return expression.run(this.cells);
    } catch {
      this.refuse(expression.reads[0] ?? '', 'the mapping expression cannot be applied to this cell');
      return '';
    }
  }

  private key(what: string, expression: CellExpression): string {
    const key = this.run(expression);
    // An expression such as `row.number + "/" + row.contract` is not empty when its first cell is.
    const blank = expression.reads.length > 0 && (this.cells[expression.reads[0] ?? ''] ?? '') === '';
    if (key === '' || blank) this.refuse(expression.reads[0] ?? '', `must not be empty: it is the ${what} key`);
    else if (!isPlain(key) || key.length > MAX_KEY)
      this.refuse(expression.reads[0] ?? '', `must be one line of at most ${MAX_KEY} characters`);
    return key;
  }

  private standing(): Standing {
    const { status } = this.mapping;
    if (status === undefined) return 'employed';
    const standing = status.values.get(foldWord(this.run(status.from)));
    if (standing === undefined)
      this.refuse(
        status.from.reads[0] ?? '',
        `unknown status; the mapping knows ${[...status.values.keys()].join(', ')}`,
      );
    return standing ?? 'employed';
  }

  private dates(): Dates {
    const found: Dates = {};
    for (const [name, expression] of Object.entries(this.mapping.dates) as [DateField, CellExpression][]) {
      const cell = this.run(expression);
      const alias = expression.reads[0] ?? '';
      found[name] = null;
      if (cell === '') {
        if (name === 'startOn') this.refuse(alias, 'must not be empty: it is the start date');
        continue;
      }
      const read = readDate(cell, this.mapping.formats);
      const formats = this.mapping.formats.map((format) => format.source).join(' or ');
      if (!read.ok)
        this.refuse(
          alias,
          read.reason === 'ambiguous' ? `two dates are possible with ${formats}` : `not a date; expected ${formats}`,
        );
      else if (read.date >= '9999-01-01' && name === 'endOn') continue;
      else if (read.date < '1900-01-01' || read.date > '2199-12-31')
        this.refuse(alias, 'not a plausible date; expected a year from 1900 to 2199');
      else found[name] = read.date;
    }
    return found;
  }

  private zone(): ZoneId {
    const { zone } = this.mapping;
    const name = zone.from === undefined ? '' : this.run(zone.from);
    if (name === '') return zone.default;
    if (!isKnownZone(name)) this.refuse(zone.from?.reads[0] ?? '', 'not an IANA zone name such as Europe/Berlin');
    return name as ZoneId;
  }

  private worker(): WorkerType {
    const worker = this.run(this.mapping.worker);
    if (worker === 'employee' || worker === 'contractor') return worker;
    this.refuse(this.mapping.worker.reads[0] ?? '', 'gives neither employee nor contractor');
    return 'employee';
  }

  private manner(): EndManner | undefined {
    const manner = this.mapping.manner === undefined ? '' : this.run(this.mapping.manner);
    if (manner === '') return undefined;
    if (MANNERS.includes(manner)) return manner as EndManner;
    this.refuse(this.mapping.manner?.reads[0] ?? '', `unknown manner of ending; expected ${MANNERS.join(', ')}`);
    return undefined;
  }

  private manager(person: string, expression: CellExpression): string | null {
    const manager = this.run(expression);
    if (manager.length > MAX_KEY || !isPlain(manager))
      this.refuse(expression.reads[0] ?? '', `must be one line of at most ${MAX_KEY} characters`);
    // The head of a company is often listed as their own manager: there is nobody above.
    return manager === '' || manager === person ? null : manager;
  }

  private attributes(): Attributes {
    const found: Partial<Record<AttributeName, string | null>> = { ...this.splitName() };
    for (const [name, expression] of Object.entries(this.mapping.attributes) as [AttributeName, CellExpression][]) {
      const value = this.run(expression).replaceAll(/\s*[\r\n]+\s*/g, ', ');
      if (value.length > MAX_TEXT || !isPlain(value))
        this.refuse(expression.reads[0] ?? '', `must be at most ${MAX_TEXT} characters without control characters`);
      found[name] = value === '' ? null : value.normalize('NFC');
    }
    if (found.givenName === null && found.familyName === null)
      this.refuse(
        (this.mapping.name?.from ?? this.mapping.attributes['familyName'])?.reads[0] ?? '',
        'must not be empty: it is the name',
      );
    return found;
  }

  /** One word is a family name; two or more split where the mapping says. */
  private splitName(): { givenName?: string | null; familyName?: string | null } {
    const { name } = this.mapping;
    if (name === undefined) return {};
    const full = this.run(name.from).replaceAll(/\s+/g, ' ').normalize('NFC');
    const at = full.indexOf(name.order === 'family-comma-given' ? ',' : ' ');
    const [first, rest] = at < 0 ? ['', full] : [full.slice(0, at).trim(), full.slice(at + 1).trim()];
    const [given, family] = at < 0 || name.order === 'given-family' ? [first, rest] : [rest, first];
    return { givenName: given === '' ? null : given, familyName: family === '' ? null : family };
  }

  private compare(standing: Standing, worker: WorkerType, dates: Dates): void {
    const alias = (name: DateField): string => this.mapping.dates[name]?.reads[0] ?? '';
    const before = (a?: LocalDate | null, b?: LocalDate | null): boolean => !!a && !!b && a < b;
    if (worker === 'contractor' && !dates.endOn && !dates.lastWorkingDay)
      this.refuse(alias('endOn'), 'must not be empty: every contractor has a contract end');
    if (standing === 'ended' && !dates.lastWorkingDay && !dates.endOn)
      this.refuse(alias('lastWorkingDay'), 'must not be empty: the status says that the employment has ended');
    if (before(dates.endOn, dates.startOn)) this.refuse(alias('endOn'), 'lies before the start date');
    if (before(dates.lastWorkingDay, dates.startOn)) this.refuse(alias('lastWorkingDay'), 'lies before the start date');
    if (before(dates.lastWorkingDay, dates.noticeOn)) this.refuse(alias('noticeOn'), 'lies after the last working day');
    if (before(dates.leaveUntil, dates.leaveFrom))
      this.refuse(alias('leaveUntil'), 'lies before the first day of leave');
  }
}

function isPlain(text: string): boolean {
  return !/[\p{Cc}\p{Cs}]/u.test(text);
}
