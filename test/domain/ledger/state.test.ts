import { describe, expect, it } from '@jest/globals';
import { breakpoints, stateAt } from '../../../src/domain/ledger/state.js';
import type { Fact } from '../../../src/domain/ledger/types.js';
import { MELBOURNE, NEW_YORK, back, change, date, end, fact, hire, instant, leave, withdraw } from './lives.js';

const lifecycleAt = (facts: readonly Fact[], at: string): string => stateAt(facts, instant(at)).lifecycle;
const joined = fact('h', hire('2026-01-01', { zone: MELBOURNE, attributes: { givenName: 'Ada' }, manager: 'm-1' }));

describe('state at an instant', () => {
  it('1: begins and ends with the work location’s days', () => {
    const facts = [joined, fact('e', end('2026-05-14'))];
    expect(breakpoints(facts)).toEqual(['2025-12-31T13:00:00.000Z', '2026-05-14T14:00:00.000Z']);
    expect(lifecycleAt(facts, '2025-12-31T12:59:59.999Z')).toBe('pre-hire');
    expect(lifecycleAt(facts, '2025-12-31T13:00:00.000Z')).toBe('active');
    expect(lifecycleAt(facts, '2026-05-14T13:59:59.999Z')).toBe('active');
    expect(lifecycleAt(facts, '2026-05-14T14:00:00.000Z')).toBe('left');
  });

  it('1: the zone of the last working day is the one in force then, after a move to another location', () => {
    const facts = [joined, fact('c', change('2026-03-01', { zone: NEW_YORK })), fact('e', end('2026-05-14'))];
    expect(stateAt(facts, instant('2026-02-01T00:00:00.000Z')).primary?.accessEndsAt).toBe('2026-05-15T04:00:00.000Z');
    expect(stateAt(facts, instant('2026-04-01T00:00:00.000Z')).primary?.zone).toBe(NEW_YORK);
  });

  it('3: access follows the last working day; notice makes the person leaving', () => {
    const facts = [joined, fact('e', end('2026-05-14', { noticeOn: date('2026-04-01') }))];
    expect(lifecycleAt(facts, '2026-03-31T12:59:59.999Z')).toBe('active');
    expect(lifecycleAt(facts, '2026-03-31T13:00:00.000Z')).toBe('leaving');
  });

  it('an immediate end cuts at its instant', () => {
    const facts = [
      joined,
      fact('e', end('2026-05-14', { manner: 'immediate', at: instant('2026-05-14T03:12:00.000Z') })),
    ];
    expect(lifecycleAt(facts, '2026-05-14T03:11:59.999Z')).toBe('active');
    expect(lifecycleAt(facts, '2026-05-14T03:12:00.000Z')).toBe('left');
  });

  it('of two ends that do not correct one another the one that cuts first holds (an immediate cut during notice)', () => {
    const cut = fact('cut', end('2026-05-01', { manner: 'immediate', at: instant('2026-05-01T08:00:00.000Z') }));
    const facts = [joined, fact('e', end('2026-05-14'), { version: 7 }), cut];
    expect(stateAt(facts, instant('2026-04-01T00:00:00.000Z')).primary?.accessEndsAt).toBe('2026-05-01T08:00:00.000Z');
  });

  it('46: an old fact never overrides a newer effective one, whatever its version', () => {
    const newer = fact('c2', change('2026-04-01', { attributes: { department: 'Legal' } }));
    const older = fact('c1', change('2026-02-01', { attributes: { department: 'Tax', title: 'Lead' } }), {
      version: 99,
    });
    const state = stateAt([joined, newer, older], instant('2026-06-01T00:00:00.000Z'));
    expect(state.primary?.attributes).toMatchObject({ department: 'Legal', title: 'Lead', givenName: 'Ada' });
    expect(state.primary?.because).toEqual([joined.factId, older.factId, newer.factId]);
  });

  it('48: null clears, absence leaves as it is', () => {
    const cleared = fact('c', change('2026-02-01', { manager: null, attributes: { title: null } }));
    const state = stateAt([joined, cleared], instant('2026-06-01T00:00:00.000Z'));
    expect(state.primary?.attributes).toMatchObject({ title: null, department: 'Sales' });
    expect(state.primary?.manager).toBeNull();
    expect(stateAt([joined], instant('2026-06-01T00:00:00.000Z')).primary?.manager).toBe('m-1');
  });

  it('9: an end before the start, and a withdrawn hire, make an employment that never was', () => {
    const noShow = [joined, fact('e', end('2025-12-31'))];
    const withdrawn = [joined, fact('w', withdraw, { corrects: 'h', version: 2 })];
    for (const facts of [noShow, withdrawn]) {
      const state = stateAt(facts, instant('2026-02-01T00:00:00.000Z'));
      expect(state.lifecycle).toBe('none');
      expect(state.primary).toBeUndefined();
      expect(state.employments.map((one) => one.status)).toEqual(['rescinded']);
      expect(breakpoints(facts)).toEqual([]);
    }
    expect(stateAt([fact('c', change('2026-02-01', {}))], instant('2026-03-01T00:00:00.000Z')).employments).toEqual([]);
  });

  it('leave suspends until the return, not until it is expected to end', () => {
    const facts = [joined, fact('l', leave('2026-02-01'))];
    expect(lifecycleAt(facts, '2026-12-01T00:00:00.000Z')).toBe('suspended');
    const returned = [...facts, fact('r', back('2026-03-01'))];
    expect(lifecycleAt(returned, '2026-02-28T12:59:59.999Z')).toBe('suspended');
    expect(lifecycleAt(returned, '2026-02-28T13:00:00.000Z')).toBe('active');
    const prolonged = [...returned, fact('l2', leave('2026-03-01'))];
    expect(lifecycleAt(prolonged, '2026-04-01T00:00:00.000Z')).toBe('suspended');
    expect(
      lifecycleAt([joined, fact('l', leave('2026-02-01')), fact('r', back('2026-02-01'))], '2026-02-15T00:00:00.000Z'),
    ).toBe('active');
  });

  it('44: one of two employments ends and the person stays active; HR’s word decides the primary one', () => {
    const second = fact('h2', hire('2026-02-01', { primary: true }), { employment: 'emp-2' });
    const facts = [joined, second, fact('e', end('2026-05-14'))];
    expect(stateAt(facts, instant('2026-01-15T00:00:00.000Z')).primary?.employmentId).toBe('emp-1');
    const both = stateAt(facts, instant('2026-03-01T00:00:00.000Z'));
    expect(both.employments.map((one) => [one.employmentId, one.status, one.isPrimary])).toEqual([
      ['emp-1', 'active', false],
      ['emp-2', 'active', true],
    ]);
    expect(lifecycleAt(facts, '2026-06-01T00:00:00.000Z')).toBe('active');
    const unsaid = [joined, fact('h2', hire('2026-02-01'), { employment: 'emp-0' })];
    expect(stateAt(unsaid, instant('2026-03-01T00:00:00.000Z')).primary?.employmentId).toBe('emp-1');
  });

  it('44: notice for one of two employments is not notice for the person', () => {
    const second = fact('h2', hire('2026-02-01'), { employment: 'emp-2' });
    const noticed = fact('e', end('2026-05-14', { noticeOn: date('2026-04-01') }));
    expect(lifecycleAt([joined, second, noticed], '2026-05-01T00:00:00.000Z')).toBe('active');
    const secondEnds = fact('e2', end('2026-05-01'), { employment: 'emp-2' });
    expect(lifecycleAt([joined, second, noticed, secondEnds], '2026-04-20T00:00:00.000Z')).toBe('active');
    expect(lifecycleAt([joined, second, noticed, secondEnds], '2026-05-02T00:00:00.000Z')).toBe('leaving');
  });

  it('45: a transfer from Melbourne to New York leaves no gap in the sixteen hours between the two midnights', () => {
    const facts = [
      joined,
      fact('e', end('2026-05-14')),
      fact('h2', hire('2026-05-15', { zone: NEW_YORK }), { employment: 'emp-2' }),
    ];
    expect(lifecycleAt(facts, '2026-05-14T20:00:00.000Z')).toBe('active');
    expect(stateAt(facts, instant('2026-05-14T20:00:00.000Z')).primary?.employmentId).toBe('emp-1');
    expect(stateAt(facts, instant('2026-05-15T04:00:00.000Z')).primary?.employmentId).toBe('emp-2');
    const cut = fact('e', end('2026-05-14', { manner: 'immediate', at: instant('2026-05-14T03:00:00.000Z') }));
    expect(lifecycleAt([facts[0] as Fact, cut, facts[2] as Fact], '2026-05-14T20:00:00.000Z')).toBe('pre-hire');
  });

  it('42: the do-not-rehire flag holds from the last working day on and blocks nothing before', () => {
    const facts = [joined, fact('e', end('2026-05-14', { doNotRehire: true }))];
    expect(stateAt(facts, instant('2026-05-01T00:00:00.000Z')).doNotRehire).toBe(false);
    expect(stateAt(facts, instant('2026-05-14T14:00:00.000Z')).doNotRehire).toBe(true);
  });

  it('a contract end of 9999-12-31 means none', () => {
    expect(
      stateAt([fact('h', hire('2026-01-01', { endOn: date('9999-12-31') }))], instant('2026-02-01T00:00:00.000Z'))
        .primary,
    ).not.toHaveProperty('accessEndsAt');
  });
});
