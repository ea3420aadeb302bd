import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  MOVE_STATES,
  haltsWave,
  keptByMoves,
  moveTransitions,
  waveSizes,
  wantedOf,
  withMoves,
} from '../../../src/domain/migration/moves.js';
import type { Move, MoveCourse } from '../../../src/domain/migration/moves.js';
import { differences, restored } from '../../../src/domain/migration/snapshot.js';
import type { AccountSnapshot } from '../../../src/domain/migration/snapshot.js';
import { planPhase } from '../../../src/domain/plan/plan.js';
import { simulatePlan } from '../../../src/domain/plan/simulate.js';
import type { ActualAccount, DesiredAccount } from '../../../src/domain/plan/types.js';
import type { LocalDate, ZoneId } from '../../../src/domain/process/ids.js';
import { MOVE_STEPS, moveStepOf } from '../../../src/domain/process/kinds.js';
import { startOfWorkDay } from '../../../src/domain/time/instants.js';
import { FULL, actualAccount, instant, samplePolicy, slug } from '../plan/fixtures.js';

const OLD = slug('directory');
const NEW = slug('erp');
const NOW = instant('2026-06-01T10:00:00.000Z');
const ZONE = 'Etc/UTC' as ZoneId;

const stateArbitrary = fc.constantFrom(...MOVE_STATES.filter((state) => state !== 'left'));
const move: fc.Arbitrary<Move> = fc.record({
  from: fc.constant(OLD),
  to: fc.constant(NEW),
  state: stateArbitrary,
  keepsTo: fc.boolean(),
});
const attributes = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('x', 'y'), { maxKeys: 3 });
const groups = fc.subarray(['g1', 'g2', 'g3']);

const desired = (application: typeof OLD): fc.Arbitrary<DesiredAccount> =>
  fc.record({
    application: fc.constant(application),
    mode: fc.constant('sync' as const),
    login: fc.constant('ada'),
    enabled: fc.boolean(),
    attributes,
    entitlements: groups.map((names) =>
      names.map((name) => ({ name, sensitive: false, cutAtNotice: false, reasons: [] })),
    ),
    reasons: fc.constant([]),
    sensitive: fc.constant(false),
  });
const wantedByPolicy = fc
  .tuple(fc.option(desired(OLD)), fc.option(desired(NEW)), fc.option(desired(slug('wiki'))))
  .map((all) => all.filter((one) => one !== null));

const isOpen = (accounts: readonly DesiredAccount[]): boolean =>
  accounts.some((one) => (one.application === OLD || one.application === NEW) && one.enabled);

describe('a move laid over desired state', () => {
  it('leaves nobody without an open account whom policy gives one', () => {
    fc.assert(
      fc.property(wantedByPolicy, move, (accounts, one) => {
        expect(isOpen(withMoves(accounts, [one]))).toBe(isOpen(accounts));
      }),
    );
  });

  it('is seen when it would: the planted rule that drops the old account without looking at the new one', () => {
    const careless = (accounts: readonly DesiredAccount[], one: Move): readonly DesiredAccount[] =>
      wantedOf(one).from ? accounts : accounts.filter((account) => account.application !== one.from);
    const property = fc.property(wantedByPolicy, move, (accounts, one) => {
      expect(isOpen(careless(accounts, one))).toBe(isOpen(accounts));
    });
    expect(fc.check(property).failed).toBe(true);
  });

  it('wants one of the two accounts in every state, and both side by side only in coexistence', () => {
    for (const state of MOVE_STATES) {
      if (state === 'left') continue;
      const wanted = wantedOf({ state, keepsTo: false });
      expect(wanted.from || wanted.to).toBe(true);
      expect(wanted.from && wanted.to).toBe(state === 'coexisting');
    }
  });

  it('changes nothing when it is laid over twice, and nothing of other applications', () => {
    fc.assert(
      fc.property(wantedByPolicy, move, (accounts, one) => {
        const once = withMoves(accounts, [one]);
        expect(withMoves(once, [one])).toEqual(once);
        const others = (list: readonly DesiredAccount[]) => list.filter((it) => it.application === slug('wiki'));
        expect(others(once)).toEqual(others(accounts));
      }),
    );
  });

  it('keeps a closed old account out of sight of everything but its move, until a leaver comes', () => {
    expect([...keptByMoves([{ from: OLD, to: NEW, state: 'retired', keepsTo: true }])]).toEqual([OLD]);
    expect([...keptByMoves([{ from: OLD, to: NEW, state: 'coexisting', keepsTo: false }])]).toEqual([]);
  });
});

const account = (application: typeof OLD): fc.Arbitrary<ActualAccount> =>
  fc
    .record({ status: fc.constantFrom('enabled' as const, 'disabled' as const), attributes, entitlements: groups })
    .map((more) => actualAccount(application, { ...more, login: 'ada' }));

const snapshotOf = (one: ActualAccount | undefined): AccountSnapshot | null =>
  one === undefined
    ? null
    : {
        login: one.login,
        status: one.status,
        attributes: Object.fromEntries(Object.entries(one.attributes).filter(([, value]) => value !== null)),
        entitlements: one.entitlements,
      };

/** Coexistence and, if it came so far, the cut-over; then the roll-back. */
function thereAndBack(
  before: readonly ActualAccount[],
  policy: readonly DesiredAccount[],
  isRetired: boolean,
  back: typeof restored = restored,
): readonly ActualAccount[] {
  const base = {
    policy: samplePolicy,
    kind: 'migration' as const,
    approvals: new Map(),
    capabilities: new Map([
      [OLD, FULL],
      [NEW, FULL],
    ]),
    now: NOW,
    desiredAt: NOW,
  };
  const at = <T extends { readonly application: string }>(list: readonly T[], application: string): readonly T[] =>
    list.filter((one) => one.application === application);
  const of = (accounts: readonly ActualAccount[], application: string) => at(accounts, application)[0];
  let now = simulatePlan(
    before,
    planPhase({ ...base, phase: 'coexist', desired: at(policy, NEW), actual: at(before, NEW) }),
  );
  if (isRetired) now = simulatePlan(now, planPhase({ ...base, phase: 'retire', desired: [], actual: at(now, OLD) }));
  const from = snapshotOf(of(before, OLD));
  if (from === null) throw new Error('nobody moves without an old account');
  const snapshot = { from, to: snapshotOf(of(before, NEW)), facts: 1 };
  const wanted = of(now, OLD) === undefined ? undefined : at(policy, OLD)[0];
  const undone = back({ from: OLD, to: NEW }, snapshot, { actual: now, wanted, facts: 1 });
  return simulatePlan(now, planPhase({ ...base, phase: 'withdraw', desired: undone, actual: now }));
}

const life = fc.tuple(account(OLD), fc.option(account(NEW)), desired(OLD), desired(NEW), fc.boolean());

describe('a roll-back', () => {
  it('is the identity: both accounts are what they were, whether or not the old one was closed meanwhile', () => {
    fc.assert(
      fc.property(life, ([old, found, policyOld, policyNew, isRetired]) => {
        const before = found === null ? [old] : [old, found];
        const after = thereAndBack(before, [policyOld, policyNew], isRetired);
        for (const application of [OLD, NEW]) {
          const was = snapshotOf(before.find((one) => one.application === application));
          const is = snapshotOf(after.find((one) => one.application === application));
          expect([application, differences(was, is)]).toEqual([application, []]);
        }
      }),
    );
  });

  it('is seen when it is not: the planted one that forgets to open the old account', () => {
    const forgetful: typeof restored = (one, before, now) =>
      restored(one, before, now).filter((account_) => account_.application !== OLD);
    const property = fc.property(life, ([old, , policyOld, policyNew]) => {
      const after = thereAndBack([old], [policyOld, policyNew], true, forgetful);
      expect(differences(snapshotOf(old), snapshotOf(after.find((one) => one.application === OLD)))).toEqual([]);
    });
    expect(fc.check(property).failed).toBe(true);
  });

  it('catches up with what HR said after the move began', () => {
    const old = actualAccount(OLD, { login: 'ada', status: 'disabled', attributes: { a: 'x' }, entitlements: [] });
    const wanted: DesiredAccount = {
      application: OLD,
      mode: 'sync',
      login: 'ada',
      enabled: true,
      attributes: { a: 'new' },
      entitlements: [],
      reasons: [],
      sensitive: false,
    };
    const before = {
      from: { login: 'ada', status: 'enabled', attributes: { a: 'x' }, entitlements: [] },
      to: null,
      facts: 1,
    } as const;
    expect(restored({ from: OLD, to: NEW }, before, { actual: [old], wanted, facts: 2 })).toEqual([wanted]);
  });
});

describe('the steps of a move', () => {
  const course = (more: Partial<MoveCourse>): MoveCourse => ({
    moveId: 'move-1',
    state: 'coexisting',
    attempt: 0,
    releasedAt: NOW,
    provenAt: NOW,
    retiredAt: null,
    rolledBackAt: null,
    failedStep: null,
    wave: { isHalted: false, cutOverOn: '2026-06-10' as LocalDate, cutOverAt: null },
    ...more,
  });
  const steps = (more: Partial<MoveCourse>, zone = ZONE) =>
    moveTransitions(course(more), zone, samplePolicy.lifecycle).map(
      (one) => `${moveStepOf(one.id)} ${one.effectiveAt}`,
    );

  it('cut over at midnight of the date in the zone of the person, and at once when an operator says so', () => {
    expect(steps({}, 'Pacific/Auckland' as ZoneId)).toEqual([
      `coexist ${NOW}`,
      `retire ${startOfWorkDay('2026-06-10' as LocalDate, 'Pacific/Auckland' as ZoneId)}`,
    ]);
    const cutOverAt = instant('2026-06-02T00:00:00.000Z');
    expect(steps({ wave: { ...course({}).wave, cutOverAt } })).toContain(`retire ${cutOverAt}`);
  });

  it('close no old account before the new one is proven, after a failure, or in a halted wave', () => {
    const retires = (more: Partial<MoveCourse>): boolean => steps(more).some((step) => step.startsWith('retire'));
    expect(retires({})).toBe(true);
    expect(retires({ provenAt: null })).toBe(false);
    expect(retires({ failedStep: 'coexist' })).toBe(false);
    expect(retires({ wave: { ...course({}).wave, isHalted: true } })).toBe(false);
    // Its process stands already, and is not taken from under its own feet.
    expect(retires({ failedStep: 'retire', wave: { ...course({}).wave, isHalted: true } })).toBe(true);
  });

  it('end for somebody who left, and begin anew with each attempt', () => {
    expect(steps({ state: 'left' })).toEqual([]);
    const digest = (attempt: number) => moveTransitions(course({ attempt }), ZONE, samplePolicy.lifecycle)[0]?.digest;
    expect(digest(0)).not.toBe(digest(1));
  });

  it('put the old account away in its time', () => {
    const retiredAt = instant('2026-06-10T00:00:00.000Z');
    expect(steps({ state: 'retired', retiredAt })).toEqual([
      'retire 2026-06-10T00:00:00.000Z',
      'archive 2026-07-10T00:00:00.000Z',
      'delete 2026-09-08T00:00:00.000Z',
    ]);
  });

  it('are named by their process', () => {
    for (const [index, step] of MOVE_STEPS.entries()) expect(moveStepOf(`m/migration/${index + 1}/r2`)).toBe(step);
    expect(() => moveStepOf('m/migration/9/r1')).toThrow('not a process of a migration');
  });
});

describe('waves', () => {
  it('take everybody once, none empty', () => {
    const cut = fc.oneof(
      fc.integer({ min: 1, max: 50 }).map((size) => ({ size })),
      fc
        .array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 })
        .map((percentages) => ({ percentages })),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 500 }), cut, (people, how) => {
        const sizes = waveSizes(people, how);
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(people);
        expect(sizes.every((size) => size > 0)).toBe(true);
      }),
    );
    expect(waveSizes(200, { size: 60 })).toEqual([60, 60, 60, 20]);
    expect(waveSizes(200, { percentages: [5, 25, 100] })).toEqual([10, 40, 150]);
  });

  it('halt above the share of failures, not at it', () => {
    expect([haltsWave(5, 50, 10), haltsWave(6, 50, 10), haltsWave(0, 50, 0), haltsWave(1, 50, 0)]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });
});
