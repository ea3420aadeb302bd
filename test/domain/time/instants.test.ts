import { describe, expect, it } from '@jest/globals';
import { brand } from '../../../src/domain/process/ids.js';
import type { Instant, LocalDate, ZoneId } from '../../../src/domain/process/ids.js';
import {
  DateError,
  LATEST,
  addDays,
  addMilliseconds,
  compare,
  endOfWorkDay,
  instantOf,
  isZone,
  localDateAt,
  millisecondsOf,
  parseInstant,
  parseLocalDate,
  startOfWorkDay,
  wallTime,
} from '../../../src/domain/time/instants.js';

const date = (text: string): LocalDate => brand<LocalDate>(text);
const zone = (text: string): ZoneId => brand<ZoneId>(text);
const instant = (text: string): Instant => brand<Instant>(text);

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof DateError ? error.code : 'another error';
  }
  return 'no error';
}

describe('work days', () => {
  it('1: the last working day ends at the work location’s midnight, not at that of UTC', () => {
    expect(endOfWorkDay(date('2026-05-14'), zone('Australia/Melbourne'))).toBe('2026-05-14T14:00:00.000Z');
    expect(endOfWorkDay(date('2026-05-14'), zone('America/New_York'))).toBe('2026-05-15T04:00:00.000Z');
    expect(endOfWorkDay(date('2026-05-14'), zone('Europe/Istanbul'))).toBe('2026-05-14T21:00:00.000Z');
    expect(startOfWorkDay(date('2026-05-14'), zone('UTC'))).toBe('2026-05-14T00:00:00.000Z');
  });

  it('1: the zone is evaluated for the date, so the same zone has two offsets in a year', () => {
    expect(startOfWorkDay(date('2026-01-15'), zone('Europe/Berlin'))).toBe('2026-01-14T23:00:00.000Z');
    expect(startOfWorkDay(date('2026-07-15'), zone('Europe/Berlin'))).toBe('2026-07-14T22:00:00.000Z');
    expect(startOfWorkDay(date('2016-03-01'), zone('Europe/Istanbul'))).toBe('2016-02-29T22:00:00.000Z');
    expect(startOfWorkDay(date('2017-03-01'), zone('Europe/Istanbul'))).toBe('2017-02-28T21:00:00.000Z');
  });

  it('2: a day whose midnight does not exist begins at its first valid instant', () => {
    expect(startOfWorkDay(date('2018-11-04'), zone('America/Sao_Paulo'))).toBe('2018-11-04T03:00:00.000Z');
    expect(startOfWorkDay(date('2026-03-29'), zone('Asia/Beirut'))).toBe('2026-03-28T22:00:00.000Z');
  });

  it('2: a day that Apia skipped begins where the next one does, and the day before it ends there', () => {
    const thirtyFirst = '2011-12-30T10:00:00.000Z';
    expect(startOfWorkDay(date('2011-12-31'), zone('Pacific/Apia'))).toBe(thirtyFirst);
    expect(startOfWorkDay(date('2011-12-30'), zone('Pacific/Apia'))).toBe(thirtyFirst);
    expect(endOfWorkDay(date('2011-12-29'), zone('Pacific/Apia'))).toBe(thirtyFirst);
    expect(endOfWorkDay(date('2011-12-30'), zone('Pacific/Apia'))).toBe(thirtyFirst);
  });

  it('the last date of the calendar ends at the last instant that compares as text', () => {
    expect(endOfWorkDay(date('9999-12-31'), zone('America/New_York'))).toBe(LATEST);
    expect(startOfWorkDay(date('9999-12-31'), zone('America/New_York')) < LATEST).toBe(true);
  });
});

describe('wall times', () => {
  it.each([
    ['Europe/Berlin', '2026-03-29', '02:30', '2026-03-29T01:00:00.000Z'],
    ['America/New_York', '2026-03-08', '02:30', '2026-03-08T07:00:00.000Z'],
    ['Australia/Melbourne', '2026-10-04', '02:30', '2026-10-03T16:00:00.000Z'],
    ['Australia/Lord_Howe', '2026-10-04', '02:15', '2026-10-03T15:30:00.000Z'],
    ['Pacific/Apia', '2011-12-30', '09:00', '2011-12-30T10:00:00.000Z'],
  ])(
    '2: in a gap of %s (%s %s) it is the first valid instant after, to cut and to grant',
    (name, day, time, expected) => {
      expect(wallTime(date(day), time, zone(name), 'cut')).toBe(expected);
      expect(wallTime(date(day), time, zone(name), 'grant')).toBe(expected);
    },
  );

  it.each([
    ['Europe/Berlin', '2026-10-25', '02:30', '2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z'],
    ['America/New_York', '2026-11-01', '01:30', '2026-11-01T05:30:00.000Z', '2026-11-01T06:30:00.000Z'],
    ['Australia/Melbourne', '2026-04-05', '02:30', '2026-04-04T15:30:00.000Z', '2026-04-04T16:30:00.000Z'],
    ['Australia/Lord_Howe', '2026-04-05', '01:45', '2026-04-04T14:45:00.000Z', '2026-04-04T15:15:00.000Z'],
  ])(
    '2: in an overlap of %s (%s %s) it cuts at the first and grants at the second',
    (name, day, time, first, second) => {
      expect(wallTime(date(day), time, zone(name), 'cut')).toBe(first);
      expect(wallTime(date(day), time, zone(name), 'grant')).toBe(second);
    },
  );

  it('the first wall time after a gap and an ordinary one are what they say', () => {
    expect(wallTime(date('2026-03-29'), '03:00', zone('Europe/Berlin'), 'cut')).toBe('2026-03-29T01:00:00.000Z');
    expect(wallTime(date('2026-06-01'), '17:30:15', zone('Asia/Kolkata'), 'grant')).toBe('2026-06-01T12:00:15.000Z');
  });

  it('refuses a time and a zone that are none', () => {
    expect(codeOf(() => wallTime(date('2026-06-01'), '24:00', zone('UTC'), 'cut'))).toBe('not-a-time');
    expect(codeOf(() => wallTime(date('2026-06-01'), '09:00', zone('+02:00'), 'cut'))).toBe('unknown-zone');
  });
});

describe('reading dates, instants and zones', () => {
  it('6: takes YYYY-MM-DD and nothing else', () => {
    expect(parseLocalDate('2024-02-29')).toBe('2024-02-29');
    for (const text of ['2026-5-14', '14.05.2026', '2026-05-14T00:00', ' 2026-05-14', '', '20260514']) {
      expect([text, codeOf(() => parseLocalDate(text))]).toEqual([text, 'not-a-date']);
    }
    for (const text of ['2026-02-29', '2026-13-01', '2026-00-10', '2026-04-31', '2026-04-00', '0000-01-01']) {
      expect([text, codeOf(() => parseLocalDate(text))]).toEqual([text, 'no-such-date']);
    }
    expect(() => parseLocalDate('2026-02-29')).toThrow('no such date: the day must be 01 to 28 in that month');
  });

  it('brings instants into the one form that compares as text', () => {
    expect(parseInstant('2026-05-14T18:30:00+02:00')).toBe('2026-05-14T16:30:00.000Z');
    expect(parseInstant('2026-05-14T18:30:00.123987Z')).toBe('2026-05-14T18:30:00.123Z');
    for (const text of ['2026-05-14', '2026-05-14T18:30:00', '2026-02-30T00:00:00Z', 'now']) {
      expect([text, codeOf(() => parseInstant(text))]).toEqual([text, 'not-an-instant']);
    }
  });

  it('knows zones by their IANA names, never by an offset', () => {
    for (const name of ['Australia/Melbourne', 'America/Argentina/Buenos_Aires', 'UTC', 'Etc/GMT+5'])
      expect(isZone(name)).toBe(true);
    for (const name of ['+02:00', 'Europe/Nowhere', '', 'Europe/Berlin ', 'CEST+1x', '[UTC]']) {
      expect([name, isZone(name)]).toEqual([name, false]);
    }
  });
});

describe('arithmetic', () => {
  it('moves dates by the calendar and instants by 24 hours', () => {
    expect(addDays(date('2024-02-28'), 2)).toBe('2024-03-01');
    expect(addDays(date('2026-01-01'), -1)).toBe('2025-12-31');
    expect(addDays(instant('2026-03-28T12:00:00.000Z'), 2)).toBe('2026-03-30T12:00:00.000Z');
    expect(addDays(date('9999-12-31'), 1)).toBe('9999-12-31');
    expect(addDays(instant('9999-12-31T12:00:00.000Z'), 5)).toBe(LATEST);
    expect(addMilliseconds(instant('2026-01-01T00:00:00.000Z'), -1)).toBe('2025-12-31T23:59:59.999Z');
  });

  it('goes to milliseconds and to local dates and back', () => {
    expect(millisecondsOf(instantOf(1_700_000_000_123))).toBe(1_700_000_000_123);
    expect(localDateAt(instant('2026-05-14T14:00:00.000Z'), zone('Australia/Melbourne'))).toBe('2026-05-15');
    expect(['b', 'a', 'c'].sort(compare)).toEqual(['a', 'b', 'c']);
  });
});
