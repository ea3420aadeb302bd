import { describe, expect, it } from '@jest/globals';
import { brand } from '../../../src/domain/process/ids.js';
import type { FactId } from '../../../src/domain/process/ids.js';
import { contentHash, resolveSlots } from '../../../src/domain/ledger/slots.js';
import type { Fact } from '../../../src/domain/ledger/types.js';
import { change, end, fact, hire, instant, withdraw } from './lives.js';

const original = fact('e1', end('2026-08-31'));
const correction = fact('e2', end('2026-09-30'), { corrects: 'e1', version: 2 });
const again = fact('e3', end('2026-10-31'), { corrects: 'e2', version: 3 });
const deletion = fact('e4', withdraw, { corrects: 'e1', version: 4 });
const restoration = fact('e5', withdraw, { corrects: 'e4', version: 5 });

function only(facts: readonly Fact[]): { winner: string; withdrawn: boolean; content: string | undefined } {
  const slots = resolveSlots(facts);
  expect(slots).toHaveLength(1);
  const slot = slots[0];
  return {
    winner: slot?.winner.sourceEventId ?? '',
    withdrawn: slot?.withdrawn ?? false,
    content: slot?.content?.sourceEventId,
  };
}

describe('slots', () => {
  it('46: a correction, and the correction of a correction, share the slot of the original', () => {
    expect(only([original, correction])).toEqual({ winner: 'e2', withdrawn: false, content: 'e2' });
    expect(only([again, original, correction])).toEqual({ winner: 'e3', withdrawn: false, content: 'e3' });
  });

  it('46: a correction that arrives before its original, or whose link in between never arrives, still finds its slot', () => {
    expect(only([correction, original]).winner).toBe('e2');
    const [only3, only1] = resolveSlots([again, original]);
    expect([only3?.winner.sourceEventId, only1?.winner.sourceEventId].sort()).toEqual(['e1', 'e3']);
    expect(only([again, original, correction]).winner).toBe('e3');
  });

  it('46: of two corrections the higher source version holds, whichever arrived or was recorded last', () => {
    const late = fact('e6', end('2026-07-31'), {
      corrects: 'e1',
      version: 1,
      recordedAt: instant('2030-01-01T00:00:00.000Z'),
    });
    expect(only([correction, original, late]).winner).toBe('e2');
    expect(only([late, correction, original]).winner).toBe('e2');
  });

  it('46: without versions, what names another event as replaced is stronger than it, whatever it says', () => {
    for (const day of ['2026-07-01', '2026-08-01', '2026-09-01', '2026-10-01', '2026-11-01']) {
      const replacement = fact('e2', end(day), { corrects: 'e1' });
      expect(only([original, replacement]).winner).toBe('e2');
      expect(only([replacement, original]).winner).toBe('e2');
    }
    expect(only([original, fact('e2', withdraw, { corrects: 'e1' })]).withdrawn).toBe(true);
  });

  it('equal versions are decided by content, then by event id, never by the fact id or by arrival', () => {
    const a = fact('a', end('2026-08-01'), { corrects: 'e1', version: 2, factId: brand<FactId>('z') });
    const b = fact('b', end('2026-08-02'), { corrects: 'e1', version: 2, factId: brand<FactId>('y') });
    const stronger = contentHash(a.statement) > contentHash(b.statement) ? 'a' : 'b';
    const swapped = [{ ...a, factId: b.factId }, { ...b, factId: a.factId }, original];
    expect(only([a, b, original]).winner).toBe(stronger);
    expect(only(swapped).winner).toBe(stronger);
    const twin = { ...a, sourceEventId: 'aa', factId: brand<FactId>('0') };
    const same = [a, twin].map((one) => ({ ...one, corrects: 'e1' }));
    expect(only([...same, original]).winner).toBe('aa');
  });

  it('46: a withdrawal deletes, a withdrawal of it restores, and one more deletes again', () => {
    expect(only([original, correction, deletion])).toEqual({ winner: 'e4', withdrawn: true, content: 'e2' });
    expect(only([original, correction, deletion, restoration])).toEqual({
      winner: 'e5',
      withdrawn: false,
      content: 'e2',
    });
    const third = fact('e7', withdraw, { corrects: 'e5', version: 6 });
    expect(only([third, restoration, deletion, original]).withdrawn).toBe(true);
  });

  it('46: a withdrawal that arrives first waits for its event, and a later version of the event stands again', () => {
    expect(only([deletion])).toEqual({ winner: 'e4', withdrawn: true, content: undefined });
    expect(only([deletion, original]).withdrawn).toBe(true);
    expect(only([deletion, original, fact('e1', end('2026-11-30'), { version: 9 })])).toEqual({
      winner: 'e1',
      withdrawn: false,
      content: 'e1',
    });
  });

  it('46: an exact duplicate and the same content under a new id are one slot, also when it was corrected since', () => {
    const twin = fact('x9', end('2026-08-31'));
    expect(only([original, { ...original, factId: brand<FactId>('again') }]).winner).toBe('e1');
    expect(only([original, correction, twin]).winner).toBe('e2');
    expect(only([twin, deletion, original]).withdrawn).toBe(true);
  });

  it('keeps events apart that differ in source, employment or content, and corrections within their source', () => {
    expect(resolveSlots([original, { ...original, source: 'payroll' }])).toHaveLength(2);
    expect(resolveSlots([original, fact('x', end('2026-08-31'), { employment: 'emp-2' })])).toHaveLength(2);
    expect(resolveSlots([original, { ...correction, source: 'payroll' }])).toHaveLength(2);
    expect(resolveSlots([fact('h', hire('2026-01-01')), fact('c', change('2026-02-01', {}))])).toHaveLength(2);
  });

  it('the content hash does not depend on the order of keys', () => {
    const one = hire('2026-01-01', { attributes: { title: 'Clerk', country: 'DE' } });
    const other = JSON.parse(JSON.stringify(one, Object.keys(one).reverse())) as typeof one;
    expect(
      contentHash({ ...other, attributes: { country: 'DE', title: 'Clerk', department: 'Sales' } } as typeof one),
    ).toBe(contentHash(one));
    expect(contentHash(hire('2026-01-02'))).not.toBe(contentHash(hire('2026-01-01')));
  });
});
