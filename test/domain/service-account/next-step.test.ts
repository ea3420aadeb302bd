import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { brand } from '../../../src/domain/process/ids.js';
import type { IdentityId, Instant } from '../../../src/domain/process/ids.js';
import { SETTLED_OUTCOMES } from '../../../src/domain/process/outcome.js';
import { nextStep } from '../../../src/domain/service-account/next-step.js';
import type { Deed, OwnerVoice, Standing, Word } from '../../../src/domain/service-account/next-step.js';

const at = (day: number): Instant => brand<Instant>(new Date(Date.UTC(2026, 0, 1 + day)).toISOString());
const owner = (n: number): IdentityId => brand<IdentityId>(`owner-${n}`);
const voice = (n: number, removal: Word = 'none', confirmation: Word = 'none'): OwnerVoice => ({
  owner: owner(n),
  removal,
  confirmation,
});
const base: Standing = {
  owners: [voice(1), voice(2)],
  required: 2,
  isFound: true,
  isGone: false,
  isScreamed: false,
  isAttested: false,
  isGivenUp: false,
  now: at(0),
};
const closed: Deed = { phase: 'scream-test', outcome: 'proven' };
const agreed = [voice(1, 'remove'), voice(2, 'remove')];
const passed: Standing = { ...base, owners: agreed, deed: closed, windowUntil: at(14), now: at(14) };

describe('what comes next with a service account', () => {
  it.each<[string, Standing, object]>([
    ['one that nobody has looked for', { ...base, isFound: false }, { step: 'find' }],
    ['one owner', { ...base, owners: [voice(1)] }, { step: 'ask-operator', code: 'owners-missing' }],
    ['one owner, whatever policy wants', { ...base, owners: [voice(1)], required: 1 }, { code: 'owners-missing' }],
    ['owners who were not asked', base, { step: 'ask-owners', stage: 'removal' }],
    ['one voice of two', { ...base, owners: [voice(1, 'remove'), voice(2, 'pending')] }, { step: 'await-voices' }],
    ['silence', { ...base, owners: [voice(1, 'remove'), voice(2, 'expired')] }, { code: 'owners-silent' }],
    ['all owners agree', { ...base, owners: agreed }, { step: 'close' }],
    ['two minds', { ...base, owners: [voice(1, 'remove'), voice(2, 'keep')] }, { code: 'owners-disagree' }],
    ['both keep it', { ...base, owners: [voice(1, 'keep'), voice(2, 'keep')] }, { outcome: 'kept' }],
    ['closed and within the window', { ...passed, now: at(13) }, { step: 'wait', until: at(14) }],
    ['the window is over', passed, { step: 'ask-owners', stage: 'confirmation' }],
    [
      'closing was not proven',
      { ...passed, deed: { ...closed, outcome: 'unprovable' } },
      { code: 'scream-test-unproven' },
    ],
    [
      'an operator saw it refused',
      { ...passed, deed: { ...closed, outcome: 'unprovable' }, isAttested: true },
      { stage: 'confirmation' },
    ],
    ['a scream', { ...passed, isScreamed: true }, { step: 'restore' }],
    [
      'somebody keeps it after all',
      { ...passed, owners: [voice(1, 'remove', 'keep'), voice(2, 'remove')] },
      { step: 'restore' },
    ],
    [
      'a scream while it is deleted: nothing was written',
      { ...passed, isScreamed: true, deed: { phase: 'delete', outcome: 'stopped' } },
      { step: 'restore' },
    ],
    [
      'it was restored',
      { ...passed, isScreamed: true, deed: { phase: 'restore', outcome: 'proven' } },
      { outcome: 'restored' },
    ],
    [
      'an owner confirmed',
      { ...passed, owners: [voice(1, 'remove', 'remove'), voice(2, 'remove', 'pending')] },
      { step: 'remove' },
    ],
    ['an heir has no word yet', { ...passed, owners: [voice(1, 'remove', 'remove'), voice(3)] }, { stage: 'removal' }],
    [
      'it was deleted',
      { ...passed, deed: { phase: 'delete', outcome: 'proven' }, isGone: true },
      { outcome: 'removed' },
    ],
    ['it went by itself', { ...passed, isGone: true }, { outcome: 'gone' }],
    [
      'an operator left the deletion out',
      { ...passed, deed: { phase: 'delete', outcome: 'skipped' } },
      { outcome: 'left-disabled' },
    ],
  ])('%s', (_name, standing, expected) => {
    expect(nextStep(standing)).toMatchObject(expected);
  });

  const words = fc.oneof(
    { weight: 12, arbitrary: fc.constant<Word>('remove') },
    { weight: 1, arbitrary: fc.constantFrom<Word>('none', 'pending', 'keep', 'expired') },
  );
  const seldom = fc.nat(7).map((n) => n === 7);
  const standings: fc.Arbitrary<Standing> = fc.record(
    {
      owners: fc.array(fc.tuple(words, words), { maxLength: 3 }).map((said) => said.map(([a, b], n) => voice(n, a, b))),
      required: fc.integer({ min: 0, max: 3 }),
      isFound: seldom.map((is) => !is),
      isGone: seldom,
      isScreamed: seldom,
      isAttested: fc.boolean(),
      isGivenUp: seldom,
      deed: fc.record({
        phase: fc.constantFrom<Deed['phase']>('scream-test', 'restore', 'delete'),
        outcome: fc.constantFrom<Deed['outcome']>(...SETTLED_OUTCOMES, 'open', 'nothing-to-do'),
      }),
      windowUntil: fc.integer({ min: 0, max: 20 }).map(at),
      now: fc.integer({ min: 0, max: 20 }).map(at),
    },
    { requiredKeys: ['owners', 'required', 'isFound', 'isGone', 'isScreamed', 'isAttested', 'isGivenUp', 'now'] },
  );

  /** What has to be on record before anything is deleted, said in other words than the rule itself. */
  function mayGo(one: Standing): boolean {
    const agreeing = one.owners.filter((voice_) => voice_.removal === 'remove');
    return (
      agreeing.length >= 2 &&
      agreeing.length >= one.required &&
      agreeing.length === one.owners.length &&
      one.owners.every((voice_) => voice_.confirmation !== 'keep') &&
      one.owners.some((voice_) => voice_.confirmation === 'remove') &&
      !one.isScreamed &&
      !one.isGivenUp &&
      one.windowUntil !== undefined &&
      one.windowUntil <= one.now
    );
  }

  it('nothing on record removes it with fewer voices than policy wants, on one voice, or against one', () => {
    let removals = 0;
    fc.assert(
      fc.property(standings, (one) => {
        if (nextStep(one).step !== 'remove') return;
        removals += 1;
        expect(mayGo(one)).toBe(true);
        expect(['proven', 'by-hand', 'unprovable', 'stopped', 'superseded', 'open', 'nothing-to-do']).toContain(
          one.deed?.outcome,
        );
        if (one.deed?.outcome === 'unprovable') expect(one.isAttested).toBe(true);
      }),
      { numRuns: 20_000 },
    );
    expect(removals).toBeGreaterThan(50);
  });

  /** One owner after the other says something, owners come and go, time passes: the record that a process would have at each moment. */
  const acts = fc.array(
    fc.oneof(
      {
        weight: 20,
        arbitrary: fc.record({ do: fc.constant('say' as const), owner: fc.nat(1), word: words }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), owner: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('own' as const), owner: fc.nat(3) }) },
      {
        weight: 6,
        arbitrary: fc.record({ do: fc.constant('pass' as const), days: fc.integer({ min: 1, max: 20 }) }),
      },
    ),
    { minLength: 5, maxLength: 40 },
  );
  it('no sequence of voices, leavings and days deletes without every owner of that moment', () => {
    let deleted = 0;
    fc.assert(
      fc.property(acts, (sequence) => {
        let one: Standing = { ...base, owners: [voice(0), voice(1)] };
        const set = (n: number, change: (was: OwnerVoice) => OwnerVoice): void => {
          one = { ...one, owners: one.owners.map((was) => (was.owner === owner(n) ? change(was) : was)) };
        };
        for (const act of sequence) {
          const step = nextStep(one);
          if (step.step === 'remove') {
            deleted += 1;
            expect(mayGo(one)).toBe(true);
            return;
          }
          if (step.step === 'close') one = { ...one, deed: closed, windowUntil: at(dayOf(one.now) + 14) };
          if (step.step === 'restore') one = { ...one, deed: { phase: 'restore', outcome: 'proven' } };
          if (step.step === 'end') return;
          switch (act.do) {
            case 'say': {
              const stage = step.step === 'ask-owners' && step.stage === 'confirmation' ? 'confirmation' : 'removal';
              if (act.word !== 'remove' && act.word !== 'keep') break;
              set(act.owner, (was) => (was[stage] === 'none' ? { ...was, [stage]: act.word } : was));
              break;
            }
            case 'leave':
              one = { ...one, owners: one.owners.filter((was) => was.owner !== owner(act.owner)) };
              break;
            case 'own':
              if (!one.owners.some((was) => was.owner === owner(act.owner)))
                one = { ...one, owners: [...one.owners, voice(act.owner)] };
              break;
            case 'pass':
              one = { ...one, now: at(dayOf(one.now) + act.days) };
          }
        }
      }),
      { numRuns: 10_000 },
    );
    expect(deleted).toBeGreaterThan(10);
  });

  function dayOf(instant: Instant): number {
    return (Date.parse(instant) - Date.UTC(2026, 0, 1)) / 86_400_000;
  }
});
