import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { correlate, correlatePerson } from '../../../src/domain/correlation/correlate.js';
import type { Candidate, Correlation, KeyValues } from '../../../src/domain/correlation/correlate.js';

const KEYS = { strong: ['externalId', 'employeeNumber'], weak: ['login', 'mail'] };
const decide = (subject: KeyValues, ...candidates: readonly Candidate<string>[]): Correlation<string> =>
  correlate(KEYS, subject, candidates);

describe('correlate (edge case 13)', () => {
  const subject = { externalId: 'i-1', employeeNumber: '1001', login: 'ada', mail: 'ada@example.com' };

  it('links by exactly one strong match', () => {
    const found = { id: 'a', values: { employeeNumber: '1001', login: 'other' } };
    expect(decide(subject, found, { id: 'b', values: { login: 'bob' } })).toEqual({
      result: 'linked',
      id: 'a',
      by: ['employeeNumber'],
    });
  });

  it('asks a person when strong keys fit several, or contradict each other', () => {
    const byNumber = { id: 'b', values: { employeeNumber: '1001' } };
    const byId = { id: 'a', values: { externalId: 'i-1' } };
    expect(decide(subject, byNumber, byId)).toMatchObject({ result: 'ambiguous', ids: ['a', 'b'] });
    const torn = { id: 'c', values: { externalId: 'i-2', employeeNumber: '1001' } };
    expect(decide(subject, torn)).toEqual({ result: 'ambiguous', ids: ['c'], by: ['employeeNumber', 'externalId'] });
  });

  it('proposes on weak keys, unless a strong key says it is somebody else', () => {
    const hint = { id: 'a', values: { mail: 'ADA@example.com ' } };
    expect(decide(subject, hint)).toEqual({ result: 'proposed', ids: ['a'], by: ['mail'] });
    expect(decide(subject, { id: 'a', values: { ...hint.values, employeeNumber: '7' } })).toEqual({ result: 'orphan' });
  });

  it('never matches on absent or empty values', () => {
    const blank = { id: 'a', values: { externalId: '', employeeNumber: null, login: ' ' } };
    expect(decide({ externalId: '', employeeNumber: null, login: ' ' }, blank)).toEqual({ result: 'orphan' });
  });

  it('decides the same in every order, and links only on one uncontradicted strong match', () => {
    const value = fc.constantFrom('1', '2', '', null);
    const values = fc.record({ externalId: value, employeeNumber: value, login: value, mail: value });
    fc.assert(
      fc.property(values, fc.array(values, { maxLength: 5 }), (one, others) => {
        const candidates = others.map((other, index) => ({ id: `c${index}`, values: other }));
        const found = correlate(KEYS, one, candidates);
        expect(correlate(KEYS, one, [...candidates].reverse())).toEqual(found);
        const equal = (a?: string | null, b?: string | null) => Boolean(a) && a === b;
        const strong = others.filter(
          (o) => equal(o.externalId, one.externalId) || equal(o.employeeNumber, one.employeeNumber),
        );
        expect(found.result === 'linked' && strong.length !== 1).toBe(false);
        expect(found.result === 'orphan' && strong.length > 0).toBe(false);
      }),
      { numRuns: 1000, seed: 20_261_123 },
    );
  });
});

describe('correlatePerson (edge cases 39, 40, 49)', () => {
  const known = [
    { id: 'i-1', keys: { source: 'hr', personKey: 'P1', employeeNumber: '1001', personalMail: 'ada@home.example' } },
    { id: 'i-2', keys: { source: 'hr', personKey: 'P2', employeeNumber: '1002', personalMail: null } },
  ];

  it("knows a rehire by the source's person key, whatever else changed", () => {
    const back = { source: 'hr', personKey: 'P1', employeeNumber: '2001', personalMail: 'new@home.example' };
    expect(correlatePerson(back, known)).toEqual({ result: 'linked', id: 'i-1', by: ['key'] });
  });

  it('asks a person when only an address or a number speaks for it', () => {
    const maybe = { source: 'hr', personKey: 'P9', personalMail: 'ada@home.example' };
    expect(correlatePerson(maybe, known)).toEqual({ result: 'proposed', ids: ['i-1'], by: ['personalMail'] });
    const reused = { source: 'hr', personKey: 'P9', employeeNumber: '1002' };
    expect(correlatePerson(reused, known)).toMatchObject({ result: 'proposed', ids: ['i-2'] });
  });

  it('does not mix up sources that use the same key', () => {
    expect(correlatePerson({ source: 'students', personKey: 'P1' }, known)).toEqual({ result: 'orphan' });
  });
});
