import { describe, expect, it } from '@jest/globals';
import type { EvidenceView, IdentityView, ProcessView } from '../../../src/embedded/story/answers.js';
import { storyTable } from '../../../src/embedded/story/report.js';
import { ahead, doubts, openPoints, proofsOf } from '../../../src/embedded/story/state.js';

const NOW = '2026-11-23T12:00:00.000Z';
const LATER = '2026-11-30T23:00:00.000Z';

function process(change: Partial<ProcessView> = {}): ProcessView {
  return {
    processId: 'e/joiner/1/r1',
    kind: 'joiner',
    state: 'completed',
    phase: 'activate',
    effectiveAt: NOW,
    dueAt: null,
    blockedOn: null,
    outcome: 'provisioned',
    openedAt: NOW,
    ...change,
  };
}

function person(change: Partial<IdentityView> = {}): IdentityView {
  return {
    identityId: 'i',
    displayName: 'Vin Geese',
    userName: 'vin.geese',
    lifecycle: 'active',
    nextDueAt: null,
    employments: [{ zone: 'Australia/Melbourne', startOn: '2026-11-23' }],
    upcoming: [],
    accounts: [],
    processes: [process()],
    ...change,
  };
}

function proof(change: Partial<EvidenceView> = {}): EvidenceView {
  return {
    at: NOW,
    processId: 'e/joiner/1/r1',
    application: 'directory',
    phase: 'activate',
    operation: 'directory/enable',
    check: 'state',
    verdict: 'proven',
    code: 'ok',
    ...change,
  };
}

describe('a target where no sign-in can be tried', () => {
  const unprovable = proof({ check: 'sign-in', verdict: 'unprovable', code: 'no-probe' });

  it('is proven by reading alone, and open when even that is missing', () => {
    expect(proofsOf([proof(), unprovable])).toEqual({ proven: 1, open: [] });
    expect(proofsOf([unprovable]).open).toEqual([unprovable]);
    expect(proofsOf([proof({ operation: 'directory/other' }), unprovable]).open).toEqual([unprovable]);
  });

  it('stays open for any other reason', () => {
    const other = { ...unprovable, code: 'probe-unknown' };
    expect(proofsOf([proof(), other]).open).toEqual([other]);
  });
});

describe('what is open', () => {
  it('is nothing when what had to begin has ended', () => {
    expect(openPoints(person(), ['joiner'], NOW)).toEqual([]);
  });

  it.each([
    ['a process that never began', person({ processes: [] }), 'joiner has not begun'],
    ['one that works', person({ processes: [process({ state: 'running' })] }), 'joiner is in phase activate'],
    [
      'one that waits for a person',
      person({ processes: [process({ state: 'running', blockedOn: 'approval', dueAt: LATER })] }),
      'joiner is in phase activate, waits for approval',
    ],
    [
      'one whose date has come',
      person({ processes: [process({ state: 'running', blockedOn: 'date', dueAt: NOW })] }),
      'joiner is in phase activate, waits for date',
    ],
    [
      'something due that nobody took up',
      person({ nextDueAt: NOW }),
      `something is due since ${NOW} and has not begun`,
    ],
  ])('is %s', (_, view, text) => {
    expect(openPoints(view, ['joiner'], NOW)).toEqual([text]);
  });

  it.each(['date', 'grace-period', 'retention'])('is not a wait for a %s that lies ahead', (blockedOn) => {
    const waiting = process({ state: blockedOn === 'retention' ? 'tail' : 'running', blockedOn, dueAt: LATER });
    expect(openPoints(person({ processes: [waiting] }), ['joiner'], NOW)).toEqual([]);
  });
});

describe('proofs', () => {
  it('count by the latest verdict of each check', () => {
    const rows = [proof({ verdict: 'pending', code: 'settling' }), proof(), proof({ check: 'sign-in' })];
    expect(proofsOf(rows)).toEqual({ proven: 2, open: [] });
    expect(doubts(person(), rows)).toEqual([]);
  });

  it.each(['refuted', 'pending', 'unprovable'] as const)('leave a doubt when the last word is %s', (verdict) => {
    const rows = [proof(), proof({ verdict, code: 'planted' })];
    expect(doubts(person(), rows)).toEqual([`directory activate directory/enable: ${verdict} (planted)`]);
  });

  it('leave a doubt when a process has none at all', () => {
    expect(doubts(person(), [])).toEqual(['joiner left no proof']);
    const cancelled = process({ state: 'cancelled', outcome: 'cut' });
    expect(doubts(person({ processes: [cancelled] }), [])).toEqual([]);
  });
});

describe('what is still to come', () => {
  it('has each instant once, soonest first, in words', () => {
    const waiting = process({ kind: 'mover', state: 'running', blockedOn: 'grace-period', dueAt: LATER });
    const upcoming = [{ kind: 'leaver', effectiveAt: '2027-01-07T13:00:00.000Z' }];
    expect(ahead(person({ processes: [waiting], upcoming }), NOW)).toEqual([
      { at: LATER, what: 'old access ends' },
      { at: '2027-01-07T13:00:00.000Z', what: 'access ends' },
    ]);
  });

  it('says when a start is prepared', () => {
    const upcoming = [{ kind: 'joiner', effectiveAt: '2026-12-12T23:00:00.000Z' }];
    const view = person({ processes: [], upcoming, nextDueAt: '2026-12-09T23:00:00.000Z' });
    expect(ahead(view, NOW).map(({ what }) => what)).toEqual(['preparation begins', 'first day: access opens']);
  });

  it('is shown in local time and UTC, with what is wrong beside what happened', () => {
    const upcoming = [{ kind: 'leaver', effectiveAt: '2027-01-07T13:00:00.000Z' }];
    const table = storyTable([{ view: person({ upcoming }), evidence: [proof()], wrong: ['planted'] }], NOW, 150);
    expect(table).toContain('2027-01-08 00:00 Australia/Melbourne');
    expect(table).toContain('(2027-01-07T13:00Z)');
    expect(table).toContain('! planted');
    expect(table).toContain('1 proven');
  });
});
