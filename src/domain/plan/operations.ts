import type { ApplicationSlug } from '../process/ids.js';
import type { OperationKind } from '../process/kinds.js';
import type { FulfilmentMode } from '../policy/types.js';
import type { HandoverInput } from './handover.js';
import type {
  ActualAccount,
  AttributeDifference,
  AttributeValue,
  DesiredAccount,
  DesiredEntitlement,
  DroppedOperation,
  Operation,
  Reason,
} from './types.js';

/** Everything that the operations of one account in one application are made from. */
export interface VisitInput {
  readonly application: ApplicationSlug;
  readonly mode: FulfilmentMode;
  /** What the person should have here; undefined when nothing justifies the account. Denied grants are out already. */
  readonly desired: DesiredAccount | undefined;
  readonly actual: ActualAccount | undefined;
  readonly can: ReadonlySet<OperationKind>;
  /** First part of each key: the application, for a second account of the person there with the account's id. */
  readonly prefix: string;
  readonly approved: ReadonlySet<string>;
  /** Why something is taken away. */
  readonly lifecycleReason: Reason;
  /** Who may take over; only where a phase hands something over. */
  readonly handover?: HandoverInput;
}

/** The approval that a sensitive grant waits for: `<application>/<entitlement>`, or `<application>` for an account itself. */
export function approvalKey(application: ApplicationSlug, entitlement?: string): string {
  return entitlement === undefined ? application : `${application}/${entitlement}`;
}

type Extras = Omit<Operation, 'key' | 'kind' | 'reasons' | 'needsApproval'>;

/** One operation; becomes `manual` under the same key when the target lacks the capability (design D12). */
export function operation(
  visit: VisitInput,
  kind: OperationKind,
  reasons: readonly Reason[],
  extras: Extras = {},
): Operation {
  const suffix = extras.entitlement === undefined ? '' : `/${extras.entitlement}`;
  const needsApproval = extras.approvalKey !== undefined && !visit.approved.has(extras.approvalKey);
  const wanted: Operation = { key: `${visit.prefix}/${kind}${suffix}`, kind, reasons, needsApproval, ...extras };
  return visit.mode === 'manual' || visit.can.has(kind) ? wanted : byHand(wanted.key, [wanted]);
}

/** One operation that a target could do and that a person has to decide: nobody knows to whom, for instance. */
export function askedOperation(visit: VisitInput, kind: OperationKind, reasons: readonly Reason[]): Operation {
  const key = `${visit.prefix}/${kind}`;
  return byHand(key, [{ key, kind, reasons, needsApproval: false }]);
}

function byHand(key: string, steps: readonly Operation[]): Operation {
  const first = steps[0];
  const key_ = first?.approvalKey;
  return {
    key,
    kind: 'manual',
    reasons: steps.flatMap((step) => step.reasons),
    needsApproval: steps.some((step) => step.needsApproval),
    ...(steps.length === 1 && first?.entitlement !== undefined ? { entitlement: first.entitlement } : {}),
    ...(key_ === undefined ? {} : { approvalKey: key_ }),
    steps,
  };
}

/** For an application that nothing can reach: one task for a person, and one more per grant that waits for an approval of its own. */
export function manualOperations(visit: VisitInput, operations: readonly Operation[]): readonly Operation[] {
  if (visit.mode !== 'manual' || operations.length === 0) {
    return operations;
  }
  const gated = operations.filter((step) => step.needsApproval);
  const free = operations.filter((step) => !step.needsApproval);
  return [
    ...(free.length === 0 ? [] : [byHand(`${visit.prefix}/manual`, free)]),
    ...gated.map((step) => byHand(step.key.replace('/', '/manual/'), [step])),
  ];
}

/** A new account with its attributes, entitlements left to the following operations. */
export function createOperation(visit: VisitInput, desired: DesiredAccount, enabled: boolean): Operation {
  // Null clears, and in a new account there is nothing to clear.
  const attributes = Object.fromEntries(Object.entries(desired.attributes).filter(([, value]) => value !== null));
  const differences = Object.entries(attributes).map(([attribute, to]) => ({ attribute, from: undefined, to }));
  const key = desired.sensitive ? { approvalKey: approvalKey(visit.application) } : {};
  const extras = { login: desired.login, enabled, attributes, differences, ...key };
  return operation(visit, 'create', desired.reasons, extras);
}

/** Rename and update of an existing account: same native id, never recreated (edge case 24). */
export function alignOperations(
  visit: VisitInput,
  desired: DesiredAccount,
  actual: ActualAccount,
): readonly Operation[] {
  const operations: Operation[] = [];
  if (actual.login !== desired.login) {
    const differences = [{ attribute: 'login', from: actual.login, to: desired.login }];
    operations.push(operation(visit, 'rename', desired.reasons, { login: desired.login, differences }));
  }
  const differences = attributeDifferences(desired, actual);
  if (differences.length > 0) {
    const attributes = Object.fromEntries(differences.map(({ attribute, to }) => [attribute, to]));
    const mapping = differences.map(({ attribute }): Reason => ({ kind: 'mapping', rule: attribute, factIds: [] }));
    operations.push(operation(visit, 'update', mapping, { attributes, differences }));
  }
  return operations;
}

function attributeDifferences(desired: DesiredAccount, actual: ActualAccount): readonly AttributeDifference[] {
  return Object.entries(desired.attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([attribute, to]) => ({ attribute, from: actual.attributes[attribute], to }))
    .filter(({ from, to }) => !sameValue(from, to));
}

/** Absent and null are the same at a target; an empty text is a value (edge case 48). Multi-values have no order. */
function sameValue(from: AttributeValue | undefined, to: AttributeValue): boolean {
  if (isList(from) && isList(to)) {
    return JSON.stringify([...from].sort()) === JSON.stringify([...to].sort());
  }
  return (from ?? null) === to;
}

function isList(value: AttributeValue | undefined): value is readonly string[] {
  return Array.isArray(value);
}

/** Entitlements that are desired and not held. */
export function addOperations(
  visit: VisitInput,
  desired: DesiredAccount,
  held: readonly string[],
): readonly Operation[] {
  return desired.entitlements
    .filter((entitlement) => !held.includes(entitlement.name))
    .map((entitlement) =>
      operation(visit, 'add-entitlement', entitlement.reasons, {
        entitlement: entitlement.name,
        ...grantApproval(visit, desired, entitlement),
      }),
    );
}

/** Inside an account that itself waits to be approved, everything waits for that; then a sensitive entitlement for its own approval. */
function grantApproval(
  visit: VisitInput,
  desired: DesiredAccount,
  entitlement: DesiredEntitlement,
): { readonly approvalKey?: string } {
  const accountKey = approvalKey(visit.application);
  if (desired.sensitive && !visit.actual && !visit.approved.has(accountKey)) {
    return { approvalKey: accountKey };
  }
  return entitlement.sensitive ? { approvalKey: approvalKey(visit.application, entitlement.name) } : {};
}

/** Entitlements that are held and not desired; all of them when the account is not desired. `only` narrows what may be taken. */
export function removeOperations(
  visit: VisitInput,
  actual: ActualAccount,
  only: (name: string) => boolean = () => true,
): readonly Operation[] {
  const wanted = new Set((visit.desired?.entitlements ?? []).map((entitlement) => entitlement.name));
  return [...new Set(actual.entitlements)]
    .filter((name) => !wanted.has(name) && only(name))
    .sort()
    .map((name) => operation(visit, 'remove-entitlement', [visit.lifecycleReason], { entitlement: name }));
}

/** Disables what is not disabled yet and ends its sessions. */
export function disableOperations(visit: VisitInput, actual: ActualAccount): readonly Operation[] {
  if (actual.status === 'disabled') {
    return [];
  }
  return [operation(visit, 'disable', [visit.lifecycleReason], { enabled: false }), ...sessionOperations(visit)];
}

export function sessionOperations(visit: VisitInput): readonly Operation[] {
  return visit.mode !== 'manual' && visit.can.has('revoke-sessions')
    ? [operation(visit, 'revoke-sessions', [visit.lifecycleReason])]
    : [];
}

/** What lets somebody in beside the password. Planned whenever the target knows of such things: only its own list tells whether there are any. */
export function credentialOperations(visit: VisitInput): readonly Operation[] {
  return visit.can.has('revoke-credentials') ? [operation(visit, 'revoke-credentials', [visit.lifecycleReason])] : [];
}

/**
 * Makes an account usable, last of all, so that it opens only when it is right. The first credential goes before it: a repeat after a crash in
 * between hands over a fresh one, where the other order could lose it.
 */
export function enableOperations(visit: VisitInput, desired: DesiredAccount, isNew: boolean): readonly Operation[] {
  const key = desired.sensitive ? { approvalKey: approvalKey(visit.application) } : {};
  const handsOver = isNew && visit.mode !== 'manual' && visit.can.has('hand-over-credential');
  return [
    ...(handsOver ? [operation(visit, 'hand-over-credential', desired.reasons, key)] : []),
    operation(visit, 'enable', desired.reasons, { enabled: true, ...key }),
  ];
}

/** What was denied: out of the desired state, and noted when it would have been granted. */
export function withoutDenied(
  desired: DesiredAccount,
  actual: ActualAccount | undefined,
  denied: ReadonlySet<string>,
): { readonly desired: DesiredAccount | undefined; readonly dropped: readonly DroppedOperation[] } {
  const { application } = desired;
  const drop = (key: string): DroppedOperation => ({ application, key, reason: 'approval-denied' });
  if (desired.sensitive && denied.has(approvalKey(application))) {
    return { desired: undefined, dropped: actual ? [] : [drop(`${application}/create`)] };
  }
  const isDenied = (one: DesiredEntitlement): boolean =>
    one.sensitive && denied.has(approvalKey(application, one.name));
  const dropped = desired.entitlements
    .filter((one) => isDenied(one) && !actual?.entitlements.includes(one.name))
    .map((one) => drop(`${application}/add-entitlement/${one.name}`));
  const entitlements = desired.entitlements.filter((one) => !isDenied(one));
  return { desired: { ...desired, entitlements }, dropped };
}
