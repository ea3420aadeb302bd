import { Temporal } from 'temporal-polyfill';
import { brand } from '../process/ids.js';
import type { Instant, LocalDate, ZoneId } from '../process/ids.js';

/** The instant of what is due at once and has no date of its own (a rescinded hire). Earlier than anything that waits. */
export const EARLIEST: Instant = brand<Instant>('1970-01-01T00:00:00.000Z');
/** The last instant that still compares as text; what would be later is cut down to it. */
export const LATEST: Instant = brand<Instant>('9999-12-31T23:59:59.999Z');

export type DateFault = 'not-a-date' | 'no-such-date' | 'not-a-time' | 'not-an-instant' | 'unknown-zone';

/** A date, time, instant or zone name that is not one. `code` decides; the message says what was expected and never repeats the value. */
export class DateError extends Error {
  override readonly name = 'DateError';
  readonly code: DateFault;
  constructor(code: DateFault, message: string) {
    super(message);
    this.code = code;
  }
}

const UNKNOWN_ZONE = 'expected an IANA zone name, for example Australia/Melbourne';
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/**
 * Reads `YYYY-MM-DD`, nothing else: no time, no two-digit year, no 31 June.
 * @throws DateError `not-a-date` for another form, `no-such-date` for a day the calendar does not have.
 */
export function parseLocalDate(text: string): LocalDate {
  const match = DATE.exec(text);
  if (match === null)
    throw new DateError('not-a-date', 'expected a date in the form YYYY-MM-DD, for example 2026-11-23');
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (year < 1) throw new DateError('no-such-date', 'no such date: years begin at 0001');
  if (month < 1 || month > 12) throw new DateError('no-such-date', 'no such date: the month must be 01 to 12');
  const days = new Temporal.PlainYearMonth(year, month).daysInMonth;
  if (day < 1 || day > days)
    throw new DateError('no-such-date', `no such date: the day must be 01 to ${days} in that month`);
  return brand<LocalDate>(text);
}

/** True for an IANA zone name that this machine's zone data knows (`Australia/Melbourne`, `UTC`); false for offsets and anything else. */
export function isZone(text: string): text is ZoneId {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(text)) return false;
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Reads a date and time with seconds and an offset or `Z` (RFC 3339) into the form that compares as text.
 * @throws DateError `not-an-instant`
 */
export function parseInstant(text: string): Instant {
  try {
    if (!INSTANT.test(text)) throw new RangeError('form');
    return instantText(Temporal.Instant.from(text));
  } catch {
    throw new DateError('not-an-instant', 'expected an instant with offset, for example 2026-11-23T07:00:00Z');
  }
}

/** The instant at this count of milliseconds since 1970. */
export function instantOf(epochMilliseconds: number): Instant {
  return instantText(Temporal.Instant.fromEpochMilliseconds(epochMilliseconds));
}

/** Milliseconds since 1970. */
export function millisecondsOf(instant: Instant): number {
  return Temporal.Instant.from(instant).epochMilliseconds;
}

/**
 * The instant of a wall clock time (`HH:MM` or `HH:MM:SS`). A time that does not exist (clocks go forward, a skipped day) is the first valid
 * instant after the gap; one that exists twice is the first for cutting access and the second for granting it (edge case 2).
 * @throws DateError for a date, time or zone that is not one.
 */
export function wallTime(date: LocalDate, time: string, zone: ZoneId, purpose: 'cut' | 'grant'): Instant {
  if (!TIME.test(time))
    throw new DateError('not-a-time', 'expected a time in the form HH:MM or HH:MM:SS, 00:00 to 23:59:59');
  if (!isZone(zone)) throw new DateError('unknown-zone', UNKNOWN_ZONE);
  const wall = Temporal.PlainDateTime.from(`${parseLocalDate(date)}T${time}`);
  const earlier = wall.toZonedDateTime(zone, { disambiguation: 'earlier' });
  if (!earlier.toPlainDateTime().equals(wall)) {
    // In a gap `earlier` lies before it, so the next transition of the zone is the gap itself: its instant is the first one after.
    const after = earlier.getTimeZoneTransition('next') ?? earlier;
    return instantText(after.toInstant());
  }
  const chosen = purpose === 'cut' ? earlier : wall.toZonedDateTime(zone, { disambiguation: 'later' });
  return instantText(chosen.toInstant());
}

/** First instant of a local date. A date that the zone skipped (Apia, 30 December 2011) begins where the next one does. */
export function startOfWorkDay(date: LocalDate, zone: ZoneId): Instant {
  if (!isZone(zone)) throw new DateError('unknown-zone', UNKNOWN_ZONE);
  return instantText(Temporal.PlainDate.from(parseLocalDate(date)).toZonedDateTime(zone).toInstant());
}

/** Access ends at the end of the last working day: the first instant of the next local date. */
export function endOfWorkDay(date: LocalDate, zone: ZoneId): Instant {
  return date === '9999-12-31' ? LATEST : startOfWorkDay(addDays(date, 1), zone);
}

/** The local date that a wall clock in this zone shows at this instant. */
export function localDateAt(instant: Instant, zone: ZoneId): LocalDate {
  return brand<LocalDate>(Temporal.Instant.from(instant).toZonedDateTimeISO(zone).toPlainDate().toString());
}

/**
 * A local date moves by calendar days, an instant by exactly 24 hours a day (retention and deadlines do not care for clocks going forward).
 * Stops at the last date or instant that compares as text.
 */
export function addDays<T extends LocalDate | Instant>(value: T, days: number): T {
  const text: string = value;
  if (text.length > 10) return addMilliseconds(text as Instant, days * 86_400_000) as T;
  const moved = Temporal.PlainDate.from(text).add({ days });
  return (moved.year > 9999 ? '9999-12-31' : moved.toString()) as T;
}

/** Calendar days from one date to the other; negative when the other is earlier. */
export function daysBetween(from: LocalDate, to: LocalDate): number {
  return Temporal.PlainDate.from(from).until(Temporal.PlainDate.from(to), { largestUnit: 'day' }).days;
}

/** 1 for Monday to 7 for Sunday (ISO 8601). */
export function dayOfWeek(date: LocalDate): number {
  return Temporal.PlainDate.from(date).dayOfWeek;
}

/** The instant so many milliseconds later (earlier when negative). */
export function addMilliseconds(instant: Instant, milliseconds: number): Instant {
  return instantText(Temporal.Instant.from(instant).add({ milliseconds: Math.round(milliseconds) }));
}

/** From 1601 to 1970. */
const WINDOWS_EPOCH_MS = 11_644_473_600_000;

/** An instant as Windows counts (units of 100 ns since 1601), for `accountExpires`; empty text is 0: never. Raises DateError for any other text. */
export function fileTime(instant: string): string {
  return instant === '' ? '0' : String(BigInt(millisecondsOf(parseInstant(instant)) + WINDOWS_EPOCH_MS) * 10_000n);
}

/** Order of two instants, or of two dates, as a comparator. Code units, never a locale. */
export function compare<T extends string>(a: T, b: T): -1 | 0 | 1 {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The later of the two. */
export function laterOf<T extends string>(a: T, b: T): T {
  return a < b ? b : a;
}

/** The earlier of the two. */
export function earlierOf<T extends string>(a: T, b: T): T {
  return b < a ? b : a;
}

function instantText(instant: Temporal.Instant): Instant {
  const text = instant
    .round({ smallestUnit: 'millisecond', roundingMode: 'floor' })
    .toString({ fractionalSecondDigits: 3 });
  return brand<Instant>(text.startsWith('+') ? LATEST : text);
}
