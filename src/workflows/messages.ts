import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type {
  ApplicationSlug,
  IdentityId,
  Instant,
  PlanId,
  PolicyVersion,
  ProcessId,
  VisitId,
} from '../domain/process/ids.js';
import type { Phase, ProcessKind, ProcessSubject } from '../domain/process/kinds.js';

/**
 * Everything that crosses a workflow's boundary: plain JSON, opaque ids, codes and instants, never a personal value (design D7).
 * Safe to import from the API and the CLI.
 */

/** Task queues. Cuts have a queue, and so slots, of their own: no backlog stands in front of them (design D3). */
export const LIFECYCLE_QUEUE = 'lifecycle';
export const CUT_QUEUE = 'cut';
export function applicationQueue(application: string): string {
  return `application-${application}`;
}
/** Targets that only workers at a site reach: their visits go there (`tenure worker --queues site-NAME`). */
export function siteQueue(site: string): string {
  return `site-${site}`;
}

export interface LedgerChanged {
  readonly ledgerVersion: number;
  readonly urgent: boolean;
}
/** "Your ledger stands at version n": the workflow then reads for itself what follows. Sent as often as need be. */
export const ledgerChangedUpdate = defineUpdate<{ known: number }, [LedgerChanged]>('ledgerChanged');
/** A process tells its identity workflow that its row changed (left the queue, ended); `isEnding` when the process itself ends right after. */
export const processAdvancedSignal =
  defineSignal<[{ readonly processId: ProcessId; readonly isEnding?: boolean }]>('processAdvanced');

export interface IdentityInput {
  readonly identityId: IdentityId;
  /** Carried over continue-as-new. */
  readonly ledgerVersion?: number;
}

export interface ProcessInput {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly kind: ProcessSubject;
  readonly processKind: ProcessKind;
  readonly generation: number;
  readonly policyVersion: PolicyVersion;
}

/** How a service account's process is started, by whomever; one that runs, or ran, stays as it is. */
export function serviceAccountStart({ workflowId, ...input }: ProcessInput & { readonly workflowId: string }) {
  return {
    workflowId,
    taskQueue: LIFECYCLE_QUEUE,
    args: [input] as [ProcessInput],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    staticSummary: 'Ends a service account, or keeps it',
    priority: { priorityKey: 4 },
  } as const;
}

export interface ProcessResult {
  readonly outcome: string;
  readonly proven: number;
  readonly open: number;
}

export interface ApprovalDecision {
  readonly approvalId: string;
  readonly decisionId: string;
  /** Who decides; put here by our API after authentication. */
  readonly decidedBy: IdentityId;
  readonly verdict: 'approved' | 'denied';
}
/** Answers "recorded", or rejects with NotFound, NotYourDecision, AlreadyDecided or DeadlinePassed. */
export const decideApprovalUpdate = defineUpdate<{ status: 'approved' | 'denied' }, [ApprovalDecision]>(
  'decideApproval',
);
/** The same decision for senders that cannot wait for an answer; an invalid one is ignored. */
export const decideApprovalSignal = defineSignal<[ApprovalDecision]>('decideApprovalSignal');

export interface TaskResolution {
  readonly taskId: string;
  readonly decisionId: string;
  readonly resolution: 'retry' | 'skip' | 'done-by-hand';
}
export const resolveTaskUpdate = defineUpdate<{ status: 'resolved' }, [TaskResolution]>('resolveTask');

/** The ledger says something else about this process's transition: read the row again (moved date, cancelled). */
export const amendedSignal = defineSignal<[]>('amended');
/** A rehire is coming: stop waiting for archive and deletion. */
export const stopTailSignal = defineSignal<[]>('stopTail');

export interface Progress {
  readonly phase: Phase | 'opening' | 'waiting' | 'ended';
  readonly waitingFor?: string;
  readonly until?: Instant;
  readonly openTasks: number;
  readonly openApprovals: number;
}
export const progressQuery = defineQuery<Progress>('progress');

/** What a plan looks like to a workflow: ids and slugs only. */
export interface PlannedPhase {
  readonly planId: PlanId;
  readonly visits: readonly {
    readonly visitId: VisitId;
    readonly application: string;
    readonly dependsOn: readonly string[];
  }[];
}

/** A test of one application; what it found is a row. */
export interface ApplicationTestInput {
  readonly testId: string;
  readonly application: ApplicationSlug;
}
export function applicationTestWorkflowId({ application, testId }: ApplicationTestInput): string {
  return `application:${application}/test:${testId}`;
}

/** An import of existing accounts; everything but its id and the application is a row. */
export interface ImportInput {
  readonly importId: string;
  readonly application: ApplicationSlug;
  readonly links: boolean;
}
export function importWorkflowId({ application, importId }: ImportInput): string {
  return `application:${application}/import:${importId}`;
}
