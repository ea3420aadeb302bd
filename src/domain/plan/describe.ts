import type { Instant } from '../process/ids.js';
import type { OperationKind, Phase } from '../process/kinds.js';
import type { AttributeValue, Operation, Plan, Reason } from './types.js';

const VERBS: Readonly<Record<OperationKind, string>> = {
  create: 'create account',
  update: 'update attributes',
  rename: 'rename account',
  enable: 'enable account',
  disable: 'disable account',
  seal: 'disable account and make its secret useless',
  'revoke-sessions': 'end sessions',
  'revoke-credentials': 'take away second factors and keys',
  'check-in': 'take back leases, borrowed secrets and privileged sessions',
  'hand-over-credential': 'hand over first credential',
  'add-entitlement': 'add entitlement',
  'remove-entitlement': 'remove entitlement',
  'transfer-ownership': 'give what it owns to',
  'set-forwarding': 'forward mail to',
  archive: 'archive account',
  anonymise: 'make account anonymous',
  delete: 'delete account',
  manual: 'by hand',
};

/**
 * A plan for people: a line per operation with its reasons, below it a line per attribute difference. Holds personal values, so it is for the API
 * and the CLI, never for Temporal. Pure.
 */
export function describePlan(plan: Plan): readonly string[] {
  const lines = plan.visits.flatMap((visit) =>
    visit.operations.flatMap((one) => describeOperation(one).map((line) => `${visit.application}: ${line}`)),
  );
  const dropped = plan.dropped.map((one) => `${one.application}: left out, approval denied: ${one.key}`);
  return lines.length + dropped.length === 0 ? ['nothing to do'] : [...lines, ...dropped];
}

function describeOperation(operation: Operation): readonly string[] {
  const steps = operation.steps ?? [];
  if (operation.kind === 'manual' && steps.length > 0) {
    return steps.flatMap((step) => {
      const [head = '', ...rest] = describeOperation(step);
      return [`by hand: ${head}`, ...rest];
    });
  }
  const subject = subjectOf(operation);
  const state = operation.kind === 'create' ? ` (${operation.enabled === true ? 'enabled' : 'disabled'})` : '';
  const waits = operation.needsApproval ? `, waits for approval ${operation.approvalKey ?? ''}` : '';
  const head = `${VERBS[operation.kind]}${subject === undefined ? '' : ` "${subject}"`}${state}${waits}`;
  const because = [...new Set(operation.reasons.filter((reason) => reason.kind !== 'mapping').map(describeReason))];
  const differences = (operation.differences ?? []).map(
    ({ attribute, from, to }) => `  ${attribute}: ${describeValue(from)} -> ${describeValue(to)}`,
  );
  return [because.length === 0 ? head : `${head} (${because.join('; ')})`, ...differences];
}

function subjectOf(operation: Operation): string | undefined {
  switch (operation.kind) {
    case 'create':
      return operation.login;
    case 'transfer-ownership':
      return operation.heir?.login ?? '(nobody yet)';
    case 'set-forwarding':
      return operation.forwarding?.to ?? '(nobody)';
    default:
      return operation.entitlement;
  }
}

/** One reason in words, e.g. `role finance`. Pure. */
export function describeReason(reason: Reason): string {
  const noun = { birthright: 'role', assignment: 'assignment', mapping: 'mapping', lifecycle: 'lifecycle' }[
    reason.kind
  ];
  return `${noun} ${reason.rule}`;
}

function describeValue(value: AttributeValue | undefined): string {
  return value === undefined || value === null ? '(none)' : JSON.stringify(value);
}

export interface PreviewPhase {
  readonly phase: Phase;
  readonly desiredAt: Instant;
  readonly hash: string;
  readonly lines: readonly string[];
}

/** Several phases of one process as one answer. */
export interface PlanPreview {
  /** In order of their instants, empty ones left out. */
  readonly phases: readonly PreviewPhase[];
  readonly totals: Readonly<Partial<Record<OperationKind, number>>>;
  /** Approval keys that would be waited for. */
  readonly approvals: readonly string[];
}

/** Puts the plans of one process' phases together for a preview. Each should be planned on what `simulatePlan` says the one before leaves. Pure. */
export function mergePreview(plans: readonly Plan[]): PlanPreview {
  const operations = plans.flatMap((plan) => plan.visits.flatMap((visit) => visit.operations));
  const totals: Partial<Record<OperationKind, number>> = {};
  for (const { kind } of operations) {
    totals[kind] = (totals[kind] ?? 0) + 1;
  }
  const waiting = operations.filter((one) => one.needsApproval).flatMap((one) => one.approvalKey ?? []);
  return {
    phases: plans
      .filter((plan) => plan.visits.length + plan.dropped.length > 0)
      .sort((a, b) => (a.desiredAt < b.desiredAt ? -1 : a.desiredAt > b.desiredAt ? 1 : 0))
      .map((plan) => ({ phase: plan.phase, desiredAt: plan.desiredAt, hash: plan.hash, lines: describePlan(plan) })),
    totals,
    approvals: [...new Set(waiting)].sort(),
  };
}
