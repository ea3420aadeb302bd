import { describe, expect, it } from '@jest/globals';
import { deriveTransitions } from '../../../src/domain/ledger/transitions.js';
import type { Fact, Transition } from '../../../src/domain/ledger/types.js';
import { NEW_YORK, back, change, date, end, fact, hire, instant, leave, withdraw } from './lives.js';

/** One line per transition: id, local day of effect in UTC, and whether it was cancelled. */
function lines(facts: readonly Fact[]): string[] {
  return deriveTransitions(facts).map(
    (one) => `${one.id} ${one.effectiveAt.slice(0, 10)}${one.status === 'cancelled' ? ' cancelled' : ''}`,
  );
}

function byId(facts: readonly Fact[], id: string): Transition {
  const found = deriveTransitions(facts).find((one) => one.id === id);
  if (found === undefined) throw new Error(`no transition ${id}`);
  return found;
}

const joined = fact('h', hire('2026-01-01'));
const left = fact('e', end('2026-08-31', { noticeOn: date('2026-06-01') }));

describe('joiner and leaver', () => {
  it('a life has its transitions in order, with notice and manner', () => {
    expect(lines([left, joined])).toEqual(['emp-1/joiner/1 2025-12-31', 'emp-1/leaver/1 2026-08-31']);
    expect(byId([joined, left], 'emp-1/leaver/1')).toMatchObject({
      effectiveAt: '2026-08-31T22:00:00.000Z',
      noticeAt: '2026-05-31T22:00:00.000Z',
      manner: 'voluntary',
      movedFrom: [],
      because: [left.factId],
    });
  });

  it('4: a leaver that is moved, twice, keeps its id and says from where', () => {
    const later = fact('e2', end('2026-09-30'), { corrects: 'e', version: 2 });
    const earlier = fact('e3', end('2026-07-31'), { corrects: 'e2', version: 3 });
    const before = byId([joined, left], 'emp-1/leaver/1');
    const after = byId([earlier, joined, later, left], 'emp-1/leaver/1');
    expect(after).toMatchObject({ effectiveAt: '2026-07-31T22:00:00.000Z', status: 'standing' });
    expect(after.movedFrom).toEqual(['2026-08-31T22:00:00.000Z', '2026-09-30T22:00:00.000Z']);
    expect(after.digest).not.toBe(before.digest);
    expect(lines([earlier, joined, later, left])).toHaveLength(2);
  });

  it('4: a cancelled leaver stays in sight, and the same one stands again when it is re-stated', () => {
    const cancelled = fact('w', withdraw, { corrects: 'e', version: 2 });
    expect(lines([joined, left, cancelled])).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-08-31 cancelled',
    ]);
    expect(byId([joined, left, cancelled], 'emp-1/leaver/1').because).toEqual([left.factId, cancelled.factId]);
    const restated = fact('e9', end('2026-10-31'), { version: 3 });
    expect(byId([joined, left, cancelled, restated], 'emp-1/leaver/1')).toMatchObject({
      status: 'standing',
      effectiveAt: '2026-10-31T23:00:00.000Z',
      movedFrom: ['2026-08-31T22:00:00.000Z'],
    });
  });

  it('7: a start date that moves is the same joiner', () => {
    const moved = fact('h2', hire('2026-02-01'), { corrects: 'h', version: 2 });
    expect(lines([joined, moved])).toEqual(['emp-1/joiner/1 2026-01-31']);
    expect(byId([moved, joined], 'emp-1/joiner/1').movedFrom).toEqual(['2025-12-31T23:00:00.000Z']);
  });

  it('9: a withdrawn hire cancels its joiner and is undone at once; so is an end before the start', () => {
    const expected = ['emp-1/rescinded-hire/1 1970-01-01', 'emp-1/joiner/1 2025-12-31 cancelled'];
    const withdrawn = [joined, fact('w', withdraw, { corrects: 'h', version: 2 })];
    expect(lines(withdrawn)).toEqual(expected);
    expect(byId(withdrawn, 'emp-1/rescinded-hire/1').because).toEqual(['fact-h-1', 'fact-w-2']);
    expect(lines([joined, fact('e', end('2025-12-31'))])).toEqual(expected);
    const restored = fact('w2', withdraw, { corrects: 'w', version: 3 });
    expect(lines([...withdrawn, restored])).toEqual([
      'emp-1/rescinded-hire/1 1970-01-01 cancelled',
      'emp-1/joiner/1 2025-12-31',
    ]);
  });

  it('9: a hire stated anew after a withdrawal is the next spell, or the same one for the same day', () => {
    const withdrawal = fact('w', withdraw, { corrects: 'h', version: 2 });
    const later = fact('h2', hire('2026-03-01'), { version: 3 });
    expect(lines([joined, withdrawal, later])).toEqual([
      'emp-1/rescinded-hire/1 1970-01-01',
      'emp-1/joiner/1 2025-12-31 cancelled',
      'emp-1/joiner/2 2026-02-28',
    ]);
    const sameDay = fact('h2', hire('2026-01-01', { attributes: { title: 'Lead' } }), { version: 3 });
    expect(lines([joined, withdrawal, sameDay])).toEqual(['emp-1/joiner/1 2025-12-31']);
  });

  it('a contract end is a leaver; an extension moves it, an open contract cancels it', () => {
    const contractor = fact('h', hire('2026-01-01', { worker: 'contractor', endOn: date('2026-03-31') }));
    const longer = fact('x1', change('2026-03-01', { endOn: date('2026-06-30') }));
    const longest = fact('x2', change('2026-06-15', { endOn: date('2026-09-30') }));
    expect(byId([contractor], 'emp-1/leaver/1')).toMatchObject({
      manner: 'contract-end',
      effectiveAt: '2026-03-31T22:00:00.000Z',
    });
    expect(byId([longest, contractor, longer], 'emp-1/leaver/1')).toMatchObject({
      effectiveAt: '2026-09-30T22:00:00.000Z',
      movedFrom: ['2026-03-31T22:00:00.000Z', '2026-06-30T22:00:00.000Z'],
    });
    expect(lines([contractor, fact('x', change('2026-02-01', { endOn: null }))])).toEqual([
      'emp-1/joiner/1 2025-12-31',
      // Accounts that expire by themselves have to follow.
      'emp-1/mover/1 2026-01-31',
      'emp-1/leaver/1 2026-03-31 cancelled',
    ]);
    const resigned = byId([contractor, fact('e', end('2026-02-28'))], 'emp-1/leaver/1');
    expect(resigned).toMatchObject({ manner: 'voluntary', movedFrom: ['2026-03-31T22:00:00.000Z'] });
  });

  it('an extension months after the contract ended does not leave access open in between', () => {
    const contractor = fact('h', hire('2026-01-01', { worker: 'contractor', endOn: date('2026-03-31') }));
    expect(lines([contractor, fact('x', change('2026-06-01', { endOn: date('2026-12-31') }))])).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-03-31',
    ]);
    expect(lines([contractor, fact('x', change('2026-04-01', { endOn: date('2026-12-31') }))])).toContain(
      'emp-1/leaver/1 2026-12-31',
    );
  });
});

describe('rehire', () => {
  it('36: a return under the same employment is its second spell; the first leaver stays what it was', () => {
    const facts = [joined, left, fact('h2', hire('2026-10-30'))];
    expect(lines(facts)).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-08-31',
      'emp-1/rehire/2 2026-10-29',
    ]);
    expect(byId(facts, 'emp-1/leaver/1').digest).toBe(byId([joined, left], 'emp-1/leaver/1').digest);
    expect(lines([...facts, fact('e2', end('2027-01-31'))])).toContain('emp-1/leaver/2 2027-01-31');
  });

  it('39: the second spell begins anew: what was stated of the first one does not carry over', () => {
    const facts = [joined, fact('c', change('2026-02-01', { attributes: { 'custom.badge': 'gold' } })), left];
    const early = fact('c2', change('2026-10-01', { attributes: { title: 'Lead' } }));
    const returned = fact('h2', hire('2026-10-30', { attributes: { department: 'Tax' } }));
    const rehire = byId([...facts, early, returned], 'emp-1/rehire/2');
    const plain = byId([joined, left, early, returned], 'emp-1/rehire/2');
    expect(rehire.digest).toBe(plain.digest);
    expect(rehire.digest).not.toBe(byId([joined, left, returned], 'emp-1/rehire/2').digest);
  });

  it('40, 41: a return under a new employment number is a rehire of that employment, after the leaver', () => {
    const facts = [joined, left, fact('h2', hire('2026-09-15'), { employment: 'emp-2' })];
    expect(lines(facts).filter((line) => !line.endsWith('cancelled'))).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-08-31',
      'emp-2/rehire/1 2026-09-14',
    ]);
  });

  it('42: do-not-rehire is part of what the rehire acts on', () => {
    const flagged = fact('e', end('2026-08-31', { noticeOn: date('2026-06-01'), doNotRehire: true }));
    const returned = fact('h2', hire('2026-10-30'));
    expect(byId([joined, flagged, returned], 'emp-1/rehire/2').digest).not.toBe(
      byId([joined, left, returned], 'emp-1/rehire/2').digest,
    );
  });

  it('36: a no-show of the second spell rescinds that spell, not the first', () => {
    const facts = [joined, left, fact('h2', hire('2026-10-30')), fact('e2', end('2026-10-29'))];
    expect(lines(facts)).toEqual([
      'emp-1/rescinded-hire/2 1970-01-01',
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-08-31',
      'emp-1/rehire/2 2026-10-29 cancelled',
    ]);
  });
});

describe('mover, name change, conversion', () => {
  it('24: a change of names alone is a name change; with anything else it is one mover', () => {
    const married = fact('c1', change('2026-02-01', { attributes: { familyName: 'Berg', displayName: 'Ada Berg' } }));
    const promoted = fact('c2', change('2026-02-01', { attributes: { title: 'Lead' } }));
    expect(byId([joined, married], 'emp-1/name-change/1').changed).toEqual(['displayName', 'familyName']);
    expect(lines([joined, married, promoted])).toEqual(['emp-1/joiner/1 2025-12-31', 'emp-1/mover/1 2026-01-31']);
    expect(byId([joined, married, promoted], 'emp-1/mover/1').changed).toEqual(['displayName', 'familyName', 'title']);
    expect(lines([joined, fact('c', change('2026-02-01', { attributes: { department: 'Sales' } }))])).toHaveLength(1);
  });

  it('26: manager, country, company and custom attributes make a mover', () => {
    for (const part of [
      { manager: 'm-2' },
      { attributes: { country: 'AT' } },
      { attributes: { company: 'GmbH' } },
      { attributes: { 'custom.level': '3' } },
      { attributes: { title: null } },
    ]) {
      expect(lines([joined, fact('c', change('2026-02-01', part))])).toContain('emp-1/mover/1 2026-01-31');
    }
  });

  it('a late retroactive mover takes its place by date and shifts the ordinals after it', () => {
    const march = fact('c1', change('2026-03-01', { attributes: { title: 'Lead' } }));
    const retroactive = fact('c0', change('2026-02-01', { attributes: { department: 'Tax' } }), { version: 5 });
    const alone = byId([joined, march], 'emp-1/mover/1');
    const both = [joined, march, retroactive];
    expect(lines(both).slice(1)).toEqual(['emp-1/mover/1 2026-01-31', 'emp-1/mover/2 2026-02-28']);
    expect(byId(both, 'emp-1/mover/1').digest).not.toBe(alone.digest);
    expect(byId(both, 'emp-1/mover/1').movedFrom).toEqual([]);
    expect(byId(both, 'emp-1/mover/2').digest).toBe(alone.digest);
  });

  it('23: a withdrawn change is a cancelled mover, a moved one has moved', () => {
    const moved = fact('c', change('2026-02-01', { attributes: { title: 'Lead' } }));
    expect(lines([joined, moved, fact('w', withdraw, { corrects: 'c', version: 2 })])).toContain(
      'emp-1/mover/1 2026-01-31 cancelled',
    );
    const again = fact('c2', change('2026-04-01', { attributes: { title: 'Lead' } }), { corrects: 'c', version: 2 });
    expect(byId([joined, moved, again], 'emp-1/mover/1')).toMatchObject({
      effectiveAt: '2026-03-31T22:00:00.000Z',
      movedFrom: ['2026-01-31T23:00:00.000Z'],
    });
  });

  it('27: a mover and a leaver on one day: the leaver wins, the mover is cancelled', () => {
    const mover = fact('c', change('2026-09-01', { attributes: { title: 'Lead' } }));
    expect(lines([joined, left, mover])).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-08-31',
      'emp-1/mover/1 2026-08-31 cancelled',
    ]);
    const laterMover = fact('c', change('2026-10-01', { attributes: { title: 'Lead' } }));
    expect(lines([joined, left, laterMover])).toContain('emp-1/mover/1 2026-09-30 cancelled');
  });

  it('52: fifty changes of one day are one mover', () => {
    const storm = Array.from({ length: 50 }, (_, index) =>
      fact(`c${index}`, change('2026-02-01', { attributes: { title: `T${index}` } }), { version: index + 1 }),
    );
    expect(lines([joined, ...storm])).toEqual(['emp-1/joiner/1 2025-12-31', 'emp-1/mover/1 2026-01-31']);
  });

  it('43: contractor to employee in one employment is a conversion, and the contract’s end falls', () => {
    const contractor = fact('h', hire('2026-01-01', { worker: 'contractor', endOn: date('2026-03-31') }));
    const converted = fact('c', change('2026-04-01', { worker: 'employee' }));
    expect(lines([contractor, converted])).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/leaver/1 2026-03-31 cancelled',
      'emp-1/conversion/1 2026-03-31',
    ]);
  });

  it('43: contractor to employee by two engagements without a gap is a conversion too', () => {
    const contractor = fact('h', hire('2026-01-01', { worker: 'contractor', endOn: date('2026-03-31') }));
    const employee = fact('h2', hire('2026-04-01'), { employment: 'emp-2' });
    expect(lines([employee, contractor]).filter((line) => !line.endsWith('cancelled'))).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-2/conversion/1 2026-03-31',
    ]);
    expect(lines([employee, contractor])).toContain('emp-1/leaver/1 2026-03-31 cancelled');
  });

  it('45: a transfer between legal entities is a mover, on the next day and on the same day, also across zones', () => {
    for (const startOn of ['2026-09-01', '2026-08-31']) {
      const transferred = fact('h2', hire(startOn, { attributes: { company: 'Inc' } }), { employment: 'emp-2' });
      const standing = deriveTransitions([joined, left, transferred]).filter((one) => one.status === 'standing');
      expect(standing.filter((one) => one.kind === 'leaver' || one.kind === 'rehire')).toEqual([]);
      expect(standing.find((one) => one.id === 'emp-2/mover/1')?.changed).toContain('employments');
    }
    const overseas = fact('h2', hire('2026-09-01', { zone: NEW_YORK }), { employment: 'emp-2' });
    expect(byId([joined, left, overseas], 'emp-2/mover/1').effectiveAt).toBe('2026-09-01T04:00:00.000Z');
    expect(byId([joined, left, overseas], 'emp-1/leaver/1').status).toBe('cancelled');
  });

  it('45: two days apart it is a leaver and a rehire', () => {
    const later = fact('h2', hire('2026-09-02'), { employment: 'emp-2' });
    expect(lines([joined, left, later])).toContain('emp-2/rehire/1 2026-09-01');
    expect(lines([joined, left, later])).toContain('emp-1/leaver/1 2026-08-31');
  });

  it('44: the end of one of two employments is a mover, that of the last one a leaver', () => {
    const second = fact('h2', hire('2026-02-01'), { employment: 'emp-2' });
    const secondEnds = fact('e2', end('2026-10-31'), { employment: 'emp-2' });
    const standing = lines([joined, second, left, secondEnds]).filter((line) => !line.endsWith('cancelled'));
    expect(standing).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/mover/1 2026-01-31',
      'emp-2/mover/1 2026-08-31',
      'emp-2/leaver/1 2026-10-31',
    ]);
  });

  it('44: a rescinded second employment undoes nothing while the first one goes on', () => {
    const second = fact('h2', hire('2026-02-01'), { employment: 'emp-2' });
    const withdrawal = fact('w', withdraw, { employment: 'emp-2', corrects: 'h2', version: 2 });
    expect(lines([joined, second, withdrawal])).toEqual([
      'emp-1/joiner/1 2025-12-31',
      'emp-1/mover/1 2026-01-31 cancelled',
    ]);
  });
});

describe('leave of absence', () => {
  it('starts and ends, and each next one has the next number', () => {
    const facts = ['2026-02-01', '2026-05-01'].flatMap((day, index) => [
      fact(`l${index}`, leave(day)),
      fact(`r${index}`, back(day.replace('-01', '-20').replace('-05-01', '-05-20'))),
    ]);
    expect(
      lines([joined, ...facts.reverse()])
        .slice(1)
        .map((line) => line.split(' ')[0]),
    ).toEqual(['emp-1/leave-start/1', 'emp-1/leave-end/1', 'emp-1/leave-start/2', 'emp-1/leave-end/2']);
  });

  it('a leaver during leave is a leaver and no return; a withdrawn leave is cancelled', () => {
    const onLeave = [joined, fact('l', leave('2026-07-01'))];
    expect(lines([...onLeave, left]).map((line) => line.split(' ')[0])).toEqual([
      'emp-1/joiner/1',
      'emp-1/leave-start/1',
      'emp-1/leaver/1',
    ]);
    expect(lines([...onLeave, fact('w', withdraw, { corrects: 'l', version: 2 })])).toContain(
      'emp-1/leave-start/1 2026-06-30 cancelled',
    );
  });
});

describe('order and digests', () => {
  it('8: at one instant cuts come first', () => {
    const first = fact('h', hire('2026-01-01', { endOn: date('2026-08-31') }));
    const immediate = fact('e', end('2026-08-31', { manner: 'immediate', at: instant('2026-08-31T22:00:00.000Z') }));
    const next = fact('h2', hire('2026-09-01'), { employment: 'emp-2' });
    const moved = deriveTransitions([first, immediate, next]);
    expect(moved.filter((one) => one.status === 'standing').map((one) => one.kind)).toEqual(['joiner', 'mover']);
    const onLeave = deriveTransitions([joined, fact('l', leave('2026-01-01'))]);
    expect(onLeave.map((one) => one.kind)).toEqual(['leave-start', 'joiner']);
  });

  it('the digest follows what matters and nothing else', () => {
    const digest = (facts: readonly Fact[]): string => byId(facts, 'emp-1/joiner/1').digest;
    const base = digest([joined]);
    expect(digest([{ ...joined, recordedAt: instant('2031-01-01T00:00:00.000Z'), sourceEventId: 'other' }])).toBe(base);
    expect(digest([fact('h', hire('2026-01-01', { attributes: { title: 'Lead' } }))])).not.toBe(base);
    expect(digest([joined, left])).toBe(base);
    expect(digest([joined, fact('c', change('2025-12-20', { attributes: { title: 'Lead' } }))])).not.toBe(base);
  });
});
