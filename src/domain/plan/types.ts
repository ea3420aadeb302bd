import type { AccountId, ApplicationSlug, EmploymentId, Instant, PolicyVersion } from '../process/ids.js';
import type { OperationKind, Phase, Tier } from '../process/kinds.js';
import type { FulfilmentMode } from '../policy/types.js';

export type AttributeValue = string | number | boolean | null | readonly string[];

/** Why something is desired: which rule of the policy, and which facts made it true. */
export interface Reason {
  readonly kind: 'birthright' | 'assignment' | 'mapping' | 'lifecycle';
  /** Role slug, assignment id, attribute name or lifecycle rule. */
  readonly rule: string;
  readonly factIds: readonly string[];
  readonly origin?: 'birthright' | 'request' | 'manual';
}

/** A role or entitlement given to an identity by request or by hand, beside what policy derives. */
export interface Assignment {
  readonly assignmentId: string;
  /** Either a role ... */
  readonly role?: string;
  /** ... or an application, with or without an entitlement. */
  readonly application?: ApplicationSlug;
  readonly entitlement?: string;
  readonly origin: 'request' | 'manual';
  readonly validFrom: Instant;
  readonly validUntil?: Instant;
  /** Ends with this employment; without it, with the last one. */
  readonly employmentId?: EmploymentId;
}

export interface DesiredEntitlement {
  readonly name: string;
  readonly sensitive: boolean;
  readonly cutAtNotice: boolean;
  readonly reasons: readonly Reason[];
}

export interface DesiredAccount {
  readonly application: ApplicationSlug;
  readonly mode: FulfilmentMode;
  readonly login: string;
  readonly enabled: boolean;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly entitlements: readonly DesiredEntitlement[];
  readonly reasons: readonly Reason[];
  /** Also needs an approval for the account itself (a sensitive grant without entitlement). */
  readonly sensitive: boolean;
}

/** An account as last observed. `linked: false` accounts are history (deleted or unlinked) and are ignored by the planner. */
export interface ActualAccount {
  readonly accountId: AccountId;
  readonly application: ApplicationSlug;
  readonly nativeId: string;
  readonly login: string;
  readonly status: 'enabled' | 'disabled' | 'locked' | 'unknown';
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly entitlements: readonly string[];
  readonly archived: boolean;
  /** Sealed by a cut: the secret is one that only Tenure holds. */
  readonly sealed: boolean;
  /** The last write that disabled it was ours: only then may a mover enable it again (an administrator's override is respected). */
  readonly disabledByTenure?: boolean;
  /** Closed for a leave that has not been resumed yet. */
  readonly suspended?: boolean;
  /** Made by the process that plans now: it gets the first credential, and an undo deletes it. */
  readonly createdHere?: boolean;
}

export interface AttributeDifference {
  readonly attribute: string;
  readonly from: AttributeValue | undefined;
  readonly to: AttributeValue;
}

/** The account that gets what a leaver owns: of the manager, or of a delegate that policy names. */
export interface Heir {
  /** Undefined: an account that policy names by its login; it is looked up at the target. */
  readonly nativeId?: string;
  readonly login: string;
}

/** What shall become of mail that comes for somebody who left or is on leave. */
export interface PlannedForwarding {
  /** Undefined: a forwarding is taken away. */
  readonly to?: string;
  readonly keepsCopy: boolean;
  readonly autoReply?: { readonly subject: string; readonly text: string };
}

/** One connector call in a plan. Never reaches Temporal: it holds personal values. */
export interface Operation {
  /** Stable within transition and phase: `<application>/<kind>[/<entitlement>]`. */
  readonly key: string;
  readonly kind: OperationKind;
  readonly entitlement?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly differences?: readonly AttributeDifference[];
  readonly login?: string;
  readonly enabled?: boolean;
  /** Kind `transfer-ownership`. Undefined: nobody is there to take it, and a person is asked. */
  readonly heir?: Heir;
  /** Kind `set-forwarding`. */
  readonly forwarding?: PlannedForwarding;
  /** By when policy wants it done and proven; added when the plan is stored, so that the same work has the same hash. */
  readonly deadlineAt?: Instant;
  readonly reasons: readonly Reason[];
  /** Waits for the approval named by `approvalKey` before it may run. False again once that is given. */
  readonly needsApproval: boolean;
  /** `<application>[/<entitlement>]`; present on every operation that grants something sensitive, approved or not. */
  readonly approvalKey?: string;
  /** Kind `manual`: what a person is asked to do, in order. */
  readonly steps?: readonly Operation[];
}

/** What was left out of a plan, and why: a denied approval. */
export interface DroppedOperation {
  readonly application: ApplicationSlug;
  readonly key: string;
  readonly reason: 'approval-denied';
}

/** All that happens to one person's account in one application in one phase (design D15). */
export interface PlannedVisit {
  readonly application: ApplicationSlug;
  readonly accountId?: AccountId;
  readonly mode: FulfilmentMode;
  readonly tier?: Tier;
  readonly operations: readonly Operation[];
  readonly dependsOn: readonly ApplicationSlug[];
}

export interface Plan {
  readonly phase: Phase;
  readonly policyVersion: PolicyVersion;
  readonly computedAt: Instant;
  /** Instant for which the desired state was computed. */
  readonly desiredAt: Instant;
  readonly visits: readonly PlannedVisit[];
  readonly dropped: readonly DroppedOperation[];
  /** SHA-256 over phase, policy hash, visits and what was dropped; instants do not count, so the same work has the same hash. */
  readonly hash: string;
}
