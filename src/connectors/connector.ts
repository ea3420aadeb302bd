import type { ConnectorErrorCode } from './errors.js';
import type { Secret, SecretSink } from './secret.js';

export type AttributeValue = string | number | boolean | null | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** What a connector logs with: object first, fixed message. pino fits. */
export interface ConnectorLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** An account inside a target; `nativeId` is immutable, login and mail are attributes. */
export interface AccountRef {
  /** The application's id as written in policy. */
  readonly application: string;
  readonly objectClass: string;
  readonly nativeId: string;
}

/** A target-side group, role or licence, by its name or id as written in policy. */
export interface EntitlementRef {
  readonly application: string;
  readonly name: string;
}

export interface AccountSpec {
  readonly objectClass: 'account';
  readonly login: string;
  readonly enabled: boolean;
  readonly attributes: Attributes;
}

/** The attribute name `login` renames the account where the target can. */
export interface AttributeDelta {
  readonly attribute: string;
  readonly op: 'replace' | 'add' | 'remove';
  readonly value: AttributeValue;
}

/** Unknown is never enabled, and never disabled. */
export type AccountStatus = 'enabled' | 'disabled' | 'locked' | 'unknown';

export interface ObservedAccount {
  readonly ref: AccountRef;
  readonly login: string;
  readonly status: AccountStatus;
  readonly attributes: Attributes;
  /** Undefined: this read does not show entitlements (which is not the same as none). */
  readonly entitlements: readonly string[] | undefined;
  readonly version?: string;
}

export interface CorrelationKey {
  /** An attribute name; `login` is always allowed. */
  readonly attribute: string;
  readonly value: string;
}

export type Cursor = string;

export interface ListQuery {
  readonly objectClass: string;
  /** The page is never larger than this. */
  readonly pageSize: number;
  readonly cursor?: Cursor | undefined;
}

/** One page. `complete: false` forbids the conclusion "missing, so deleted". */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: Cursor;
  readonly complete: boolean;
  readonly snapshotAt?: string;
}

export interface MutationResult {
  readonly outcome: 'applied' | 'already-in-state';
  readonly ref: AccountRef;
  /** What the target changed, side effects included. May hold values: the caller encrypts it. */
  readonly changed: readonly AttributeDelta[];
}

export interface ExpectedState {
  readonly ref: AccountRef;
  readonly exists: boolean;
  readonly status?: 'enabled' | 'disabled';
  readonly login?: string;
  readonly attributes?: Attributes;
  readonly entitlementsPresent?: readonly string[];
  readonly entitlementsAbsent?: readonly string[];
  /** True while the write is younger than the application's consistency window: a difference is `pending` then. */
  readonly settling?: boolean;
}

export interface Mismatch {
  readonly what: 'existence' | 'status' | 'attribute' | 'entitlement';
  /** The attribute's or entitlement's name, never a value. */
  readonly name?: string;
}

/** `unknown` means the target did not let itself be read well enough; it never counts as proof. */
export interface Verification {
  readonly verdict: 'ok' | 'mismatch' | 'pending' | 'unknown';
  readonly mismatches: readonly Mismatch[];
  /** How it was read, for instance `sql:second-connection`. */
  readonly road: string;
  /** May hold values: the caller encrypts it. */
  readonly seen: Readonly<Record<string, unknown>>;
}

/** What a real sign-in attempt told. Only `disabled` proves a cut, only `accepted` proves access. */
export interface SignInAnswer {
  readonly answer: 'accepted' | 'disabled' | 'wrong-secret' | 'locked' | 'unknown';
  /** The target's own code (SQLSTATE, HTTP status and error id). Never personal. */
  readonly code: string;
  readonly road: string;
}

export interface SessionCount {
  readonly count: number;
  readonly road: string;
  /** What lives on after a revocation, and until when at the latest (ISO 8601 UTC): an access token that nobody can call back. */
  readonly residual?: { readonly what: string; readonly until: string };
}

/** What lets somebody in beside the password: a second factor, or a key that needs no password at all. */
export const credentialKinds = [
  'otp',
  'webauthn',
  'recovery-codes',
  'device',
  'app-password',
  'api-key',
  'ssh-key',
  'oauth-grant',
  'certificate',
] as const;
export type CredentialKind = (typeof credentialKinds)[number];

/** What the target's own list shows. Ids are the target's, never a secret and never personal. */
export interface CredentialList {
  readonly credentials: readonly { readonly kind: CredentialKind; readonly id: string }[];
  readonly road: string;
}

/** Privileged access that is out at this moment: secrets checked out, leases, and sessions opened with them. */
export interface PrivilegeList {
  readonly leases: number;
  readonly sessions: number;
  readonly checkedOut: number;
  readonly road: string;
}

/** What an account owns at the target: files, records, groups, schedules, service accounts. */
export interface OwnedCount {
  readonly count: number;
  readonly road: string;
}

/** Where a mailbox's mail goes. Holds personal values: the caller encrypts it. */
export interface Forwarding {
  /** The mail address of the delegate; undefined takes a forwarding away. */
  readonly to: string | undefined;
  /** A copy stays in the mailbox. */
  readonly keepsCopy: boolean;
  /** What a sender is told; undefined: nothing. */
  readonly autoReply?: { readonly subject: string; readonly text: string };
}

/** What one look for a real message found. */
export interface DeliveryProof {
  /** False: not there (yet). Undefined: the delegate's mailbox cannot be looked into from here. */
  readonly delivered: boolean | undefined;
  /** Undefined: no reply was asked for, or the sender's mailbox cannot be looked into. */
  readonly replied: boolean | undefined;
  readonly road: string;
}

export interface Health {
  readonly ok: boolean;
  readonly code?: ConnectorErrorCode;
  readonly latencyMs: number;
}

export interface Finding {
  readonly severity: 'error' | 'warning' | 'info';
  readonly code: string;
  readonly message: string;
}

export interface SchemaAttribute {
  readonly name: string;
  readonly type: 'string' | 'number' | 'boolean' | 'strings';
  readonly required: boolean;
  readonly writable: boolean;
}

export interface TargetSchema {
  readonly objectClasses: readonly { readonly name: string; readonly attributes: readonly SchemaAttribute[] }[];
}

/** Operation names are method names of Connector. */
export const connectorOperations = [
  'list',
  'get',
  'find',
  'create',
  'update',
  'disable',
  'enable',
  'delete',
  'archive',
  'seal',
  'listMembers',
  'addMember',
  'removeMember',
  'listSessions',
  'revokeSessions',
  'setSecret',
  'resetCredentials',
  'listCredentials',
  'revokeCredentials',
  'listPrivileges',
  'checkIn',
  'listOwned',
  'transferOwned',
  'readForwarding',
  'setForwarding',
  'proveDelivery',
  'anonymise',
  'probeSignIn',
  'verify',
] as const;

export type ConnectorOperation = (typeof connectorOperations)[number];

/** Data: what this configured target can do. A method that is not listed is absent, and the planner asks a person. */
export interface Capabilities {
  readonly objectClasses: {
    readonly account: {
      readonly operations: readonly ConnectorOperation[];
      /** Attributes that `find` takes besides `login`; `*` = any attribute of the schema. */
      readonly findBy: readonly string[];
    };
  };
  /** A real sign-in with a given secret can be tried. */
  readonly signInProbe: boolean;
  /** `seal` sets the secret and disables in one modification. */
  readonly atomicSeal: boolean;
  readonly entitlements: boolean;
  /** `update` with attribute `login` keeps the native id. */
  readonly rename: boolean;
  readonly sessions: boolean;
  readonly archive: boolean;
  /** How long a read may lag behind a write, as configured; 0 = reads see writes. */
  readonly consistencyWindowMs: number;
  /** The attribute that carries Tenure's key at the target; after an unclear create it finds the account again. */
  readonly adoptionKey?: string;
}

/** What a person can be asked to do where no connector operation does it. */
export const manualOperations = [
  'create',
  'update',
  'disable',
  'enable',
  'archive',
  'delete',
  'grant',
  'revoke',
  'revoke-credentials',
  'check-in',
  'transfer-ownership',
  'set-forwarding',
  'anonymise',
] as const;
export type ManualOperation = (typeof manualOperations)[number];

/** The text of an operator task. */
export interface Instructions {
  /** Where the system is and who may touch it. */
  readonly system: string;
  /** What to do. May hold personal values: it belongs into the database, never into Temporal. */
  readonly text: string;
  /** What to hand in as proof. */
  readonly proof: string;
  /** Placeholders that had no value and are shown as `(unknown)`. */
  readonly missing: readonly string[];
}

export interface ConnectorDescriptor {
  readonly kind: string;
  readonly version: string;
  readonly title: string;
  /** JSON Schema of the configuration. */
  readonly configSchema: Readonly<Record<string, unknown>>;
}

/**
 * What a caller gives to each operation. A connector knows nothing of Temporal: cancelling is the signal, heartbeat is
 * `progress`, retries are the caller's.
 */
export interface OperationContext {
  /** The same for every try of one step. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** ISO 8601 UTC. The operation gives up (TIMEOUT or AMBIGUOUS) at this instant. */
  readonly deadline: string;
  progress(detail: string): void;
  readonly logger: ConnectorLogger;
  /**
   * Awaited right before the first byte of a write leaves. When it throws (an old generation), nothing is sent and
   * what it threw passes through the connector unchanged. Not called for reads and when nothing has to be written.
   */
  sentMarker?(): Promise<void>;
}

/**
 * One target system. Every write reads first and answers `already-in-state` when there is nothing to do, so each is
 * safe to repeat. Throws ConnectorError only; never retries, sleeps or caches; never returns or logs a secret.
 */
export interface Connector {
  readonly descriptor: ConnectorDescriptor;
  capabilities(): Capabilities;
  schema(ctx: OperationContext): Promise<TargetSchema>;
  /** Cheap and read-only; never throws: what is wrong is in `code`. */
  health(ctx: OperationContext): Promise<Health>;
  /** Thorough and read-only; for set-up. */
  validate(ctx: OperationContext): Promise<readonly Finding[]>;
  close(): Promise<void>;
  /** Words for the person who does an operation by hand; pure. Absent: general words are used. */
  instructions?(operation: ManualOperation, values: Readonly<Record<string, string | undefined>>): Instructions;

  list(query: ListQuery, ctx: OperationContext): Promise<Page<ObservedAccount>>;
  /** Undefined when the target says there is no such account. */
  get(ref: AccountRef, ctx: OperationContext): Promise<ObservedAccount | undefined>;
  find(by: CorrelationKey, ctx: OperationContext): Promise<readonly ObservedAccount[]>;
  /** Re-reads by another road than the writes use, compares, and names each mismatch. */
  verify(expected: ExpectedState, ctx: OperationContext): Promise<Verification>;

  create?(spec: AccountSpec, ctx: OperationContext): Promise<MutationResult>;
  update?(ref: AccountRef, delta: readonly AttributeDelta[], ctx: OperationContext): Promise<MutationResult>;
  disable?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;
  /** Takes an archive mark away in the same write: an account in use is not archived (edge case 39). */
  enable?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;
  delete?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;
  archive?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;
  /** Sets a secret that only Tenure holds and disables. Always writes: an account that is disabled gets the secret too. */
  seal?(ref: AccountRef, secret: Secret, ctx: OperationContext): Promise<MutationResult & { readonly atomic: boolean }>;

  listMembers?(group: EntitlementRef, cursor: Cursor | undefined, ctx: OperationContext): Promise<Page<AccountRef>>;
  addMember?(group: EntitlementRef, ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;
  removeMember?(group: EntitlementRef, ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;

  listSessions?(ref: AccountRef, ctx: OperationContext): Promise<SessionCount>;
  revokeSessions?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;
  setSecret?(ref: AccountRef, secret: Secret, ctx: OperationContext): Promise<MutationResult>;
  /** Makes a new secret, sets it, hands it to the sink; the result holds the sink's reference only. */
  resetCredentials?(
    ref: AccountRef,
    sink: SecretSink,
    ctx: OperationContext,
  ): Promise<MutationResult & { readonly secretReference: string }>;

  /** Second factors and keys, the password left out; without personal values. */
  listCredentials?(ref: AccountRef, ctx: OperationContext): Promise<CredentialList>;
  /** Takes every one of them away; the password stays as it is. */
  revokeCredentials?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;

  listPrivileges?(ref: AccountRef, ctx: OperationContext): Promise<PrivilegeList>;
  /** Ends leases and privileged sessions and rotates what was checked out: whoever still knows it knows nothing. */
  checkIn?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;

  listOwned?(ref: AccountRef, ctx: OperationContext): Promise<OwnedCount>;
  /** Gives everything to the heir; what the heir holds already stays. `NOT_FOUND` with attribute `heir` when there is no such account. */
  transferOwned?(ref: AccountRef, heir: AccountRef, ctx: OperationContext): Promise<MutationResult>;

  /** Undefined: mail goes nowhere else, and nobody is answered. */
  readForwarding?(ref: AccountRef, ctx: OperationContext): Promise<Forwarding | undefined>;
  setForwarding?(ref: AccountRef, forwarding: Forwarding, ctx: OperationContext): Promise<MutationResult>;

  /**
   * Looks once for a real message that went through the forwarding; sends it where it has not been sent. Never waits: the
   * caller asks again with the same idempotency key until both are found. Raises NOT_FOUND; INVALID when mail is refused.
   */
  proveDelivery?(ref: AccountRef, forwarding: Forwarding, ctx: OperationContext): Promise<DeliveryProof>;

  /** The account stays (what points to it stays right), nothing in it says any more who it was, and it is disabled. Not reversible. */
  anonymise?(ref: AccountRef, ctx: OperationContext): Promise<MutationResult>;

  /** One real sign-in on a connection of its own. An answer that is not understood is `unknown`, not an exception. */
  probeSignIn?(login: string, secret: Secret, ctx: OperationContext): Promise<SignInAnswer>;
}
