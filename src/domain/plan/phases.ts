import type { Phase, ProcessSubject, Tier } from '../process/kinds.js';
import type { Absence } from '../lifecycle/leave.js';
import type { ApplicationPolicy, CompiledPolicy } from '../policy/types.js';
import {
  addOperations,
  alignOperations,
  createOperation,
  credentialOperations,
  disableOperations,
  enableOperations,
  operation,
  removeOperations,
  sessionOperations,
} from './operations.js';
import { delegateOperations, endDelegation, handoverOperations } from './handover.js';
import type { VisitInput } from './operations.js';
import type { ActualAccount, DesiredAccount, Operation } from './types.js';

export interface PhaseInput {
  readonly policy: Pick<CompiledPolicy, 'roles' | 'lifecycle'>;
  readonly kind: ProcessSubject;
  /** The application's policy; undefined when the present policy no longer knows it: access there can still be taken away. */
  readonly application: ApplicationPolicy | undefined;
  /** How far the person is on extended leave at the instant that is planned for. */
  readonly absence: Absence;
  /** The instant for which access was desired has come. */
  readonly started: boolean;
  readonly visit: VisitInput;
}

/** The tier whose deadline and proof a phase's visits stand under. */
export const TIER_OF_PHASE: Readonly<Partial<Record<Phase, Tier>>> = {
  cut: 'T1',
  deprovision: 'T2',
  handover: 'T3',
  archive: 'T4',
  delete: 'T4',
};

/** Phases that only take away: their visits never wait for each other. */
export const TAKING_PHASES: ReadonlySet<Phase> = new Set<Phase>([
  'revoke',
  'notice',
  'cut',
  'deprovision',
  'handover',
  'archive',
  'delete',
  'suspend',
  'undo',
  'scream-test',
  'retire',
  'withdraw',
]);

/** The operations of one account in one phase, in order. Empty when there is nothing to do. Pure. */
export function phaseOperations(phase: Phase, input: PhaseInput): readonly Operation[] {
  const { desired, actual } = input.visit;
  switch (phase) {
    case 'provision':
      return desired ? provision(input, desired, actual) : [];
    case 'activate':
      return desired ? activate(input, desired, actual) : [];
    case 'grant':
      return grant(input, desired, actual);
    case 'revoke':
      return actual ? revoke(input.visit, actual) : [];
    case 'notice':
      return actual ? notice(input, actual) : [];
    case 'cut':
      return actual ? cut(input.visit, actual) : [];
    case 'deprovision':
      return actual ? deprovision(input.visit, actual) : [];
    case 'handover':
      return actual && !desired ? handoverOperations(input.visit, input.application?.handover) : [];
    case 'archive':
      return actual ? archive(input, actual) : [];
    case 'delete':
      return actual && !desired ? end(input) : [];
    case 'suspend':
      return actual ? suspend(input, actual) : [];
    case 'resume':
      return resume(input, desired, actual);
    case 'undo':
      return actual ? undo(input.visit, actual) : [];
    case 'scream-test':
      return actual ? closeForScreamTest(input.visit) : [];
    case 'restore':
      return actual ? [operation(input.visit, 'enable', [input.visit.lifecycleReason], { enabled: true })] : [];
    case 'coexist':
      return desired ? give(input, desired, actual) : [];
    case 'retire':
      return actual ? disableOperations(input.visit, actual) : [];
    case 'withdraw':
      return actual ? withdraw(input.visit, actual) : [];
  }
}

function provision(
  input: PhaseInput,
  desired: DesiredAccount,
  actual: ActualAccount | undefined,
): readonly Operation[] {
  const { visit, started } = input;
  if (!started && input.application?.preStart !== true) {
    return [];
  }
  if (!actual) {
    if (visit.mode === 'jit') {
      return [];
    }
    // A person's hands do it once: whoever makes it by hand hands it over usable.
    const enabled = visit.mode === 'manual' && desired.enabled;
    return [createOperation(visit, desired, enabled), ...addOperations(visit, desired, [])];
  }
  // An account in use (another employment, an adopted one) is not touched before the start instant.
  if (actual.status === 'enabled' && !started) {
    return [];
  }
  return [...alignOperations(visit, desired, actual), ...entitlementOperations(input, desired, actual)];
}

function activate(input: PhaseInput, desired: DesiredAccount, actual: ActualAccount | undefined): readonly Operation[] {
  const { visit } = input;
  // The start moved away between the decision to activate and this plan: nothing opens before its instant (edge case 4).
  if (!input.started) {
    return provision(input, desired, actual);
  }
  if (!actual) {
    return createUsable(visit, desired);
  }
  const mayEnable = actual.status === 'disabled' || actual.status === 'unknown' || actual.sealed || actual.archived;
  return [
    ...alignOperations(visit, desired, actual),
    ...entitlementOperations(input, desired, actual),
    ...(desired.enabled && mayEnable ? enableOperations(visit, desired, isNew(actual)) : []),
  ];
}

/** A rehire starts from what policy says now; what the former account still carries is taken away (edge case 39). */
function entitlementOperations(
  { visit, kind }: PhaseInput,
  desired: DesiredAccount,
  actual: ActualAccount,
): readonly Operation[] {
  const leftovers = kind === 'rehire' ? removeOperations(visit, actual) : [];
  return [...leftovers, ...addOperations(visit, desired, actual.entitlements)];
}

function createUsable(visit: VisitInput, desired: DesiredAccount): readonly Operation[] {
  if (visit.mode === 'jit') {
    return [];
  }
  const adds = addOperations(visit, desired, []);
  if (visit.mode === 'manual' || !visit.can.has('hand-over-credential') || !visit.can.has('enable')) {
    return [createOperation(visit, desired, desired.enabled), ...adds];
  }
  const enables = desired.enabled ? enableOperations(visit, desired, true) : [];
  return [createOperation(visit, desired, false), ...adds, ...enables];
}

/** Whether the person has no credential for it: made by this process, or sealed by an earlier cut. */
function isNew(actual: ActualAccount): boolean {
  return actual.createdHere === true || actual.sealed;
}

function grant(
  input: PhaseInput,
  desired: DesiredAccount | undefined,
  actual: ActualAccount | undefined,
): readonly Operation[] {
  const { visit } = input;
  const atOnce = input.policy.lifecycle.moverGraceDays === 0;
  if (!desired) {
    return actual && atOnce ? revoke(visit, actual) : [];
  }
  return give(input, desired, actual, actual && atOnce ? removeOperations(visit, actual) : []);
}

function give(
  { visit }: PhaseInput,
  desired: DesiredAccount,
  actual: ActualAccount | undefined,
  removals: readonly Operation[] = [],
): readonly Operation[] {
  if (!actual) {
    return createUsable(visit, desired);
  }
  // An account that somebody else disabled stays so: a mover does not overrule an administrator.
  const ours = actual.sealed || actual.disabledByTenure === true || actual.createdHere === true;
  const mayEnable = desired.enabled && actual.status === 'disabled' && ours;
  return [
    ...alignOperations(visit, desired, actual),
    ...removals,
    ...addOperations(visit, desired, actual.entitlements),
    ...(mayEnable ? enableOperations(visit, desired, isNew(actual)) : []),
  ];
}

function revoke(visit: VisitInput, actual: ActualAccount): readonly Operation[] {
  return [...(visit.desired ? [] : disableOperations(visit, actual)), ...removeOperations(visit, actual)];
}

function notice(input: PhaseInput, actual: ActualAccount): readonly Operation[] {
  const { visit } = input;
  const grants = input.policy.roles
    .filter((role) => role.cutAtNotice)
    .flatMap((role) => role.grants)
    .filter((one) => one.application === visit.application);
  const names = new Set(grants.map((one) => one.entitlement));
  const accountToo = grants.length > 0 && !visit.desired;
  return [
    ...(accountToo ? disableOperations(visit, actual) : []),
    ...removeOperations(visit, actual, (name) => accountToo || names.has(name)),
  ];
}

/**
 * An extended leave: closed and proven as by a cut, so that nothing depends on a password that somebody may know; rights and what lets in beside the password stay
 * as they are. An account that another employment keeps open stays open, and one that nothing justifies is closed with the last employment only.
 */
function suspend({ visit, application, absence }: PhaseInput, actual: ActualAccount): readonly Operation[] {
  const isKept = visit.desired === undefined ? absence !== 'wholly' : visit.desired.enabled;
  // By hand nothing is closed twice; a target is asked what it has, whatever was seen last.
  const isClosed = isPutAway(actual) || (visit.mode === 'manual' && actual.status === 'disabled');
  if (absence === 'none' || isKept || isClosed) {
    return [];
  }
  return [...closeOperations(visit), ...delegateOperations(visit, application?.leave?.mail)];
}

/**
 * Back from leave: what Tenure had closed opens again as far as policy gives it now, with a new credential where the old one was replaced; what an administrator had
 * closed stays closed. What an open account held before needs no new approval.
 */
function resume(
  input: PhaseInput,
  desired: DesiredAccount | undefined,
  actual: ActualAccount | undefined,
): readonly Operation[] {
  const { visit, application, absence } = input;
  if (absence !== 'none') {
    return [];
  }
  const isBack = actual?.suspended === true;
  const ends = isBack && application?.leave !== undefined ? [endDelegation(visit)] : [];
  const known = desired && isBack ? { ...desired, sensitive: false } : desired;
  return [...(known ? grant(input, known, actual) : []), ...ends];
}

/** Tier 1. Planned even when the account was seen disabled: what counts is the proof. An account that another employment justifies stays. */
function cut(visit: VisitInput, actual: ActualAccount): readonly Operation[] {
  if (visit.desired?.enabled === true || isPutAway(actual)) {
    return [];
  }
  return [...closeOperations(visit), ...credentialOperations(visit)];
}

/** Closed in the way that can be proven best, and whoever is inside goes out. */
function closeOperations(visit: VisitInput): readonly Operation[] {
  const kind = visit.mode !== 'manual' && visit.can.has('seal') ? 'seal' : 'disable';
  return [operation(visit, kind, [visit.lifecycleReason], { enabled: false }), ...sessionOperations(visit)];
}

/** Archived and seen open again is open; archived and closed was proven closed long ago. */
function isPutAway(actual: ActualAccount): boolean {
  return actual.archived && actual.status === 'disabled';
}

/** Tier 2. What was borrowed comes back first: with it somebody is inside whatever memberships say. Asked anew each time, as the cut's proof. */
function deprovision(visit: VisitInput, actual: ActualAccount): readonly Operation[] {
  const keepsAccess = visit.desired?.enabled === true || isPutAway(actual) || !visit.can.has('check-in');
  return [
    ...(keepsAccess ? [] : [operation(visit, 'check-in', [visit.lifecycleReason])]),
    ...removeOperations(visit, actual),
  ];
}

function archive(input: PhaseInput, actual: ActualAccount): readonly Operation[] {
  const action = input.application?.archive ?? 'none';
  if (input.visit.desired || actual.archived || action === 'none') {
    return [];
  }
  return action === 'archive'
    ? [operation(input.visit, 'archive', [input.visit.lifecycleReason])]
    : disableOperations(input.visit, actual);
}

/**
 * Closed, and nothing else touched: the secret, keys and memberships stay, so that one write opens it again exactly as it was. Planned even when the account was
 * seen disabled: what counts is the proof.
 */
function closeForScreamTest(visit: VisitInput): readonly Operation[] {
  return [operation(visit, 'disable', [visit.lifecycleReason], { enabled: false }), ...sessionOperations(visit)];
}

/** The account's end, as policy says: gone, or there with nobody's name in it. A service account has nobody's name, and its owners want it gone. */
function end({ visit, application, kind }: PhaseInput): readonly Operation[] {
  if (kind === 'service-account') return [remove(visit)];
  switch (application?.delete ?? 'none') {
    case 'delete':
      return [remove(visit)];
    case 'anonymise':
      return [operation(visit, 'anonymise', [visit.lifecycleReason], { enabled: false })];
    case 'none':
      return [];
  }
}

function remove(visit: VisitInput): Operation {
  return operation(visit, 'delete', [visit.lifecycleReason]);
}

/** The exact undo of a joiner whose hire was rescinded: what it made goes, what was there before is only closed. */
function undo(visit: VisitInput, actual: ActualAccount): readonly Operation[] {
  if (visit.desired) {
    return removeOperations(visit, actual);
  }
  return [
    ...disableOperations(visit, actual),
    ...removeOperations(visit, actual),
    ...(actual.createdHere === true ? [remove(visit)] : []),
  ];
}

/** A move is rolled back: an account that is wanted again is as it was, one that the move made is gone, one that it found is only closed. */
function withdraw(visit: VisitInput, actual: ActualAccount): readonly Operation[] {
  const { desired } = visit;
  if (!desired) {
    return undo(visit, actual);
  }
  const opens = desired.enabled && actual.status !== 'enabled';
  return [
    ...alignOperations(visit, desired, actual),
    ...removeOperations(visit, actual),
    ...addOperations(visit, desired, actual.entitlements),
    ...(opens ? [operation(visit, 'enable', [visit.lifecycleReason], { enabled: true })] : []),
    ...(desired.enabled ? [] : disableOperations(visit, actual)),
  ];
}
