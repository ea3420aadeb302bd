import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { identityWorkflowId } from '../../domain/process/ids.js';
import {
  LIFECYCLE_QUEUE,
  amendedSignal,
  applicationTestWorkflowId,
  decideApprovalUpdate,
  importWorkflowId,
  ledgerChangedUpdate,
  resolveTaskUpdate,
  serviceAccountStart,
} from '../../workflows/messages.js';
import type { IdentityInput } from '../../workflows/messages.js';
import { LifecycleUnreachable, RefusedDecision } from './lifecycle.js';
import type { Lifecycle, Refusal } from './lifecycle.js';

/** Published name of the workflow function. */
const IDENTITY_WORKFLOW = 'identityWorkflow';
const DEADLINE_MS = 10_000;
const REFUSALS: ReadonlySet<string> = new Set<Refusal>([
  'NotFound',
  'NotYourDecision',
  'AlreadyDecided',
  'DeadlinePassed',
  'GuardTripped',
]);

/** The messages to workflows over a Temporal client. Every call has a deadline; a call that is repeated has the same effect once. */
export function createTemporalLifecycle(
  client: Client,
  { deadlineMs = DEADLINE_MS }: { readonly deadlineMs?: number } = {},
): Lifecycle {
  const within = <T>(call: () => Promise<T>): Promise<T> => client.withDeadline(Date.now() + deadlineMs, call);
  return {
    async ledgerChanged(identityId, change) {
      const input: IdentityInput = { identityId };
      const start = new WithStartWorkflowOperation(IDENTITY_WORKFLOW, {
        workflowId: identityWorkflowId(identityId),
        taskQueue: LIFECYCLE_QUEUE,
        workflowIdConflictPolicy: 'USE_EXISTING',
        args: [input],
        staticSummary: 'Orders the processes of one identity',
        priority: { priorityKey: change.urgent ? 1 : 3 },
      });
      return within(() =>
        client.workflow.executeUpdateWithStart(ledgerChangedUpdate, {
          startWorkflowOperation: start,
          args: [change],
          updateId: `ledger-${change.ledgerVersion}${change.urgent ? '-urgent' : ''}`,
        }),
      );
    },
    decideApproval: (workflowId, decision) =>
      decide(() =>
        within(() =>
          client.workflow
            .getHandle(workflowId)
            .executeUpdate(decideApprovalUpdate, { args: [decision], updateId: decision.decisionId }),
        ),
      ),
    resolveTask: (workflowId, resolution) =>
      decide(() =>
        within(() =>
          client.workflow
            .getHandle(workflowId)
            .executeUpdate(resolveTaskUpdate, { args: [resolution], updateId: resolution.decisionId }),
        ),
      ),
    startApplicationTest: (input) =>
      begin(() =>
        within(() =>
          client.workflow.start('applicationTestWorkflow', {
            workflowId: applicationTestWorkflowId(input),
            taskQueue: LIFECYCLE_QUEUE,
            args: [input],
            staticSummary: `Tests the application ${input.application}`,
          }),
        ),
      ),
    startImport: (input) =>
      begin(() =>
        within(() =>
          client.workflow.start('importWorkflow', {
            workflowId: importWorkflowId(input),
            taskQueue: LIFECYCLE_QUEUE,
            args: [input],
            staticSummary: `Imports the accounts of ${input.application}`,
          }),
        ),
      ),
    startServiceAccount: (process) =>
      begin(() =>
        within(() =>
          client.workflow
            .start('serviceAccountWorkflow', serviceAccountStart(process))
            .catch(unless(WorkflowExecutionAlreadyStartedError)),
        ),
      ),
    amend: (workflowId) =>
      begin(() =>
        within(() => client.workflow.getHandle(workflowId).signal(amendedSignal).catch(unless(WorkflowNotFoundError))),
      ),
    async isReachable() {
      try {
        await client.withDeadline(Date.now() + 1_000, () => client.connection.workflowService.getSystemInfo({}));
        return true;
      } catch {
        return false;
      }
    },
  };
}

/** Swallows one kind of error: what was asked for holds already. */
function unless(kind: abstract new (...given: never[]) => Error): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof kind)) throw error;
  };
}

async function begin(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    throw new LifecycleUnreachable('the workflow could not be started', { cause: error });
  }
}

async function decide<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw new RefusedDecision('NotFound');
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
      const { type } = error.cause;
      if (typeof type === 'string' && REFUSALS.has(type)) throw new RefusedDecision(type as Refusal);
    }
    throw new LifecycleUnreachable('the process could not be asked', { cause: error });
  }
}
