import { describe, expect, it } from '@jest/globals';
import { brand } from '../../../src/domain/process/ids.js';
import type { FactId, LocalDate } from '../../../src/domain/process/ids.js';
import { explainChange } from '../../../src/domain/ledger/explain.js';
import { classify } from '../../../src/domain/ledger/intake.js';
import { back, change, date, end, fact, hire, instant, leave, withdraw, zone } from './lives.js';

/** Facts are recorded, by default, on 15 June 2026 at 10:00 UTC. */
const NOW = instant('2026-06-15T10:00:00.000Z');
const joined = fact('h', hire('2026-01-01'));

describe('classify', () => {
  it('46: the same event again, and the same content under a new id, are duplicates', () => {
    expect(classify([joined], { ...joined, factId: brand<FactId>('other') })).toEqual({ outcome: 'duplicate' });
    expect(classify([joined], fact('h9', hire('2026-01-01')))).toEqual({ outcome: 'duplicate' });
    expect(classify([], joined).outcome).toBe('accepted');
    expect(classify([joined], fact('h', hire('2026-01-01'), { version: 2 })).outcome).toBe('accepted');
  });

  it('46: what is weaker than what is known is superseded, whenever it arrives', () => {
    const corrected = fact('e2', end('2026-09-30'), { corrects: 'e', version: 2 });
    expect(classify([joined, corrected], fact('e', end('2026-08-31')))).toEqual({ outcome: 'superseded' });
    const deletion = fact('w', withdraw, { corrects: 'c', version: 5 });
    expect(classify([joined], deletion).outcome).toBe('accepted');
    expect(classify([joined, deletion], fact('c', change('2026-07-01', {}))).outcome).toBe('superseded');
  });

  it('47: an unknown employment is refused, and may be tried again', () => {
    for (const statement of [end('2026-08-31'), change('2026-08-01', {}), leave('2026-08-01'), back('2026-08-01')]) {
      expect(classify([joined], fact('x', statement, { employment: 'emp-9' }))).toEqual({
        outcome: 'rejected',
        reason: 'unknown-employment',
        retry: true,
      });
    }
  });

  it('a second hire with other content needs a correction, or an end in between', () => {
    const other = fact('h2', hire('2026-02-01', { attributes: { title: 'Lead' } }));
    expect(classify([joined], other)).toEqual({ outcome: 'rejected', reason: 'hire-repeated', retry: true });
    expect(classify([other], joined)).toMatchObject({ reason: 'hire-repeated' });
    expect(classify([joined], { ...other, corrects: 'h', sourceVersion: 2 }).outcome).toBe('accepted');
    expect(classify([joined, fact('e', end('2026-01-15'))], other).outcome).toBe('accepted');
    expect(classify([joined], { ...other, employmentId: brand('emp-2') }).outcome).toBe('accepted');
  });

  it('9, 42: an end before the start is a rescission and do-not-rehire a flag; neither is an error', () => {
    expect(classify([joined], fact('e', end('2025-12-01'))).outcome).toBe('accepted');
    const flagged = fact('e', end('2026-03-31', { doNotRehire: true }));
    expect(classify([joined, flagged], fact('h2', hire('2026-09-01'))).outcome).toBe('accepted');
  });

  it('a return needs a leave that began before it', () => {
    expect(classify([joined], fact('r', back('2026-08-01')))).toMatchObject({
      reason: 'return-without-leave',
      retry: true,
    });
    expect(classify([joined, fact('l', leave('2026-09-01'))], fact('r', back('2026-08-01'))).outcome).toBe('rejected');
    expect(classify([joined, fact('l', leave('2026-07-01'))], fact('r', back('2026-08-01'))).outcome).toBe('accepted');
  });

  it('an extension long after the contract’s end is refused', () => {
    const contractor = fact('h', hire('2026-01-01', { worker: 'contractor', endOn: date('2026-03-31') }));
    expect(classify([contractor], fact('x', change('2026-05-01', { endOn: date('2026-12-31') })))).toMatchObject({
      reason: 'contract-already-ended',
      retry: true,
    });
  });

  it('6: bad dates, zones and contracts are refused for good, and never reach the ledger', () => {
    const bad = (text: string): LocalDate => brand<LocalDate>(text);
    const cases: [Parameters<typeof fact>[1], string][] = [
      [hire('2026-02-30'), 'invalid-date'],
      [end('31.08.2026'), 'invalid-date'],
      [end('2026-08-31', { noticeOn: bad('soon') }), 'invalid-date'],
      [end('2026-08-31', { manner: 'immediate', at: instant('2026-08-31 10:00') }), 'invalid-date'],
      [hire('2026-01-01', { zone: zone('+02:00') }), 'unknown-zone'],
      [change('2026-01-01', { zone: zone('Europe/Nowhere') }), 'unknown-zone'],
      [hire('2026-01-01', { worker: 'contractor' }), 'contractor-end-missing'],
      [hire('2026-01-01', { endOn: date('2025-12-31') }), 'contract-end-before-start'],
      [withdraw, 'withdraws-nothing'],
    ];
    for (const [statement, reason] of cases) {
      expect(classify([joined], fact('x', statement))).toEqual({ outcome: 'rejected', reason, retry: false });
    }
  });

  it('5: a backdated end says what it changes and how long access stood open', () => {
    const { outcome, retroactive } = classify([joined], fact('e', end('2026-06-08')));
    expect(outcome).toBe('accepted');
    expect(retroactive).toEqual({
      from: '2026-06-08T22:00:00.000Z',
      changes: [
        {
          kind: 'added',
          transitionId: 'emp-1/leaver/1',
          transition: 'leaver',
          to: '2026-06-08T22:00:00.000Z',
          attributes: [],
          exposure: { from: '2026-06-08T22:00:00.000Z', until: NOW },
        },
      ],
    });
  });

  it('5: a hire entered late is retroactive, one in the future is not, nor is its withdrawal', () => {
    expect(classify([], joined).retroactive?.changes.map((one) => one.kind)).toEqual(['added']);
    const future = fact('h', hire('2026-09-01'));
    expect(classify([], future)).toEqual({ outcome: 'accepted' });
    expect(classify([future], fact('w', withdraw, { corrects: 'h', version: 2 }))).toEqual({ outcome: 'accepted' });
    expect(classify([joined], fact('w', withdraw, { corrects: 'h', version: 2 })).retroactive?.changes).toEqual([
      expect.objectContaining({ kind: 'removed', transitionId: 'emp-1/joiner/1' }),
    ]);
  });
});

describe('what a fact changes', () => {
  const left = fact('e', end('2026-08-31'));

  it('tells moved, removed and changed apart, and names attributes without their values', () => {
    const moved = fact('e2', end('2026-09-30'), { corrects: 'e', version: 2 });
    expect(explainChange([joined, left], [joined, left, moved], NOW)).toEqual([
      {
        kind: 'moved',
        transitionId: 'emp-1/leaver/1',
        transition: 'leaver',
        from: '2026-08-31T22:00:00.000Z',
        to: '2026-09-30T22:00:00.000Z',
        attributes: [],
      },
    ]);
    const gone = fact('w', withdraw, { corrects: 'e', version: 2 });
    expect(explainChange([joined, left], [joined, left, gone], NOW).map((one) => one.kind)).toEqual(['removed']);
    const renamed = fact(
      'h2',
      hire('2026-01-01', { attributes: { title: 'Lead', familyName: 'Marker' }, manager: 'm-1' }),
      {
        corrects: 'h',
        version: 2,
      },
    );
    const [changed] = explainChange([joined], [joined, renamed], NOW);
    expect(changed).toMatchObject({ kind: 'changed', attributes: ['familyName', 'manager', 'title'] });
    expect(JSON.stringify(changed)).not.toContain('Marker');
    expect(explainChange([joined], [joined], NOW)).toEqual([]);
  });

  it('5: the exposure ends at the cut that was due anyway, and a future end exposes nothing', () => {
    const cut = fact('e', end('2026-06-10'));
    const backdated = fact('e2', end('2026-06-01'), { corrects: 'e', version: 2 });
    expect(explainChange([joined, cut], [joined, cut, backdated], NOW)[0]?.exposure).toEqual({
      from: '2026-06-01T22:00:00.000Z',
      until: '2026-06-10T22:00:00.000Z',
    });
    expect(explainChange([joined], [joined, left], NOW)[0]?.exposure).toBeUndefined();
  });
});
