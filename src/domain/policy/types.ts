import type { ApplicationSlug, PolicyVersion } from '../process/ids.js';
import type { AttributeValue } from '../plan/types.js';
import type { OperationKind, Tier } from '../process/kinds.js';
import type { MaintenanceWindow } from './maintenance.js';

/** How an application is fulfilled: written by Tenure, created by the first sign-in, or by a person's hands. */
export type FulfilmentMode = 'sync' | 'jit' | 'manual';
export type Criticality = 'critical' | 'standard' | 'low';
/** What archive means at an application (seed: Tier 4). `none` leaves the disabled account where it is. */
export type ArchiveAction = 'none' | 'archive' | 'disable-only';
export type DeleteAction = 'none' | 'delete' | 'anonymise';

/** What becomes of a leaver's things at one application (seed: Tier 3). What is absent is left as it is. */
export interface HandoverPolicy {
  /** Who gets what the leaver owns here: the manager, or a delegate by the login of an account at this application. */
  readonly ownership?: 'manager' | { readonly login: string };
  readonly mail?: MailDelegation;
}

/** Where mail goes that comes for somebody who is not there. */
export interface MailDelegation {
  /** The manager, or an address. */
  readonly to: string;
  readonly keepsCopy: boolean;
  /** `{name}` is whom the mail was for, `{delegate}` the address that it goes to. */
  readonly autoReply?: { readonly subject: string; readonly text: string };
}

/** What policy says of accounts of programs at one application. */
export interface ServiceAccountPolicy {
  /** Which accounts that belong to nobody are service accounts. */
  readonly when?: Expression;
  /** Attributes of the target that `when` reads. */
  readonly reads: readonly string[];
  /** Login -> reference to the service's own secret. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** A tier's deadline, and those of single operations that have one of their own. */
export interface TierPolicy {
  readonly deadlineMs: number;
  readonly operations: Readonly<Partial<Record<OperationKind, number>>>;
}

/** A CEL expression with the place it came from, so that an error can name file and line. */
export interface Expression {
  readonly source: string;
  readonly file: string;
  readonly line: number;
}

export interface ApplicationPolicy {
  readonly slug: ApplicationSlug;
  readonly name: string;
  readonly connector: string;
  /** Handed to the connector's own schema; secrets by reference `env:NAME` or `file:PATH` only. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly mode: FulfilmentMode;
  readonly criticality: Criticality;
  /** Applications whose account must stand before this one's. */
  readonly dependsOn: readonly ApplicationSlug[];
  /** Target attribute -> CEL over `person`, `employment`, `account` (user name, mail address). */
  readonly attributes: Readonly<Record<string, Expression>>;
  /** The login at this target, CEL too; usually `account.userName` or `account.mail`. */
  readonly login: Expression;
  /** Limits that user-name candidates must respect, e.g. { login: 20 }. */
  readonly limits: Readonly<Record<string, number>>;
  /** Keys by which an existing account is recognised; strong keys adopt, weak ones propose to a person. */
  readonly correlation: { readonly strong: readonly string[]; readonly weak: readonly string[] };
  readonly archive: ArchiveAction;
  readonly delete: DeleteAction;
  /** Entitlements that administer the application itself: somebody must be left who has one. */
  readonly administrators: readonly string[];
  readonly handover?: HandoverPolicy;
  readonly serviceAccounts?: ServiceAccountPolicy;
  /** Whose the mail of somebody on extended leave is until the return. */
  readonly leave?: { readonly mail: MailDelegation };
  /** May pre-hires be provisioned here before they start (disabled), or would they be visible (edge case 19)? */
  readonly preStart: boolean;
  /** Canary account that must still sign in for a negative probe to count (design D5). */
  readonly canaryLogin?: string;
  /** What the target asks of an account before it lets it in, for the canary. */
  readonly canaryAttributes?: Readonly<Record<string, string>>;
  /** Text for the person who does it, for mode manual. Placeholders are attribute names. */
  readonly instructions?: string;
  /** Eventual consistency: how long a read may lag behind a write. */
  readonly settleMs: number;
  /** How long a visit may stay inside a sweep before it goes on by itself. */
  readonly sweepTimeoutMs: number;
  /** What the target may be asked for by all workers together; a cut does not wait for it. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
  /** Nobody but a cut writes at these times. */
  readonly maintenance: readonly MaintenanceWindow[];
  /** After so many visits in a row that found the target down, the others wait and one asks again after a pause that doubles. */
  readonly quarantine: { readonly after: number; readonly pauseMs: number; readonly longestPauseMs: number };
  /** Only workers at this site reach the target. */
  readonly site?: string;
}

export interface EntitlementGrant {
  readonly application: ApplicationSlug;
  /** Group or role name as the target knows it; absent = the account alone. */
  readonly entitlement?: string;
  /** Needs an approval before it is granted. */
  readonly sensitive: boolean;
}

export interface RolePolicy {
  readonly slug: string;
  readonly name: string;
  /** Birthright rule: CEL over `person` and `employment`, boolean. Absent: the role is only assigned. */
  readonly when?: Expression;
  readonly grants: readonly EntitlementGrant[];
  /** Taken away as soon as notice is given (edge case 28: sensitive access first). */
  readonly cutAtNotice: boolean;
}

export interface LifecyclePolicy {
  /** How long before the start instant accounts are made (disabled). */
  readonly leadTimeDays: number;
  /** Mover: how long old access stays. 0 = at once. */
  readonly moverGraceDays: number;
  readonly tiers: Readonly<Record<Tier, TierPolicy>>;
  readonly archiveAfterDays: number;
  readonly deleteAfterDays: number;
  readonly approvals: {
    readonly expiresAfterDays: number;
    readonly onExpiry: 'deny';
    /** User names or mail addresses: who decides where no manager up the line works here. */
    readonly fallback: readonly string[];
  };
  /** From how many days a leave is an extended one, which closes the accounts; a shorter one does nothing until it has lasted as long. */
  readonly leave: { readonly extendedFromDays: number };
  /** How many days before a contract ends its sponsor is warned, falling. */
  readonly contractEnd: { readonly warnDays: readonly number[] };
  /** How long Temporal goes on with a troubled visit before a person is asked. */
  readonly visitPatienceMs: number;
  /** Cuts of many people at once: above `fourEyesAbove` a second principal confirms, `atMost` are taken in one request. */
  readonly killSwitch: {
    readonly fourEyesAbove: number;
    readonly atMost: number;
    readonly proposalExpiresAfterMs: number;
  };
  /** How long after the end of access a person's records must be kept, and how long a second person has to confirm an erasure. */
  readonly erasure: { readonly keepDays: number; readonly proposalExpiresAfterMs: number };
  readonly userNames: {
    /** Candidate patterns in order, CEL over `name` (transliterated given, family, initials) and `n` (counter from 2). */
    readonly patterns: readonly Expression[];
    readonly maxLength: number;
    readonly reuseAfterYears: number;
    readonly mailDomain: string;
    /** Locale -> replacement table applied before general transliteration (ä -> ae for de, ı for tr …). */
    readonly transliteration: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
  /** Probe after a cut again when an older write was in flight; also the wait before reading again. */
  readonly recutSettleMs: number;
  /** How long after a cut its accounts are looked at again, rising. */
  readonly staysDeadMs: readonly number[];
  /** How many owners must agree to the removal of a service account, at least two, and how long it stays closed before that. */
  readonly serviceAccounts: { readonly owners: number; readonly screamTestMs: number };
}

/** One checked, compiled-at-load policy. The same object serves execution, preview, reconciliation and "why". */
export interface Policy {
  readonly version: PolicyVersion;
  readonly hash: string;
  readonly applications: readonly ApplicationPolicy[];
  readonly roles: readonly RolePolicy[];
  readonly lifecycle: LifecyclePolicy;
}

/** Text values that an expression reads. A value that HR never stated, or cleared, reads as empty text. */
export type ExpressionFields = Readonly<Record<string, string>>;

/** The same with HR's free attributes under `custom`. */
export type SubjectFields = Readonly<Record<string, string | ExpressionFields>> & { readonly custom: ExpressionFields };

/** What expressions see. All text; see docs/policy.md for the fields. */
export interface RuleContext {
  readonly person: SubjectFields;
  readonly employment: SubjectFields;
}

export interface MappingContext extends RuleContext {
  readonly account: { readonly userName: string; readonly mail: string };
  readonly manager: {
    readonly userName: string;
    readonly mail: string;
    readonly displayName: string;
    readonly nativeId: string;
  };
  /**
   * How a field came to be empty: `cleared` (HR said null), `missing` (never stated). Names as in the expression, e.g. `person.workPhone`.
   * Decides whether an empty result clears the attribute or leaves it alone (edge case 48).
   */
  readonly empty: ReadonlyMap<string, 'cleared' | 'missing'>;
}

/** An account at a target as the expressions about service accounts see it. */
export interface ServiceAccountContext {
  readonly login: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly entitlements: readonly string[];
}

export interface NameContext {
  readonly given: string;
  readonly family: string;
  readonly middle: string;
  readonly preferred: string;
  readonly givenInitial: string;
  readonly familyInitial: string;
}

/** The checked expressions of a policy, ready to run. Each throws PolicyEvaluationError, whose text holds no value. */
export interface PolicyEvaluators {
  /** True when the role's birthright rule holds. False for a role without a rule. */
  roleHolds(role: string, context: RuleContext): boolean;
  login(application: ApplicationSlug, context: MappingContext): string;
  /** Managed attributes only: an absent name means "leave as it is at the target", null means "clear". */
  attributes(application: ApplicationSlug, context: MappingContext): Readonly<Record<string, AttributeValue>>;
  /** Whether an account that belongs to nobody is a service account. False where policy does not say. */
  isServiceAccount(application: ApplicationSlug, account: ServiceAccountContext): boolean;
  /** User name by pattern `index` with counter `n`, before limits are applied. */
  userName(index: number, name: NameContext, n: number): string;
  /** Whether pattern `index` reads the counter; one that does not gives one candidate only. */
  usesCounter(index: number): boolean;
}

/** Policy plus its evaluators; rebuilt from the stored source text by `compilePolicy`, never serialised. */
export interface CompiledPolicy extends Policy {
  readonly files: readonly PolicyFile[];
  readonly evaluate: PolicyEvaluators;
}

/** One source file; `path` relative to the policy folder with forward slashes, e.g. `applications/erp.yaml`. */
export interface PolicyFile {
  readonly path: string;
  readonly text: string;
}
export type PolicyFiles = readonly PolicyFile[];

/** A finding of `tenure policy check`: what is wrong, where, and what was expected. */
export interface PolicyProblem {
  readonly file: string;
  readonly line: number;
  readonly path: string;
  readonly expression?: string;
  readonly message: string;
  readonly expected: string;
}
