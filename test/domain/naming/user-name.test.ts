import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { candidates, loginLimit, mailAddress } from '../../../src/domain/naming/user-name.js';
import type { PersonName } from '../../../src/domain/naming/user-name.js';
import { samplePolicy } from '../plan/fixtures.js';

const first = (name: PersonName): string | undefined => candidates(name, samplePolicy)[0];
const WELL_FORMED = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/;

describe('transliteration (edge case 12)', () => {
  it.each([
    ['Łukasz', 'Żółć', 'pl', 'lukasz.zolc'],
    ['Søren', 'Kjær', 'da', 'soeren.kjaer'],
    ['Søren', 'Kjær', undefined, 'soren.kjaer'],
    ['Jörg', 'Groß', 'de-AT', 'joerg.gross'],
    ['Jörg', 'Groß', undefined, 'jorg.gross'],
    ['小明', '王', 'zh-CN', 'xiaoming.wang'],
    ['Seán', 'O’Brien', 'en', 'sean.obrien'],
    ['Gabriele', "D'Angelo", 'it', 'gabriele.dangelo'],
    ['Anne-Marie', 'van der Kip', 'nl', 'anne-marie.vanderkip'],
    ['Iğdır', 'İNCİ', 'tr', 'igdir.inci'],
    ['IĞDIR', 'inci', 'tr', 'igdir.inci'],
    ['Þórður', 'Ægir', 'is', 'thordur.aegir'],
    ['Zo\u0065\u0308', 'Nun\u0303ez', 'es', 'zoe.nunez'],
  ])('%s %s (%s) -> %s', (givenName, familyName, locale, expected) => {
    expect(first({ givenName, familyName, locale })).toBe(expected);
  });

  it('writes right-to-left names in ASCII, direction marks gone', () => {
    expect(first({ givenName: '\u200fعبد الله', familyName: 'محمد', locale: 'ar' })).toMatch(/^[a-z]+\.[a-z]+$/);
  });

  it('does not depend on the form in which the letters are composed', () => {
    const composed = candidates({ givenName: 'Jörg', familyName: 'Müller', locale: 'de' }, samplePolicy);
    const decomposed = { givenName: 'Jörg'.normalize('NFD'), familyName: 'Müller'.normalize('NFD'), locale: 'de' };
    expect(candidates(decomposed, samplePolicy)).toEqual(composed);
    expect(composed[0]).toBe('joerg.mueller');
  });
});

describe('candidates (edge case 10)', () => {
  it('come in the order of the patterns, counters from 2, without repeats', () => {
    const list = candidates({ givenName: 'Ada', familyName: 'Berger' }, samplePolicy);
    expect(list.slice(0, 4)).toEqual(['ada.berger', 'aberger', 'ada.berger2', 'ada.berger3']);
    expect(list).toHaveLength(100);
    expect(new Set(list).size).toBe(list.length);
    expect(candidates({ givenName: 'Ada', familyName: 'Berger' }, samplePolicy, 20, 5)).toHaveLength(6);
  });

  it('take one-word names, and names of which nothing can be written', () => {
    expect(candidates({ familyName: 'Sukarno' }, samplePolicy).slice(0, 2)).toEqual(['sukarno', 'sukarno2']);
    expect(candidates({ givenName: 'Sukarno', familyName: '' }, samplePolicy).slice(0, 2)).toEqual([
      'sukarno',
      'sukarno2',
    ]);
    expect(candidates({ givenName: '😀', familyName: null }, samplePolicy).slice(0, 2)).toEqual(['user', 'user2']);
  });

  it('keep the counter when a long name is shortened to the smallest limit of all targets', () => {
    expect(loginLimit(samplePolicy)).toBe(20);
    const long = { givenName: 'Wolfeschlegelstein', familyName: 'Hausenbergerdorff' };
    const list = candidates(long, samplePolicy);
    expect(list[0]).toBe('wolfeschlegelstein.h');
    expect(list[2]).toBe('wolfeschlegelstein2');
    expect(list).toContain('wolfeschlegelstein99');
  });

  it('are always well-formed, short enough and many, whatever the name', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({ maxLength: 60 }),
      fc.constant(null),
    );
    const locale = fc.constantFrom('tr', 'de', 'da', 'ar', '', undefined, 'x-!', 'constructor');
    fc.assert(
      fc.property(text, text, locale, fc.integer({ min: 6, max: 40 }), (givenName, familyName, tag, limit) => {
        const list = candidates({ givenName, familyName, locale: tag }, samplePolicy, limit, 30);
        // A shortened name that ends in a digit may meet a counter: x1 + 2 is x + 12.
        expect(list.length).toBeGreaterThanOrEqual(20);
        expect(list.filter((one) => !WELL_FORMED.test(one) || one.length > limit)).toEqual([]);
      }),
      { numRuns: 500, seed: 20_261_123 },
    );
  });

  it('the check of the form would notice a bad name', () => {
    expect(['a b', '.ada', 'ada.', 'Ada', 'ä', ''].filter((one) => WELL_FORMED.test(one))).toEqual([]);
  });

  it('make the mail address', () => {
    expect(mailAddress('ada.berger', samplePolicy)).toBe('ada.berger@example.com');
  });
});
