import { describe, expect, it } from '@jest/globals';
import { dueBy, nextDue } from '../../../src/domain/ledger/due.js';
import { deriveTransitions } from '../../../src/domain/ledger/transitions.js';
import { date, end, fact, hire, instant, withdraw } from './lives.js';

describe('what is due', () => {
  const joined = fact('h', hire('2026-01-01'));
  const all = deriveTransitions([joined, fact('e', end('2026-08-31', { noticeOn: date('2026-06-01') }))]);

  it('8: goes from instant to instant: start, notice, end, and then nothing', () => {
    const seen: string[] = [];
    for (let due = nextDue(all, instant('2020-01-01T00:00:00.000Z')); due !== undefined; due = nextDue(all, due.at)) {
      seen.push(`${due.at.slice(0, 10)} ${due.transitions.map((one) => one.kind).join()}`);
    }
    expect(seen).toEqual(['2025-12-31 joiner', '2026-05-31 leaver', '2026-08-31 leaver']);
  });

  it('8: after a downtime everything that came due is there in due order', () => {
    expect(dueBy(all, instant('2026-05-01T00:00:00.000Z')).map((one) => one.kind)).toEqual(['joiner']);
    expect(dueBy(all, instant('2026-06-01T00:00:00.000Z')).map((one) => one.kind)).toEqual(['joiner', 'leaver']);
  });

  it('what is cancelled is never due, and a rescinded hire is due at once', () => {
    const rescinded = deriveTransitions([
      fact('h', hire('2027-01-01')),
      fact('w', withdraw, { corrects: 'h', version: 2 }),
    ]);
    expect(dueBy(rescinded, instant('2026-01-01T00:00:00.000Z')).map((one) => one.kind)).toEqual(['rescinded-hire']);
    expect(nextDue(rescinded, instant('2026-01-01T00:00:00.000Z'))).toBeUndefined();
  });
});
