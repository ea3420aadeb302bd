import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { brand } from '../../../src/domain/process/ids.js';
import type { FactId } from '../../../src/domain/process/ids.js';
import { classify } from '../../../src/domain/ledger/intake.js';
import { breakpoints, stateAt } from '../../../src/domain/ledger/state.js';
import { deriveTransitions } from '../../../src/domain/ledger/transitions.js';
import type { Attributes, Fact, Statement } from '../../../src/domain/ledger/types.js';
import { BERLIN, MELBOURNE, NEW_YORK, back, change, date, end, fact, hire, instant, leave, withdraw } from './lives.js';

/** Few dates, so that facts coincide, touch and overlap often. */
const DAYS = [
  '2026-01-01',
  '2026-01-02',
  '2026-03-28',
  '2026-03-29',
  '2026-03-30',
  '2026-06-30',
  '2026-07-01',
  '2026-10-04',
];
const day = fc.constantFrom(...DAYS);
const where = fc.constantFrom(BERLIN, MELBOURNE, NEW_YORK);
const worker = fc.constantFrom('employee' as const, 'contractor' as const);
const attributes = fc.constantFrom<Attributes[]>(
  {},
  { department: 'Tax' },
  { familyName: 'Berg' },
  { familyName: 'Holm', title: 'Lead' },
  { title: null },
  { 'custom.level': '2' },
);

const statement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(day, where, worker, fc.option(day, { nil: undefined }), attributes).map(toHire) },
  { weight: 3, arbitrary: fc.tuple(day, fc.option(where, { nil: undefined }), attributes).map(toChange) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(day, fc.option(day))
      .map(([on, endOn]) => change(on, { endOn: endOn === null ? null : date(endOn) })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(day, worker, fc.boolean()).map(([on, kind, primary]) => change(on, { worker: kind, primary })),
  },
  { weight: 3, arbitrary: fc.tuple(day, day, fc.boolean()).map(toEnd) },
  { weight: 1, arbitrary: day.map((on) => end(on, { manner: 'immediate', at: instant(`${on}T14:00:00.000Z`) })) },
  { weight: 1, arbitrary: day.map(leave) },
  { weight: 1, arbitrary: day.map(back) },
  { weight: 2, arbitrary: fc.constant(withdraw) },
);

function toHire([on, zone, kind, until, values]: readonly [
  string,
  typeof BERLIN,
  'employee' | 'contractor',
  string | undefined,
  Attributes,
]): Statement {
  return hire(on, { zone, worker: kind, ...(until === undefined ? {} : { endOn: date(until) }), attributes: values });
}

function toChange([on, zone, values]: [string, typeof BERLIN | undefined, Attributes]): Statement {
  return change(on, { ...(zone === undefined ? {} : { zone }), attributes: values });
}

function toEnd([on, noticed, doNotRehire]: [string, string, boolean]): Statement {
  return end(on, { noticeOn: date(noticed), doNotRehire });
}

/** Up to eight facts of two employments; any of them may correct or withdraw any event, also one that never comes. */
const life: fc.Arbitrary<Fact[]> = fc
  .array(
    fc.record({
      statement,
      employment: fc.constantFrom('emp-1', 'emp-1', 'emp-2'),
      corrects: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined, freq: 2 }),
      version: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((parts) =>
    [{ statement: hire('2026-01-01'), employment: 'emp-1', corrects: undefined, version: 1 }, ...parts].map(
      (part, index) => {
        const correcting = part.corrects ?? (part.statement.kind === 'withdraw' ? 0 : undefined);
        const { employment, version } = part;
        return fact(`e${index}`, part.statement, {
          employment,
          version,
          ...(correcting === undefined ? {} : { corrects: `e${correcting}` }),
        });
      },
    ),
  );

type Resolver = (facts: readonly Fact[]) => unknown;

const everything: Resolver = (facts) => ({
  transitions: deriveTransitions(facts),
  states: breakpoints(facts).map((at) => stateAt(facts, at)),
});

/** The planted mistake: the last word to arrive wins. */
const byArrival: Resolver = (facts) => everything(facts.map((one, index) => ({ ...one, sourceVersion: index + 1 })));

/** Everything but which of several equal facts is named. */
const withoutNames = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, inner: unknown) => (key === 'because' ? undefined : inner)));

function sameInEveryOrder(resolve: Resolver): fc.IProperty<[{ facts: Fact[]; shuffled: Fact[] }]> {
  const both = life.chain((facts) =>
    fc.shuffledSubarray(facts, { minLength: facts.length }).map((shuffled) => ({ facts, shuffled })),
  );
  return fc.property(both, ({ facts, shuffled }) => {
    expect(resolve(shuffled)).toEqual(resolve(facts));
  });
}

function sameWithDuplicates(resolve: Resolver): fc.IProperty<[{ facts: Fact[]; given: Fact[] }]> {
  const both = life.chain((facts) =>
    fc
      .array(fc.tuple(fc.nat(facts.length - 1), fc.constantFrom('same', 'new fact', 'new event')), {
        minLength: 1,
        maxLength: 4,
      })
      .map((picks) => picks.map(([index, how], nth) => copyOf(facts[index] as Fact, how, nth)))
      .chain((copies) => fc.shuffledSubarray([...facts, ...copies], { minLength: facts.length + copies.length }))
      .map((given) => ({ facts, given })),
  );
  return fc.property(both, ({ facts, given }) => {
    expect(withoutNames(resolve(given))).toEqual(withoutNames(resolve(facts)));
  });
}

function copyOf(original: Fact, how: string, nth: number): Fact {
  if (how === 'same') return original;
  const factId = brand<FactId>(`copy-${nth}`);
  return how === 'new fact' ? { ...original, factId } : { ...original, factId, sourceEventId: `copy-${nth}` };
}

const runs = { seed: 20_261_123, numRuns: 400 };

describe('laws of the ledger', () => {
  it('46: every order of a life’s facts gives the same states and the same transitions', () => {
    fc.assert(sameInEveryOrder(everything), runs);
  });

  it('46: duplicates, under the same id or a new one, change nothing', () => {
    fc.assert(sameWithDuplicates(everything), runs);
  });

  it('planted: a resolver that goes by arrival breaks both laws', () => {
    expect(fc.check(sameInEveryOrder(byArrival), runs).failed).toBe(true);
    expect(fc.check(sameWithDuplicates(byArrival), runs).failed).toBe(true);
  });

  it('transition ids are unique, standing joiners and leavers alternate, and state and transitions tell one story', () => {
    fc.assert(
      fc.property(life, (facts) => {
        const all = deriveTransitions(facts);
        expect(new Set(all.map((one) => one.id)).size).toBe(all.length);
        const turns = all.filter(
          (one) => one.status === 'standing' && ['joiner', 'rehire', 'leaver'].includes(one.kind),
        );
        turns.sort((a, b) => (a.effectiveAt < b.effectiveAt ? -1 : 1));
        turns.forEach((one, index) => expect([index, one.kind === 'leaver']).toEqual([index, index % 2 === 1]));
        for (const one of turns) {
          const { lifecycle } = stateAt(facts, one.effectiveAt);
          expect(['active', 'suspended', 'leaving'].includes(lifecycle)).toBe(one.kind !== 'leaver');
        }
      }),
      runs,
    );
  });

  it('4, 46: of any corrections of one end the highest source version sets the date, and the id stays', () => {
    const corrections = fc.uniqueArray(fc.record({ version: fc.integer({ min: 2, max: 50 }), on: day }), {
      selector: (one) => one.version,
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(corrections, fc.infiniteStream(fc.nat()), (list, order) => {
        const chain = list.map((one, index) =>
          fact(`x${index}`, end(one.on), { version: one.version, corrects: index === 0 ? 'e' : `x${index - 1}` }),
        );
        const facts = [fact('h', hire('2025-01-01')), fact('e', end('2026-12-31')), ...chain]
          .map((one) => ({ one, key: order.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ one }) => one);
        const latest = [...list].sort((a, b) => b.version - a.version)[0];
        const transitions = deriveTransitions(facts);
        expect(transitions.map((one) => one.id)).toEqual(['emp-1/joiner/1', 'emp-1/leaver/1']);
        expect(stateAt(facts, instant('2025-06-01T00:00:00.000Z')).primary?.lastWorkingDay).toBe(latest?.on);
        const olderDates = new Set(['2026-12-31', ...list.map((one) => one.on)]);
        olderDates.delete(latest?.on ?? '');
        expect(transitions[1]?.movedFrom).toHaveLength(olderDates.size);
      }),
      runs,
    );
  });
});

describe('intake in any order', () => {
  const sound: Fact[] = [
    fact('h', hire('2026-01-01', { worker: 'contractor', endOn: date('2026-03-31') })),
    fact('x', change('2026-03-15', { endOn: date('2026-09-30'), attributes: { title: 'Lead' } })),
    fact('l', leave('2026-05-01')),
    fact('r', back('2026-06-01')),
    fact('e', end('2026-08-31')),
    fact('e2', end('2026-07-31'), { version: 2, corrects: 'e' }),
    fact('h2', hire('2026-11-01')),
    fact('w', withdraw, { version: 2, corrects: 'y' }),
  ];

  it('39, 46: with rejected records tried again, every order of a sound life is taken in whole and ends the same', () => {
    const expected = withoutNames(everything(sound));
    fc.assert(
      fc.property(fc.shuffledSubarray(sound, { minLength: sound.length }), (arrivals) => {
        const taken: Fact[] = [];
        let waiting = arrivals;
        for (let before = -1; before !== waiting.length;) {
          before = waiting.length;
          waiting = waiting.filter((one) => {
            const { outcome, retry } = classify(taken, one);
            if (outcome === 'rejected') return retry === true;
            taken.push(one);
            return false;
          });
        }
        expect(waiting).toEqual([]);
        expect(withoutNames(everything(taken))).toEqual(expected);
      }),
      { ...runs, numRuns: 150 },
    );
  });
});
