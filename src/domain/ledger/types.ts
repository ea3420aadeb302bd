import type { EmploymentId, FactId, IdentityId, Instant, LocalDate, TransitionId, ZoneId } from '../process/ids.js';
import type { TransitionKind } from '../process/kinds.js';

/** Attribute names that HR may state about an employment. `custom.*` names are free. Values are text; `null` clears, absence leaves as it is (edge case 48). */
export const ATTRIBUTE_NAMES = [
  'givenName',
  'familyName',
  'middleName',
  'preferredName',
  'displayName',
  'employeeNumber',
  'department',
  'title',
  'location',
  'country',
  'company',
  'costCenter',
  'division',
  'workPhone',
  'personalMail',
  'locale',
] as const;
export type AttributeName = (typeof ATTRIBUTE_NAMES)[number] | `custom.${string}`;
export type Attributes = Readonly<Partial<Record<AttributeName, string | null>>>;

export type WorkerType = 'employee' | 'contractor';
/** Why an employment ends; `immediate` cuts at `at`, every other one at the end of the last working day. */
export type EndManner = 'voluntary' | 'immediate' | 'contract-end' | 'retirement' | 'death' | 'other';

/** What HR states. Dates are local to the work location's zone; instants are derived, never sent. */
export type Statement =
  | {
      readonly kind: 'hire';
      readonly startOn: LocalDate;
      readonly zone: ZoneId;
      readonly worker: WorkerType;
      /** Contract end, last working day; a contractor without one is refused at the door. */
      readonly endOn?: LocalDate;
      /** HR's own word on which of several employments is the primary one. */
      readonly primary?: boolean;
      readonly manager?: string | null;
      readonly attributes: Attributes;
    }
  | {
      readonly kind: 'change';
      readonly effectiveOn: LocalDate;
      readonly zone?: ZoneId;
      readonly worker?: WorkerType;
      /** New contract end (extension or shortening); null makes it open-ended. */
      readonly endOn?: LocalDate | null;
      readonly primary?: boolean;
      /** The manager's person key at the source; resolved when used, so a manager may appear later (edge case 14). */
      readonly manager?: string | null;
      readonly attributes?: Attributes;
    }
  | {
      readonly kind: 'end';
      readonly lastWorkingDay: LocalDate;
      readonly manner: EndManner;
      /** Exact instant for `immediate`; without it the fact's own arrival at the API decides, fixed there once. */
      readonly at?: Instant;
      /** Local date on which notice was given; what policy cuts at notice is cut from then. */
      readonly noticeOn?: LocalDate;
      readonly doNotRehire?: boolean;
    }
  | { readonly kind: 'leave'; readonly startOn: LocalDate; readonly expectedEndOn?: LocalDate }
  | { readonly kind: 'return'; readonly on: LocalDate }
  | { readonly kind: 'withdraw' };

/**
 * One row of the append-only ledger. `corrects` names the source event it replaces (a `withdraw` deletes it); among all facts of one slot
 * (an event and its corrections, transitively) the highest `sourceVersion` holds, never the latest arrival.
 */
export interface Fact {
  readonly factId: FactId;
  readonly identityId: IdentityId;
  readonly employmentId: EmploymentId;
  readonly source: string;
  readonly sourceEventId: string;
  readonly sourceVersion: number;
  readonly corrects?: string;
  /** For people only; decides nothing. */
  readonly recordedAt: Instant;
  readonly statement: Statement;
}

export type EmploymentStatus = 'none' | 'pre-hire' | 'active' | 'suspended' | 'ended' | 'rescinded';

export interface EmploymentState {
  readonly employmentId: EmploymentId;
  readonly status: EmploymentStatus;
  readonly worker: WorkerType;
  readonly zone: ZoneId;
  readonly startOn: LocalDate;
  readonly startsAt: Instant;
  /** Last working day by the strongest standing statement (an `end`, else the contract's end). */
  readonly lastWorkingDay?: LocalDate;
  /** Instant at which access ends: end of the last working day in the zone, or the immediate instant. */
  readonly accessEndsAt?: Instant;
  readonly endManner?: EndManner;
  /** End of the contract's last day by the newest word, also one that takes effect later; an account may expire then by itself. */
  readonly contractEndsAt?: Instant;
  /** The contract's last day by what has taken effect. */
  readonly contractEndOn?: LocalDate;
  readonly noticeAt?: Instant;
  readonly isPrimary: boolean;
  readonly manager: string | null;
  readonly attributes: Attributes;
  /** Which facts this state rests on. */
  readonly because: readonly FactId[];
}

export type LifecycleState = 'none' | 'pre-hire' | 'active' | 'suspended' | 'leaving' | 'left';

/** A person's state at an instant: a pure function of the ledger. */
export interface PersonState {
  readonly at: Instant;
  readonly lifecycle: LifecycleState;
  readonly employments: readonly EmploymentState[];
  /** The employment whose attributes speak for the person: active before pre-hire before ended, HR's `primary` word first, then earliest start, then id. */
  readonly primary?: EmploymentState;
  readonly doNotRehire: boolean;
}

/** How long a leave is. Changes with each word of HR, and decides nothing but whether it is an extended one. */
export interface LeaveLength {
  /** Calendar days; undefined: nobody said when it ends. */
  readonly days?: number;
  /** HR stated the return; otherwise the days are an expectation, and the leave goes on until there is one. */
  readonly isReturnKnown: boolean;
}

/** A derived transition. Its id stays when its date moves; everything else is an attribute. */
export interface Transition {
  readonly id: TransitionId;
  readonly employmentId: EmploymentId;
  readonly kind: TransitionKind;
  readonly ordinal: number;
  readonly effectiveAt: Instant;
  /** A transition that the ledger once implied and no longer does (withdrawn end, withdrawn hire, return from a withdrawn leave). */
  readonly status: 'standing' | 'cancelled';
  /** Leaver: when what notice costs is cut. */
  readonly noticeAt?: Instant;
  readonly manner?: EndManner;
  /** Leave start: how long the leave is, as far as known. */
  readonly leave?: LeaveLength;
  /** Earlier instants of the same transition, oldest source version first, without the present one ("date moved"). */
  readonly movedFrom: readonly Instant[];
  readonly changed: readonly string[];
  readonly because: readonly FactId[];
  /** Hash of everything that matters to the process: a done transition whose digest changed is processed again under the next revision. */
  readonly digest: string;
}
