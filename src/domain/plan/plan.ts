import type { ApplicationSlug, Instant } from '../process/ids.js';
import type { OperationKind, Phase, ProcessSubject } from '../process/kinds.js';
import type { Absence } from '../lifecycle/leave.js';
import type { ApplicationPolicy, CompiledPolicy } from '../policy/types.js';
import { canonicalHash } from './canonical.js';
import { manualOperations, withoutDenied } from './operations.js';
import type { HandoverInput } from './handover.js';
import type { VisitInput } from './operations.js';
import { TAKING_PHASES, TIER_OF_PHASE, phaseOperations } from './phases.js';
import type { ActualAccount, DesiredAccount, DroppedOperation, Plan, PlannedVisit, Reason } from './types.js';

export type ApprovalState = 'approved' | 'denied' | 'pending';

export interface PlanInput {
  readonly policy: CompiledPolicy;
  readonly phase: Phase;
  readonly kind: ProcessSubject;
  /**
   * What the person should have at `desiredAt`, by `desiredAccounts`. For a leaver that is what other employments still justify (nothing,
   * usually): what is in here is not cut, so it must be computed at the instant at which access ends or later.
   */
  readonly desired: readonly DesiredAccount[];
  /** The person's linked accounts as last observed. */
  readonly actual: readonly ActualAccount[];
  /** By approval key; an absent key is pending. */
  readonly approvals: ReadonlyMap<string, ApprovalState>;
  /** What each target can do; an application without an entry can do nothing, so everything there is done by hand. */
  readonly capabilities: ReadonlyMap<ApplicationSlug, readonly OperationKind[]>;
  /** Applications that policy has no more and where the person still has an account: nothing is given there, and what is taken goes by the last word on them. */
  readonly former?: readonly ApplicationPolicy[];
  readonly now: Instant;
  readonly desiredAt: Instant;
  /** Facts behind the transition, named as the reason when something is taken away. */
  readonly because?: readonly string[];
  /** How far the person is on extended leave at `desiredAt`; `none` when absent. */
  readonly absence?: Absence;
  /** Who may take over what the person leaves behind; phases `handover` and `suspend` only. */
  readonly handover?: HandoverInput;
}

/**
 * The difference between desired and actual for one phase, as ordered operations per account (design D4). Nothing to do gives no visits. The hash
 * depends on the work only, not on the instants. Pure; planning again after the work is done gives an empty plan, except for what always asks for
 * its proof: `cut`, what is checked in, what is handed over.
 */
export function planPhase(input: PlanInput): Plan {
  const dropped: DroppedOperation[] = [];
  const visits = subjectsOf(input).flatMap((subject): readonly PlannedVisit[] => {
    const visit = visitInput(input, subject, dropped);
    const operations = manualOperations(
      visit,
      phaseOperations(input.phase, {
        policy: input.policy,
        kind: input.kind,
        application: subject.application,
        absence: input.absence ?? 'none',
        started: input.now >= input.desiredAt,
        visit,
      }),
    );
    return operations.length === 0 ? [] : [plannedVisit(input, subject, visit, operations)];
  });
  const ordered = inOrder(input.phase, visits);
  const relevant = TAKING_PHASES.has(input.phase) ? [] : dropped;
  return {
    phase: input.phase,
    policyVersion: input.policy.version,
    computedAt: input.now,
    desiredAt: input.desiredAt,
    visits: ordered,
    dropped: relevant,
    hash: canonicalHash({ phase: input.phase, policy: input.policy.hash, visits: ordered, dropped: relevant }),
  };
}

/** One account, or one application in which the person should have an account and has none. */
interface Subject {
  readonly slug: ApplicationSlug;
  readonly application: ApplicationPolicy | undefined;
  readonly desired: DesiredAccount | undefined;
  readonly actual: ActualAccount | undefined;
  readonly isSecond: boolean;
}

function subjectsOf(input: PlanInput): readonly Subject[] {
  const slugs = new Set([...input.desired, ...input.actual].map((one) => one.application));
  return [...slugs].sort().flatMap((slug): readonly Subject[] => {
    const application = [...input.policy.applications, ...(input.former ?? [])].find((one) => one.slug === slug);
    const desired = input.desired.find((one) => one.application === slug);
    const [first, ...others] = accountsOf(input.actual, slug, desired);
    return [
      { slug, application, desired, actual: first, isSecond: false },
      // A second account of the person is never built up, and taken away only when the application is.
      ...others.map((actual) => ({
        slug,
        application,
        desired: keptAsIs(input.phase, desired, actual),
        actual,
        isSecond: true,
      })),
    ];
  });
}

function accountsOf(
  actual: readonly ActualAccount[],
  slug: ApplicationSlug,
  desired: DesiredAccount | undefined,
): readonly ActualAccount[] {
  const rank = (account: ActualAccount): string => `${account.login === desired?.login ? 0 : 1}${account.accountId}`;
  return actual.filter((one) => one.application === slug).sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

function keptAsIs(
  phase: Phase,
  desired: DesiredAccount | undefined,
  actual: ActualAccount,
): DesiredAccount | undefined {
  if (!desired) {
    return undefined;
  }
  const entitlements = actual.entitlements.map((name) => ({ name, sensitive: false, cutAtNotice: false, reasons: [] }));
  // A leave closes second accounts, and so its end opens them again.
  const enabled = (TAKING_PHASES.has(phase) || phase === 'resume') && desired.enabled;
  return { ...desired, login: actual.login, enabled, attributes: {}, entitlements };
}

function visitInput(input: PlanInput, subject: Subject, dropped: DroppedOperation[]): VisitInput {
  const denied = keysWith(input.approvals, 'denied');
  const stripped = subject.desired ? withoutDenied(subject.desired, subject.actual, denied) : undefined;
  dropped.push(...(stripped?.dropped ?? []));
  const can = new Set(input.capabilities.get(subject.slug) ?? []);
  const reason: Reason = { kind: 'lifecycle', rule: `${input.kind}/${input.phase}`, factIds: input.because ?? [] };
  return {
    application: subject.slug,
    mode: subject.application?.mode ?? 'sync',
    desired: stripped?.desired,
    actual: subject.actual,
    can,
    prefix: subject.isSecond && subject.actual ? `${subject.slug}@${subject.actual.accountId}` : subject.slug,
    approved: keysWith(input.approvals, 'approved'),
    lifecycleReason: reason,
    ...(input.handover === undefined ? {} : { handover: input.handover }),
  };
}

function keysWith(approvals: ReadonlyMap<string, ApprovalState>, state: ApprovalState): ReadonlySet<string> {
  return new Set([...approvals].filter(([, value]) => value === state).map(([key]) => key));
}

function plannedVisit(
  input: PlanInput,
  subject: Subject,
  visit: VisitInput,
  operations: PlannedVisit['operations'],
): PlannedVisit {
  const tier = TIER_OF_PHASE[input.phase];
  return {
    application: subject.slug,
    mode: visit.mode,
    operations,
    dependsOn: TAKING_PHASES.has(input.phase) ? [] : (subject.application?.dependsOn ?? []),
    ...(subject.actual ? { accountId: subject.actual.accountId } : {}),
    ...(tier === undefined ? {} : { tier }),
  };
}

/** Dependencies first; only dependencies that have work of their own in this plan are waited for. */
function inOrder(phase: Phase, visits: readonly PlannedVisit[]): readonly PlannedVisit[] {
  if (TAKING_PHASES.has(phase)) {
    return visits;
  }
  const present = new Set(visits.map((visit) => visit.application));
  const trimmed = visits.map((visit) => ({ ...visit, dependsOn: visit.dependsOn.filter((slug) => present.has(slug)) }));
  const ordered: PlannedVisit[] = [];
  let rest = trimmed;
  while (rest.length > 0) {
    const waiting = new Set(rest.map((visit) => visit.application));
    const ready = rest.filter((visit) => !visit.dependsOn.some((slug) => waiting.has(slug)));
    // The compiler refuses circles; should one come through, order matters less than not looping for ever.
    ordered.push(...(ready.length > 0 ? ready : rest));
    rest = ready.length > 0 ? rest.filter((visit) => !ready.includes(visit)) : [];
  }
  return ordered;
}
