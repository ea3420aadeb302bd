import { describe, expect, it } from '@jest/globals';
import { stateAt } from '../../../src/domain/ledger/state.js';
import { deriveTransitions } from '../../../src/domain/ledger/transitions.js';
import type { Fact } from '../../../src/domain/ledger/types.js';
import { absenceAt, suspendsAt } from '../../../src/domain/lifecycle/leave.js';
import { date, fact, hire, instant } from '../plan/fixtures.js';

const POLICY = { extendedFromDays: 30 };
const leave = (startOn: string, expectedEndOn?: string, employment = 'e-1') =>
  fact(employment, {
    kind: 'leave',
    startOn: date(startOn),
    ...(expectedEndOn === undefined ? {} : { expectedEndOn: date(expectedEndOn) }),
  });
const back = (on: string, employment = 'e-1') => fact(employment, { kind: 'return', on: date(on) });
const hired = hire('e-1', '2026-01-01', {});
const startsOf = (facts: readonly Fact[]) =>
  deriveTransitions(facts)
    .filter((one) => one.kind === 'leave-start')
    .map((one) => suspendsAt(one, POLICY));
const absence = (facts: readonly Fact[], at: string) =>
  absenceAt(stateAt(facts, instant(at)), deriveTransitions(facts), POLICY);

/** Midnight in Berlin, in winter. */
const FIRST_DAY = '2026-02-01T23:00:00.000Z';

describe('when a leave closes accounts', () => {
  it('with its first day where it is as long as policy says, the last day counted, and also where nobody said how long', () => {
    expect(startsOf([hired, leave('2026-02-02', '2026-03-03')])).toEqual([FIRST_DAY]);
    expect(startsOf([hired, leave('2026-02-02')])).toEqual([FIRST_DAY]);
    expect(startsOf([hired, leave('2026-02-02'), back('2026-03-04')])).toEqual([FIRST_DAY]);
  });

  it('a day shorter, only when it has lasted as long all the same', () => {
    expect(startsOf([hired, leave('2026-02-02', '2026-03-02')])).toEqual(['2026-03-03T23:00:00.000Z']);
  });

  it('never, when HR has stated an earlier return', () => {
    expect(startsOf([hired, leave('2026-02-02', '2026-06-01'), back('2026-03-03')])).toEqual([undefined]);
  });

  it('counts calendar days: the night on which clocks go forward makes no leave shorter', () => {
    expect(startsOf([hired, leave('2026-03-02', '2026-03-31')])).toEqual(['2026-03-01T23:00:00.000Z']);
  });

  it('and a new word on its length is no other transition to a process that is done', () => {
    const digests = [leave('2026-02-02', '2026-03-10'), leave('2026-02-02', '2026-09-10')].map(
      (one) => deriveTransitions([hired, one]).find((transition) => transition.kind === 'leave-start')?.digest,
    );
    expect(digests[0]).toBe(digests[1]);
  });
});

describe('how far somebody is away', () => {
  it('wholly during an extended leave, and not before, after, or on a short one', () => {
    const facts = [hired, leave('2026-02-02', '2026-06-01'), back('2026-06-02')];
    expect(absence(facts, '2026-02-01T12:00:00.000Z')).toBe('none');
    expect(absence(facts, '2026-02-02T12:00:00.000Z')).toBe('wholly');
    expect(absence(facts, '2026-06-02T12:00:00.000Z')).toBe('none');
    expect(absence([hired, leave('2026-02-02', '2026-02-06')], '2026-02-03T12:00:00.000Z')).toBe('none');
  });

  it('partly while another employment goes on, and as long as one of two leaves is a short one, not at all', () => {
    const second = hire('e-2', '2026-01-01', {});
    expect(absence([hired, second, leave('2026-02-02')], '2026-02-03T12:00:00.000Z')).toBe('partly');
    const both = [hired, second, leave('2026-02-02'), leave('2026-02-02', '2026-02-09', 'e-2')];
    expect(absence(both, '2026-02-03T12:00:00.000Z')).toBe('none');
    expect(absence(both, '2026-03-05T12:00:00.000Z')).toBe('wholly');
  });

  it('not at all for somebody who has left', () => {
    const end = fact('e-1', { kind: 'end', lastWorkingDay: date('2026-02-20'), manner: 'voluntary' });
    expect(absence([hired, leave('2026-02-02'), end], '2026-03-01T00:00:00.000Z')).toBe('none');
  });
});
