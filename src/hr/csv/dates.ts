import { Temporal } from 'temporal-polyfill';
import { brand } from '../../domain/process/ids.js';
import type { LocalDate } from '../../domain/process/ids.js';

const TOKENS: Readonly<Record<string, string>> = {
  yyyy: '(?<year>\\d{4})',
  MMM: '(?<name>[A-Za-z]{3})',
  MM: '(?<month>\\d{2})',
  M: '(?<month>\\d{1,2})',
  dd: '(?<day>\\d{2})',
  d: '(?<day>\\d{1,2})',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const FORMAT = /^(yyyy|MMM|MM|M|dd|d|[ ./,-])+$/;

export interface DateFormat {
  readonly source: string;
  readonly pattern: RegExp;
}

/** Compiles `dd.MM.yyyy` and the like (yyyy, MM, M, MMM in English, dd, d). Undefined when it is no format, or has no day, month or year. */
export function compileDateFormat(source: string): DateFormat | undefined {
  if (!FORMAT.test(source)) return undefined;
  const pattern = source.replaceAll(/yyyy|MMM|MM|M|dd|d|[.]/g, (token) => TOKENS[token] ?? `\\${token}`);
  const once = (group: RegExp): boolean => pattern.match(group)?.length === 1;
  if (!once(/<year>/g) || !once(/<day>/g) || !once(/<month>|<name>/g)) return undefined;
  return { source, pattern: new RegExp(`^${pattern}$`) };
}

export type ReadDate =
  { readonly ok: true; readonly date: LocalDate } | { readonly ok: false; readonly reason: 'not-a-date' | 'ambiguous' };

/** Reads a cell by every format: one meaning is taken, two different ones are ambiguous and never guessed. A trailing midnight is cut off. */
export function readDate(cell: string, formats: readonly DateFormat[]): ReadDate {
  const text = cell.trim().replace(/[ T]00:00(:00(\.0+)?)?Z?$/, '');
  const found = new Set<string>();
  for (const format of formats) {
    const groups = format.pattern.exec(text)?.groups;
    if (groups === undefined) continue;
    const month =
      groups['name'] === undefined ? Number(groups['month']) : MONTHS.indexOf(groups['name'].toLowerCase()) + 1;
    const date = calendarDate(Number(groups['year']), month, Number(groups['day']));
    if (date !== undefined) found.add(date);
  }
  const [date, other] = [...found];
  if (date === undefined) return { ok: false, reason: 'not-a-date' };
  return other === undefined ? { ok: true, date: brand<LocalDate>(date) } : { ok: false, reason: 'ambiguous' };
}

function calendarDate(year: number, month: number, day: number): string | undefined {
  try {
    return Temporal.PlainDate.from({ year, month, day }, { overflow: 'reject' }).toString();
  } catch {
    return undefined;
  }
}
