import { describe, expect, it } from '@jest/globals';
import type { Operation } from '../../src/domain/plan/types.js';
import { brand } from '../../src/domain/process/ids.js';
import type { Instant } from '../../src/domain/process/ids.js';
import { actionsOf } from '../../src/report/actions.js';
import type { EvidenceFacts, VisitFacts } from '../../src/report/actions.js';

const at = (time: string): Instant => brand<Instant>(`2026-03-02T${time}.000Z`);
const seal: Operation = {
  key: 'directory/seal',
  kind: 'seal',
  reasons: [],
  needsApproval: false,
  deadlineAt: at('12:01:00'),
};
const seen = (check: string, verdict: EvidenceFacts['verdict'], time: string, key = seal.key): EvidenceFacts => ({
  operationKey: key,
  check,
  road: 'test',
  verdict,
  code: 'x',
  seenHash: '',
  residual: null,
  residualUntil: null,
  at: at(time),
});
const visit = (evidence: readonly EvidenceFacts[], more: Partial<VisitFacts> = {}): VisitFacts => ({
  application: 'directory',
  login: 'ada',
  phase: 'cut',
  tier: 'T1',
  plannedAt: at('12:00:00'),
  outcome: 'proven',
  operations: [seal],
  evidence,
  ...more,
});
const outcome = (...visits: readonly VisitFacts[]) => {
  const [action] = actionsOf(visits, at('13:00:00'));
  return [action?.state, action?.deadline, action?.provenAt?.slice(11, 19)];
};

describe('an action of a report', () => {
  it('is proven when the last of its checks holds, and its deadline is that of the proof', () => {
    expect(outcome(visit([seen('state', 'proven', '12:00:10'), seen('sign-in', 'proven', '12:00:40')]))).toEqual([
      'proven',
      'met',
      '12:00:40',
    ]);
    expect(outcome(visit([seen('state', 'proven', '12:00:10'), seen('sign-in', 'proven', '12:01:01')]))).toEqual([
      'proven',
      'missed',
      '12:01:01',
    ]);
  });

  it('is not proven by an older proof that was refuted later', () => {
    const back = [seen('sign-in', 'proven', '12:00:10'), seen('sign-in', 'refuted', '12:30:00')];
    expect(outcome(visit(back))).toEqual(['refuted', 'missed', undefined]);
    expect(outcome(visit([...back, seen('sign-in', 'proven', '12:40:00')]))).toEqual(['proven', 'missed', '12:40:00']);
  });

  it('is one action however often it was planned; a later look that holds does not make it late', () => {
    const first = visit([seen('sign-in', 'proven', '12:00:10')]);
    const again = visit([seen('sign-in', 'proven', '12:15:00')], { plannedAt: at('12:14:00') });
    expect(actionsOf([first, again], at('13:00:00'))).toHaveLength(1);
    expect(outcome(first, again)).toEqual(['proven', 'met', '12:00:10']);
  });

  it('is open without evidence, skipped on a word, attested by hand, unproven where nobody can look', () => {
    expect(outcome(visit([], { outcome: null }))).toEqual(['open', 'missed', undefined]);
    expect(outcome(visit([], { outcome: 'skipped' }))).toEqual(['skipped', 'missed', undefined]);
    expect(outcome(visit([seen('attested', 'proven', '12:00:30')], { outcome: 'by-hand' }))).toEqual([
      'attested',
      'met',
      '12:00:30',
    ]);
    expect(outcome(visit([seen('sign-in', 'unprovable', '12:00:30')], { outcome: 'unprovable' }))).toEqual([
      'unprovable',
      'unproven',
      undefined,
    ]);
  });

  it('is proven by the absence of its account, and left out when something newer took its place', () => {
    const gone = seen('absence', 'proven', '12:00:20', 'directory/account');
    expect(outcome(visit([gone], { outcome: 'absent' }))).toEqual(['proven', 'met', '12:00:20']);
    expect(actionsOf([visit([], { outcome: 'stopped' })], at('13:00:00'))).toEqual([]);
  });
});
