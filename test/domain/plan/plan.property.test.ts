import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { planPhase } from '../../../src/domain/plan/plan.js';
import type { PlanInput } from '../../../src/domain/plan/plan.js';
import { simulatePlan } from '../../../src/domain/plan/simulate.js';
import type { ActualAccount, DesiredAccount, Operation, Plan } from '../../../src/domain/plan/types.js';
import type { AccountId } from '../../../src/domain/process/ids.js';
import { PHASES, TRANSITION_KINDS } from '../../../src/domain/process/kinds.js';
import type { OperationKind, Phase } from '../../../src/domain/process/kinds.js';
import { FULL, changedFiles, compiled, instant, samplePolicy, slug } from './fixtures.js';

const noGrace = compiled(changedFiles({ 'lifecycle.yaml': [['moverGraceDays: 7', 'moverGraceDays: 0']] }));
const APPLICATIONS = samplePolicy.applications;
const GROUPS = ['g1', 'g2', 'payments-approver', 'ledger'] as const;
const NOW = instant('2026-03-01T00:00:00.000Z');

const value = fc.constantFrom('x', 'y', '', null, 'z');
const attributes = fc.dictionary(fc.constantFrom('a', 'b', 'c'), value, { maxKeys: 3 });
const login = fc.constantFrom('ada', 'ada2');

const desiredAccount = (application: string): fc.Arbitrary<DesiredAccount> =>
  fc.record({
    application: fc.constant(slug(application)),
    mode: fc.constant(APPLICATIONS.find((one) => one.slug === application)?.mode ?? 'sync'),
    login,
    enabled: fc.boolean(),
    attributes,
    entitlements: fc
      .subarray([...GROUPS])
      .chain((names) =>
        fc.tuple(
          ...names.map((name) =>
            fc.boolean().map((sensitive) => ({ name, sensitive, cutAtNotice: false, reasons: [] })),
          ),
        ),
      ),
    reasons: fc.constant([]),
    sensitive: fc.boolean(),
  });

const actualOf = (application: string, index: number): fc.Arbitrary<ActualAccount> =>
  fc.record({
    accountId: fc.constant(`${application}-${index}` as AccountId),
    application: fc.constant(slug(application)),
    nativeId: fc.constant(`n-${index}`),
    login,
    status: fc.constantFrom('enabled', 'disabled', 'locked', 'unknown'),
    attributes,
    entitlements: fc.subarray([...GROUPS]),
    archived: fc.boolean(),
    sealed: fc.boolean(),
    disabledByTenure: fc.boolean(),
    createdHere: fc.boolean(),
  });

function listOf<T>(make: (application: string, index: number) => fc.Arbitrary<T>, slugs: readonly string[]) {
  return fc
    .tuple(...slugs.map((application, index) => fc.option(make(application, index), { nil: undefined })))
    .map((found) => found.flatMap((one): readonly T[] => (one === undefined ? [] : [one])));
}

const SLUGS = APPLICATIONS.map((one) => one.slug as string);
const capabilities = fc
  .tuple(...SLUGS.map(() => fc.oneof(fc.constant([...FULL]), fc.subarray([...FULL]))))
  .map(
    (found) =>
      new Map(
        SLUGS.map((application, index): [ReturnType<typeof slug>, readonly OperationKind[]] => [
          slug(application),
          found[index] ?? [],
        ]),
      ),
  );
const approvals = fc
  .tuple(
    ...SLUGS.flatMap((application) => [application, ...GROUPS.map((name) => `${application}/${name}`)]).map((key) =>
      fc.constantFrom('approved', 'denied').map((state) => [key, state] as const),
    ),
  )
  .map((entries) => new Map<string, 'approved' | 'denied' | 'pending'>(entries));

/** A plan's input but for the policy, which would make every counterexample unreadable. */
type Case = Omit<PlanInput, 'policy'> & { readonly grace: boolean };

const input = (phase: Phase): fc.Arbitrary<Case> =>
  fc.record({
    grace: fc.boolean(),
    phase: fc.constant(phase),
    kind: fc.constantFrom(...TRANSITION_KINDS),
    desired: listOf(desiredAccount, SLUGS),
    // A second directory account and one in an application that the policy no longer knows.
    actual: listOf(actualOf, [...SLUGS, 'directory', 'old-crm']),
    approvals,
    capabilities,
    now: fc.constant(NOW),
    desiredAt: fc.constantFrom(NOW, instant('2026-03-04T00:00:00.000Z')),
  });

function planOf({ grace, ...given }: Case): Plan {
  return planPhase({ ...given, policy: grace ? samplePolicy : noGrace });
}

const GIVING: ReadonlySet<OperationKind> = new Set([
  'create',
  'enable',
  'add-entitlement',
  'hand-over-credential',
  'rename',
  'update',
]);
const TAKING: readonly Phase[] = ['revoke', 'notice', 'cut', 'deprovision', 'handover', 'archive', 'delete', 'undo'];

function flat(operations: readonly Operation[]): readonly Operation[] {
  return operations.flatMap((one) => [one, ...flat(one.steps ?? [])]);
}
const operationsOf = (plan: Plan): readonly Operation[] => flat(plan.visits.flatMap((visit) => visit.operations));

/** The operations that give something: none may stand in a plan that takes. */
function givingOperations(plan: Plan): readonly string[] {
  return operationsOf(plan)
    .filter((one) => GIVING.has(one.kind))
    .map((one) => one.key);
}

/** What only the target's own list tells about: planned again each time, because it asks for its proof. */
const ASKED_ANEW: ReadonlySet<OperationKind> = new Set(['check-in']);

/** What a second plan still wants after the first one is done. */
function leftOver(given: Case, apply: typeof simulatePlan = simulatePlan): readonly string[] {
  const actual = apply(given.actual, planOf(given));
  return operationsOf(planOf({ ...given, actual }))
    .filter((one) => !ASKED_ANEW.has(one.kind) && !one.steps?.every((step) => ASKED_ANEW.has(step.kind)))
    .map((one) => one.key);
}

const RUNS = { numRuns: 400, seed: 20_261_123 };

/** Asked for anew each time, because they are there to prove: a cut, and the closing and opening of a service account. */
const ALWAYS_ASKED: ReadonlySet<Phase> = new Set(['cut', 'scream-test', 'restore']);

describe('every phase', () => {
  it.each(PHASES.filter((phase) => !ALWAYS_ASKED.has(phase)))('%s: done once, there is nothing left to do', (phase) => {
    fc.assert(
      fc.property(input(phase), (given) => {
        expect(leftOver(given)).toEqual([]);
      }),
      RUNS,
    );
  });

  it.each(PHASES)('%s: keys are unique, and order of input does not change the plan', (phase) => {
    fc.assert(
      fc.property(input(phase), (given) => {
        const plan = planOf(given);
        const keys = plan.visits.flatMap((visit) => visit.operations.map((one) => one.key));
        expect(new Set(keys).size).toBe(keys.length);
        const turned = { ...given, actual: [...given.actual].reverse(), desired: [...given.desired].reverse() };
        expect(planOf(turned).hash).toBe(plan.hash);
      }),
      RUNS,
    );
  });

  it.each(TAKING)('%s: gives nothing', (phase) => {
    fc.assert(
      fc.property(input(phase), (given) => {
        expect(givingOperations(planOf(given))).toEqual([]);
      }),
      RUNS,
    );
  });

  it('provision never opens an account that Tenure writes, nor changes one in use before the start', () => {
    fc.assert(
      fc.property(input('provision'), (given) => {
        const plan = planOf(given);
        const written = plan.visits.filter((visit) => visit.mode === 'sync');
        const opening = written.flatMap((visit) => flat(visit.operations)).filter((one) => one.enabled === true);
        expect(opening).toEqual([]);
        const inUse = new Set(given.actual.filter((one) => one.status === 'enabled').map((one) => one.accountId));
        const touched = plan.visits.filter((visit) => visit.accountId !== undefined && inUse.has(visit.accountId));
        expect(given.now < given.desiredAt ? touched : []).toEqual([]);
      }),
      RUNS,
    );
  });

  it('a mover with a grace period takes nothing when it grants', () => {
    fc.assert(
      fc.property(input('grant'), (given) => {
        const plan = planOf({ ...given, grace: true });
        const taken = operationsOf(plan).filter((one) => /remove|disable|seal|delete|archive/.test(one.kind));
        expect(taken).toEqual([]);
      }),
      RUNS,
    );
  });

  it('what was denied is never granted', () => {
    fc.assert(
      fc.property(input('activate'), (given) => {
        const granted = operationsOf(planOf(given)).flatMap((one) => one.approvalKey ?? []);
        expect(granted.filter((key) => given.approvals.get(key) === 'denied')).toEqual([]);
      }),
      RUNS,
    );
  });
});

describe('cut', () => {
  it('leaves nothing usable that no other employment justifies, and asks for the proof again', () => {
    fc.assert(
      fc.property(input('cut'), (given) => {
        const plan = planOf(given);
        const kept = new Set(given.desired.filter((one) => one.enabled).map((one) => one.application));
        const mustClose = given.actual.filter((one) => !kept.has(one.application));
        const after = simulatePlan(given.actual, plan);
        for (const account of mustClose) {
          expect(after.find((one) => one.accountId === account.accountId)?.status).toBe('disabled');
        }
        // What was put away and is closed needs no proof of a cut any more.
        const live = { ...given, actual: given.actual.map((one) => ({ ...one, archived: false })) };
        const again = { ...live, actual: simulatePlan(live.actual, planOf(live)) };
        expect(planOf(again).hash).toBe(planOf(live).hash);
      }),
      RUNS,
    );
  });
});

describe('the checks themselves', () => {
  const given = fc.sample(input('revoke'), { numRuns: 50, seed: 7 });

  it('would notice a plan that takes and gives', () => {
    const plan = planOf({ ...(given[0] as Case), phase: 'cut' });
    const planted: Operation = { key: 'x/enable', kind: 'enable', reasons: [], needsApproval: false };
    const visit = { application: slug('x'), mode: 'sync' as const, operations: [planted], dependsOn: [] };
    expect(givingOperations({ ...plan, visits: [...plan.visits, visit] })).toEqual(['x/enable']);
    const hidden: Operation = { key: 'x/manual', kind: 'manual', reasons: [], needsApproval: false, steps: [planted] };
    expect(givingOperations({ ...plan, visits: [{ ...visit, operations: [hidden] }] })).toEqual(['x/enable']);
  });

  it('would notice operations that do nothing', () => {
    const lazy: typeof simulatePlan = (actual) => actual;
    expect(given.some((one) => leftOver(one, lazy).length > 0)).toBe(true);
  });
});
