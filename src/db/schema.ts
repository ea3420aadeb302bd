import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type {
  AccountId,
  ApplicationSlug,
  EmploymentId,
  FactId,
  IdentityId,
  Instant,
  LocalDate,
  PlanId,
  PolicyVersion,
  ProcessId,
  TransitionId,
  VisitId,
} from '../domain/process/ids.js';
import type { MoveState } from '../domain/migration/moves.js';
import type {
  MoveStep,
  NoticeKind,
  Phase,
  ProcessKind,
  ProcessState,
  ProcessSubject,
  ReportOccasion,
  Tier,
  Verdict,
} from '../domain/process/kinds.js';
import type { Ending } from '../domain/service-account/next-step.js';

type Defaulted<T> = ColumnType<T, T | undefined, T>;
type Json<T extends object> = JSONColumnType<T, string, string>;

export interface IdentityTable {
  identity_id: IdentityId;
  created_at: Defaulted<Instant>;
  generation: Generated<number>;
  ledger_version: Generated<number>;
  next_due_at: Instant | null;
  /** A legal hold is on the person: nothing of theirs is destroyed. Kept in step with `legal_hold`. */
  held_since: Defaulted<Instant | null>;
}
export interface IdentityKeyTable {
  identity_id: string;
  wrapped: Buffer | null;
  master_key_id: string;
  created_at: Defaulted<Instant>;
  destroyed_at: Instant | null;
}
export interface PersonKeyTable {
  source: string;
  key_index: Buffer;
  identity_id: IdentityId;
}
export interface EmploymentTable {
  employment_id: EmploymentId;
  identity_id: IdentityId;
  source: string;
  key_index: Buffer;
  created_at: Defaulted<Instant>;
}
export interface FactTable {
  fact_id: FactId;
  identity_id: IdentityId;
  ledger_version: number;
  employment_id: EmploymentId;
  source: string;
  source_event_id: string;
  source_version: number;
  corrects: string | null;
  kind: string;
  content_hash: string;
  statement: Buffer;
  recorded_at: Instant;
}
export interface InboxTable {
  identity_id: IdentityId;
  ledger_version: number;
  urgent: Defaulted<boolean>;
  changed_at: Defaulted<Instant>;
  delivered_version: Defaulted<number>;
  delivered_at: Instant | null;
  attempts: Defaulted<number>;
}
/** A problem of one record: which field, what is wrong, what was expected. Never a value. */
export interface RecordProblem {
  readonly path: string;
  readonly message: string;
  readonly expected: string;
}
export interface HrRejectionTable {
  rejection_id: string;
  received_at: Defaulted<Instant>;
  source: string;
  source_event_id: string | null;
  record: Buffer;
  problems: Json<RecordProblem[]>;
  /** Blind index of the person key when facts yet to come can lift the rejection: looked at again after every accepted fact of that person. */
  retry_key: Buffer | null;
  resolved_at: Instant | null;
  resolved_by: string | null;
}
export interface PolicyVersionTable {
  version: Generated<PolicyVersion>;
  hash: string;
  files: Json<{ path: string; text: string }[]>;
  created_at: Defaulted<Instant>;
  created_by: string;
}
/** Codes, counts and ids only: Temporal UI's details are made from it. */
export interface ProcessDetail {
  readonly movedFrom?: readonly Instant[];
  /** Operations that a mover may take away when its grace period ends: `<application>/<operation key>`. */
  readonly revokeScope?: readonly string[];
  readonly proven?: number;
  readonly open?: number;
  readonly undone?: readonly string[];
  /** How often the ledger changed its word while the process ran; one that ends on an older word is opened again. */
  readonly amendments?: number;
  /** How many of them the process has read. */
  readonly amendmentsRead?: number;
  /** A cancelled process' workflow has heard of it. */
  readonly stopped?: boolean;
}
export interface ProcessTable {
  process_id: ProcessId;
  transition_id: TransitionId;
  revision: number;
  identity_id: IdentityId;
  kind: ProcessSubject;
  process_kind: ProcessKind;
  generation: number;
  state: ProcessState;
  phase: Phase | null;
  workflow_id: string;
  policy_version: PolicyVersion;
  effective_at: Instant;
  notice_at: Instant | null;
  digest: string;
  due_at: Instant | null;
  blocked_on: string | null;
  detail: Json<ProcessDetail>;
  opened_at: Defaulted<Instant>;
  started_at: Instant | null;
  ended_at: Instant | null;
  outcome: string | null;
}
export interface PlanTable {
  plan_id: PlanId;
  identity_id: IdentityId;
  process_id: ProcessId;
  phase: Phase;
  policy_version: PolicyVersion;
  hash: string;
  body: Buffer;
  created_at: Instant;
}
export interface AccountTable {
  account_id: AccountId;
  identity_id: IdentityId;
  application: ApplicationSlug;
  native_id: string;
  login: string;
  status: 'enabled' | 'disabled' | 'locked' | 'unknown';
  attributes: Json<Record<string, string | number | boolean | null | string[]>>;
  entitlements: Defaulted<string[]>;
  archived: Defaulted<boolean>;
  sealed: Defaulted<boolean>;
  /** The last write that closed it was Tenure's own. Says nothing while it is open. */
  closed_by_tenure: Defaulted<boolean>;
  secret: Buffer | null;
  created_by_process: string | null;
  observed_at: Instant;
  linked_at: Defaulted<Instant>;
  unlinked_at: Instant | null;
}
export type VisitStatus = 'planned' | 'running' | 'settled';
export interface VisitTable {
  visit_id: VisitId;
  plan_id: PlanId;
  process_id: ProcessId;
  identity_id: IdentityId;
  generation: number;
  application: ApplicationSlug;
  phase: Phase;
  tier: Tier | null;
  deadline_at: Instant | null;
  account_id: AccountId | null;
  depends_on: Defaulted<string[]>;
  body: Buffer;
  status: Defaulted<VisitStatus>;
  outcome: string | null;
  code: string | null;
  attempt: Defaulted<number>;
  write_in_flight: Defaulted<boolean>;
  write_until: Instant | null;
  wrote_at: Instant | null;
  first_write_at: Instant | null;
  created_at: Defaulted<Instant>;
  settled_at: Instant | null;
}
export interface VisitStepTable {
  visit_id: VisitId;
  operation_key: string;
  state: 'sent' | 'applied' | 'proven' | 'by-hand' | 'skipped';
  at: Defaulted<Instant>;
}
export interface NameReservationTable {
  scope: 'user-name' | 'mail';
  folded: string;
  name: string;
  identity_id: IdentityId;
  reserved_at: Defaulted<Instant>;
  released_at: Instant | null;
  blocked_until: Instant | null;
}
export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'expired' | 'withdrawn';
export interface ApprovalTable {
  approval_id: string;
  identity_id: IdentityId;
  process_id: ProcessId;
  entitlement_key: string;
  approver_identity_id: IdentityId | null;
  requested_at: Instant;
  expires_at: Instant;
  status: Defaulted<ApprovalStatus>;
  decided_by: IdentityId | null;
  decided_at: Instant | null;
  comment: Buffer | null;
}
export interface DecisionTable {
  decision_id: string;
  identity_id: IdentityId;
  decided_by: string;
  decided_by_identity: IdentityId | null;
  kind: 'approval' | 'task' | 'scream';
  verdict: string;
  comment: Buffer | null;
  proof: Buffer | null;
  at: Defaulted<Instant>;
}
export interface OperatorTaskTable {
  task_id: string;
  identity_id: IdentityId;
  process_id: ProcessId;
  visit_id: VisitId | null;
  application: ApplicationSlug | null;
  kind:
    | 'visit'
    | 'manual'
    | 'leave'
    | 'correlation'
    | 'do-not-rehire'
    | 'process'
    | 'came-back'
    | 'contract-end'
    | 'last-administrator'
    | 'orphan';
  code: string;
  attribute: string | null;
  instructions: Buffer | null;
  due_at: Instant | null;
  created_at: Defaulted<Instant>;
  status: Defaulted<'open' | 'resolved' | 'withdrawn'>;
  resolution: 'retry' | 'skip' | 'done-by-hand' | null;
  decision_id: string | null;
  resolved_at: Instant | null;
}
export interface EvidenceTable {
  evidence_id: string;
  identity_id: IdentityId;
  process_id: ProcessId | null;
  visit_id: VisitId | null;
  application: ApplicationSlug;
  phase: Phase | null;
  operation_key: string;
  check_kind:
    | 'state'
    | 'sign-in'
    | 'sessions'
    | 'credentials'
    | 'privileges'
    | 'ownership'
    | 'forwarding'
    | 'delivery'
    | 'anonymity'
    | 'archive'
    | 'absence'
    | 'attested';
  road: string;
  verdict: Verdict;
  code: string | null;
  seen: Buffer;
  seen_hash: string;
  residual: string | null;
  residual_until: Instant | null;
  deadline_at: Instant | null;
  at: Instant;
}
export interface AuditTable {
  identity_id: string;
  seq: number;
  at: Instant;
  actor: string;
  action: string;
  body: Buffer;
  prev_hash: Buffer;
  hash: Buffer;
}
export interface AuditHeadTable {
  identity_id: string;
  seq: number;
  hash: Buffer;
}
export type ApiRole = 'hr' | 'operator' | 'manager' | 'auditor' | 'admin';
export interface ApiTokenTable {
  token_id: string;
  token_hash: Buffer;
  name: string;
  role: ApiRole;
  identity_id: IdentityId | null;
  created_at: Defaulted<Instant>;
  expires_at: Instant | null;
  revoked_at: Instant | null;
}
export interface IdempotencyTable {
  token_id: string;
  key: string;
  request_hash: string;
  status: number | null;
  response: JSONColumnType<object | unknown[], string | null, string | null> | null;
  created_at: Defaulted<Instant>;
}
export interface IdentityProfileTable {
  identity_id: IdentityId;
  display_name: Defaulted<string>;
  user_name: string | null;
  mail: string | null;
  department: string | null;
  title: string | null;
  lifecycle: Defaulted<string>;
  manager_identity_id: IdentityId | null;
  search: Defaulted<string>;
  updated_at: Defaulted<Instant>;
}
/** How an application's target fares, for all workers together. */
export interface ApplicationStateTable {
  application: ApplicationSlug;
  tokens: Generated<number>;
  refilled_at: Instant | null;
  /** Visits in a row whose first try found the target down. */
  failures: Generated<number>;
  code: string | null;
  quarantined_since: Instant | null;
  /** When somebody may ask again; what is due before that waits. */
  quarantined_until: Instant | null;
  /** Pauses since the quarantine began. */
  pauses: Generated<number>;
}
export interface CanaryTable {
  application: ApplicationSlug;
  native_id: string | null;
  login: string;
  secret: Buffer;
  ready_at: Instant | null;
}
export interface CredentialHandoverTable {
  handover_id: string;
  identity_id: IdentityId;
  application: ApplicationSlug;
  process_id: ProcessId;
  secret: Buffer | null;
  created_at: Defaulted<Instant>;
  expires_at: Instant;
  collected_at: Instant | null;
  collected_by: string | null;
}

/** An order to keep everything of a person. One stands at a time; lifted ones stay as rows. */
export interface LegalHoldTable {
  hold_id: string;
  identity_id: IdentityId;
  /** Reason and reference, under the person's key. */
  terms: Buffer;
  set_at: Instant;
  set_by: string;
  lifted_at: Instant | null;
  lifted_by: string | null;
  lift_reason: Buffer | null;
}
/** `queued`: confirmed, and waits for the end of the retention duty. `withdrawn`: the person works here again. */
export type ErasureState = 'proposed' | 'queued' | 'done' | 'expired' | 'withdrawn';
export interface ErasureTable {
  erasure_id: string;
  identity_id: IdentityId;
  state: ErasureState;
  /** Under the person's key: gone with it. */
  reason: Buffer;
  proposed_by: string;
  proposed_by_identity: IdentityId | null;
  proposed_at: Instant;
  expires_at: Instant;
  due_at: Instant | null;
  confirmed_by: string | null;
  confirmed_at: Instant | null;
  ended_at: Instant | null;
}
export type CutBatchState = 'proposed' | 'running' | 'expired';
export interface CutBatchTable {
  cut_id: string;
  state: CutBatchState;
  size: number;
  /** Reason and, while it waits for its confirmation, the list; under the system key. */
  body: Buffer;
  proposed_by: string;
  proposed_by_identity: IdentityId | null;
  proposed_at: Instant;
  expires_at: Instant | null;
  confirmed_by: string | null;
  started_at: Instant | null;
}
export type CutPersonState = 'waiting' | 'cut' | 'nothing-to-cut' | 'failed';
export interface CutBatchPersonTable {
  cut_id: string;
  identity_id: IdentityId;
  state: CutPersonState;
  attempts: Defaulted<number>;
  at: Instant | null;
}

export interface ApplicationHealthTable {
  application: ApplicationSlug;
  ok: boolean;
  /** The connector's code, or `NO_WORKER` when nobody serves the application's queue. */
  code: string | null;
  latency_ms: number;
  at: Instant;
  changed_at: Instant;
  ok_count: Defaulted<string | number>;
  failed_count: Defaulted<string | number>;
}
export interface ApplicationTestTable {
  test_id: string;
  application: ApplicationSlug;
  state: 'running' | 'done';
  /** The check that is being made. */
  stage: string;
  requested_by: string;
  created_at: Instant;
  ended_at: Instant | null;
  /** Codes, names of attributes and counts; no value of an account. */
  report: JSONColumnType<object, string | null, string | null> | null;
}
export type ImportStage = 'listing' | 'keys' | 'correlating' | 'linking' | 'done';
/** What became of a staged account. */
export type StagedResult = 'strong' | 'weak' | 'ambiguous' | 'orphan' | 'protected' | 'conflict' | 'linked';
export interface AccountImportTable {
  import_id: string;
  application: ApplicationSlug;
  state: 'running' | 'done' | 'failed';
  stage: ImportStage;
  links: boolean;
  page_size: number;
  policy_version: PolicyVersion;
  requested_by: string;
  created_at: Instant;
  touched_at: Instant;
  ended_at: Instant | null;
  expires_at: Instant;
  dropped_at: Instant | null;
  code: string | null;
  /** Where the target's list goes on; under the system key, because a target may page by a login. */
  cursor: Buffer | null;
  /** Where the present stage goes on in our own tables. */
  after_key: string | null;
  is_complete: boolean | null;
  pages: Defaulted<number>;
  accounts: Defaulted<number>;
  identities: Defaulted<number>;
  counts: JSONColumnType<Record<string, number>, string | null, string | null> | null;
}
export interface StagedAccountTable {
  import_id: string;
  native_id: string;
  /** Login, mapped attributes and entitlements, under the system key. */
  body: Buffer;
  status: AccountTable['status'];
  is_protected: boolean;
  result: StagedResult | null;
  identity_ids: Defaulted<IdentityId[]>;
  keys: Defaulted<string[]>;
  code: string | null;
}
export interface StagedKeyTable {
  import_id: string;
  side: 'account' | 'identity';
  owner: string;
  key: string;
  key_index: Buffer;
}

/** A signed report as a process made it; insert-only. */
export interface ReportTable {
  report_id: string;
  identity_id: IdentityId;
  process_id: ProcessId;
  version: number;
  occasion: ReportOccasion;
  made_at: Instant;
  key_id: string;
  /** SHA-256 of the signed text. */
  hash: string;
  /** The signed text under the person's key. */
  body: Buffer;
}
/** `not-configured`: made while no mail server was named; `failed`: nobody tries any more until an operator looks. */
export type NoticeState = 'pending' | 'sent' | 'failed' | 'not-configured' | 'no-recipient';
export interface NoticeTable {
  notice_id: string;
  /** Whom it is about. */
  identity_id: IdentityId;
  process_id: ProcessId;
  report_id: string | null;
  kind: NoticeKind;
  recipient_identity_id: IdentityId | null;
  state: NoticeState;
  tries: Defaulted<number>;
  code: string | null;
  created_at: Defaulted<Instant>;
  next_try_at: Defaulted<Instant>;
  sent_at: Instant | null;
}

/** How a service account came to be asked about. */
export type ServiceAccountOrigin = 'declared' | 'discovered';
/** `open` while its process runs; else how that ended. */
export type ServiceAccountState = 'open' | Ending;
export interface ServiceAccountTable {
  /** An identity of its own: key, audit chain, account, plans and proofs hang on it. */
  identity_id: IdentityId;
  application: ApplicationSlug;
  login: string;
  origin: ServiceAccountOrigin;
  /** What it is for, in somebody's words; under its own key. */
  purpose: Buffer | null;
  declared_by: string;
  declared_at: Instant;
  state: Defaulted<ServiceAccountState>;
  /** The process that asks about it now, or asked last. */
  process_id: ProcessId;
  /** The round of questions that counts. */
  round: Defaulted<number>;
  /** Whether it was open when the process found it: only then it is opened again. */
  was_enabled: boolean | null;
  screamed_at: Instant | null;
  attested_at: Instant | null;
  given_up_at: Instant | null;
}
export interface ServiceAccountOwnerTable {
  identity_id: IdentityId;
  owner_identity_id: IdentityId;
  named_by: string;
  named_at: Instant;
  ended_at: Instant | null;
}

/** `proposed`: waits for a second person. `closed`: over, and nothing is laid over desired state any more. */
export type MigrationState = 'proposed' | 'open' | 'closed';
/** A planned migration of people from one application to another. */
export interface MigrationTable {
  migration_id: string;
  state: MigrationState;
  from_application: ApplicationSlug;
  to_application: ApplicationSlug;
  /** Where people belong who are not on the plan and have no account at the old application. */
  joiners: 'from' | 'to';
  /** A wave halts when more of its moves fail. */
  failure_percent: number;
  /** How many moves of a wave are under way together. */
  at_once: number;
  /** A step of a move that is not through after this long has failed. */
  patience_ms: number;
  size: number;
  created_by: string;
  created_by_identity: IdentityId | null;
  created_at: Instant;
  confirmed_by: string | null;
  closed_at: Instant | null;
}
export interface MigrationWaveTable {
  migration_id: string;
  wave: number;
  size: number;
  /** A local date: each person's own midnight. */
  cut_over_on: LocalDate | null;
  /** An operator said now; comes before the date. */
  cut_over_at: Instant | null;
  started_at: Instant | null;
  halted_at: Instant | null;
  rolled_back_at: Instant | null;
}
export interface MigrationMoveTable {
  move_id: string;
  migration_id: string;
  wave: number;
  identity_id: IdentityId;
  state: MoveState;
  attempt: Defaulted<number>;
  released_at: Instant | null;
  proven_at: Instant | null;
  retired_at: Instant | null;
  rolled_back_at: Instant | null;
  /** When the roll-back was through. */
  settled_at: Instant | null;
  failed_step: MoveStep | null;
  code: string | null;
  /** Both accounts before the move, under the person's key. */
  before: Buffer | null;
  /** In what the accounts differ from that after a roll-back: codes and names of attributes. */
  differences: string[] | null;
}

/** An account that an extended leave closed. One stands at a time; ended ones stay as rows. */
export interface SuspensionTable {
  account_id: AccountId;
  identity_id: IdentityId;
  /** The leave's process that closed it. */
  process_id: ProcessId;
  /** What the target said just before. */
  found: AccountTable['status'];
  suspended_at: Instant;
  ended_at: Instant | null;
  /** `kept-closed`: policy no longer gave it when the leave ended. */
  outcome: 'opened' | 'kept-closed' | null;
}

export interface Schema {
  identity: IdentityTable;
  identity_key: IdentityKeyTable;
  person_key: PersonKeyTable;
  employment: EmploymentTable;
  fact: FactTable;
  inbox: InboxTable;
  hr_rejection: HrRejectionTable;
  policy_version: PolicyVersionTable;
  process: ProcessTable;
  plan: PlanTable;
  account: AccountTable;
  visit: VisitTable;
  visit_step: VisitStepTable;
  name_reservation: NameReservationTable;
  approval: ApprovalTable;
  decision: DecisionTable;
  operator_task: OperatorTaskTable;
  evidence: EvidenceTable;
  audit: AuditTable;
  audit_head: AuditHeadTable;
  api_token: ApiTokenTable;
  idempotency: IdempotencyTable;
  identity_profile: IdentityProfileTable;
  canary: CanaryTable;
  application_state: ApplicationStateTable;
  credential_handover: CredentialHandoverTable;
  legal_hold: LegalHoldTable;
  erasure: ErasureTable;
  cut_batch: CutBatchTable;
  cut_batch_person: CutBatchPersonTable;
  application_health: ApplicationHealthTable;
  application_test: ApplicationTestTable;
  account_import: AccountImportTable;
  staged_account: StagedAccountTable;
  staged_key: StagedKeyTable;
  report: ReportTable;
  notice: NoticeTable;
  service_account: ServiceAccountTable;
  service_account_owner: ServiceAccountOwnerTable;
  migration: MigrationTable;
  migration_wave: MigrationWaveTable;
  migration_move: MigrationMoveTable;
  suspension: SuspensionTable;
}
