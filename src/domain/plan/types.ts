import type { AccountId, ApplicationSlug, Instant, PolicyVersion } from '../process/ids.js';
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
}

export interface AttributeDifference {
  readonly attribute: string;
  readonly from: AttributeValue | undefined;
  readonly to: AttributeValue;
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
  readonly reasons: readonly Reason[];
  /** Waits for this approval (entitlement key) before it may run. */
  readonly needsApproval: boolean;
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
  readonly hash: string;
}
