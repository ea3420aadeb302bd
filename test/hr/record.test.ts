import { describe, expect, it } from '@jest/globals';
import { parseRecord } from '../../src/hr/record.js';

const envelope = { source: 'hr', eventId: 'e1', person: 'p1', employment: 'n1' };
const hire = {
  ...envelope,
  kind: 'hire',
  startOn: '2026-05-04',
  zone: 'Europe/Berlin',
  worker: 'employee',
  attributes: { givenName: 'Ada', familyName: 'Marker-Lovelace', department: 'Finance', 'custom.badge': 'B7' },
};

function problemsOf(value: unknown): string[] {
  const parsed = parseRecord(value);
  if (parsed.ok) return [];
  expect(JSON.stringify(parsed.problems)).not.toContain('Marker');
  return parsed.problems.map((problem) => `${problem.path}: ${problem.message} (${problem.expected})`);
}

describe('parseRecord', () => {
  it('takes a complete hire and splits the envelope from the statement', () => {
    const parsed = parseRecord(hire);
    expect(parsed).toEqual({
      ok: true,
      record: {
        source: 'hr',
        eventId: 'e1',
        version: 1,
        person: 'p1',
        employment: 'n1',
        statement: {
          kind: 'hire',
          startOn: '2026-05-04',
          zone: 'Europe/Berlin',
          worker: 'employee',
          attributes: hire.attributes,
        },
      },
    });
  });

  it('keeps null (clears) apart from absence (leaves alone)', () => {
    const parsed = parseRecord({
      ...envelope,
      kind: 'change',
      effectiveOn: '2026-06-01',
      manager: null,
      attributes: { title: null },
    });
    expect(parsed.ok && parsed.record.statement).toEqual({
      kind: 'change',
      effectiveOn: '2026-06-01',
      manager: null,
      attributes: { title: null },
    });
  });

  it('normalises an instant to UTC with milliseconds and text to NFC', () => {
    const parsed = parseRecord({
      ...envelope,
      kind: 'end',
      lastWorkingDay: '2026-05-14',
      manner: 'immediate',
      at: '2026-05-14T17:00:00+10:00',
    });
    expect(parsed.ok && parsed.record.statement).toMatchObject({ at: '2026-05-14T07:00:00.000Z' });
    const name = parseRecord({ ...hire, attributes: { familyName: 'Mu\u0308ller' } });
    expect(name.ok && name.record.statement).toMatchObject({ attributes: { familyName: 'M\u00fcller' } });
  });

  it.each<[string, unknown, RegExp]>([
    ['not an object', 'Marker', /^: wrong type \(an object/],
    ['unknown field', { ...hire, salary: 'Marker' }, /^salary: unknown field/],
    [
      'unknown attribute',
      { ...hire, attributes: { ...hire.attributes, nickname: 'Marker' } },
      /^attributes\.nickname: unknown field \(givenName, .*custom\.<name>\)/,
    ],
    ['attribute of wrong type', { ...hire, attributes: { familyName: 5 } }, /^attributes\.familyName: wrong type/],
    [
      'custom attribute of wrong type',
      { ...hire, attributes: { familyName: 'x', 'custom.a': 5 } },
      /^attributes\.custom\.a: wrong type/,
    ],
    ['empty attribute', { ...hire, attributes: { familyName: '' } }, /^attributes\.familyName: .*1 to 512 characters/],
    ['control character', { ...hire, attributes: { familyName: 'Marker\u0000' } }, /^attributes\.familyName/],
    ['lone surrogate', { ...hire, attributes: { familyName: 'Marker\ud800' } }, /^attributes\.familyName/],
    ['unknown kind', { ...hire, kind: 'fire' }, /^kind: not an allowed value \(hire, change, end/],
    ['missing kind', { ...envelope }, /^kind: /],
    ['missing date', { ...hire, startOn: undefined }, /^startOn: missing \(a calendar date/],
    ['impossible date', { ...hire, startOn: '2026-02-30' }, /^startOn: wrong form \(a calendar date/],
    ['date in another form', { ...hire, startOn: '04.05.2026' }, /^startOn: wrong form/],
    ['year of nowhere', { ...hire, endOn: '9999-12-31' }, /^endOn: .*leave an open end out/],
    ['zone as offset', { ...hire, zone: '+02:00' }, /^zone: .*IANA/],
    ['unknown zone', { ...hire, zone: 'Europe/Marker' }, /^zone: .*IANA/],
    ['contractor without end', { ...hire, worker: 'contractor' }, /^endOn: missing \(the contract end/],
    ['end before start', { ...hire, endOn: '2026-05-03' }, /^endOn: before the start/],
    ['nameless', { ...hire, attributes: { department: 'x' } }, /^attributes\.familyName: missing/],
    ['own manager', { ...hire, manager: 'p1' }, /^manager: is the person itself/],
    ['version as text', { ...hire, version: '2' }, /^version: wrong type/],
    ['version zero', { ...hire, version: 0 }, /^version: too small/],
    ['corrects itself', { ...hire, corrects: 'e1' }, /^corrects: names its own event/],
    ['withdraws nothing', { ...envelope, kind: 'withdraw' }, /^corrects: missing/],
    [
      '`at` without immediate',
      { ...envelope, kind: 'end', lastWorkingDay: '2026-05-14', manner: 'voluntary', at: '2026-05-14T17:00:00Z' },
      /^at: only for an immediate/,
    ],
    [
      'notice after the end',
      { ...envelope, kind: 'end', lastWorkingDay: '2026-05-14', manner: 'voluntary', noticeOn: '2026-05-15' },
      /^noticeOn: after/,
    ],
    [
      'leave backwards',
      { ...envelope, kind: 'leave', startOn: '2026-05-14', expectedEndOn: '2026-05-13' },
      /^expectedEndOn: before/,
    ],
    ["Tenure's own source", { ...hire, source: 'tenure' }, /^source: .*other than tenure/],
    ['source with spaces', { ...hire, source: 'My HR' }, /^source: /],
  ])('refuses %s by path, with what was expected and without the value', (_name, value, pattern) => {
    const found = problemsOf(value);
    expect(found).not.toHaveLength(0);
    expect(found.join('\n')).toMatch(pattern);
  });

  it('reports every problem of a record at once', () => {
    expect(problemsOf({ ...hire, startOn: 'x', zone: 'y', extra: 1 })).toHaveLength(3);
  });
});
