import type { IdentityId } from '../../domain/process/ids.js';
import type { ServiceAccountProcess } from '../../onboarding/service-accounts.js';
import type {
  ApplicationTestInput,
  ApprovalDecision,
  ImportInput,
  LedgerChanged,
  TaskResolution,
} from '../../workflows/messages.js';

/** What the API says to workflows. Behind an interface, so that the API is tested without Temporal. */
export interface Lifecycle {
  /** Tells the person's identity workflow how far the ledger is, starting it if need be. Safe to repeat. */
  ledgerChanged(identityId: IdentityId, change: LedgerChanged): Promise<{ readonly known: number }>;
  /** Raises a RefusedDecision when the process says no, LifecycleUnreachable when it cannot be asked. */
  decideApproval(workflowId: string, decision: ApprovalDecision): Promise<{ readonly status: 'approved' | 'denied' }>;
  /** As decideApproval. */
  resolveTask(workflowId: string, resolution: TaskResolution): Promise<{ readonly status: 'resolved' }>;
  /** Starts the workflow of a test whose row stands. Raises LifecycleUnreachable. */
  startApplicationTest(input: ApplicationTestInput): Promise<void>;
  /** Starts the workflow of an import whose row stands. Raises LifecycleUnreachable. */
  startImport(input: ImportInput): Promise<void>;
  /** Starts the process of a service account whose row stands. Safe to repeat: one that runs, or ran, stays as it is. Raises LifecycleUnreachable. */
  startServiceAccount(process: ServiceAccountProcess): Promise<void>;
  /** Tells a process that what it is about has changed; one that has ended needs no word. Raises LifecycleUnreachable. */
  amend(workflowId: string): Promise<void>;
  isReachable(): Promise<boolean>;
}

export type Refusal = 'NotFound' | 'NotYourDecision' | 'AlreadyDecided' | 'DeadlinePassed' | 'GuardTripped';

/** The process has looked at the decision and refused it; nothing was changed. */
export class RefusedDecision extends Error {
  override readonly name = 'RefusedDecision';
  readonly reason: Refusal;
  constructor(reason: Refusal) {
    super(`the process refused the decision: ${reason}`);
    this.reason = reason;
  }
}

/** Temporal could not be reached, or gave no answer in time: the decision may or may not have arrived, and may be sent again. */
export class LifecycleUnreachable extends Error {
  override readonly name = 'LifecycleUnreachable';
}
