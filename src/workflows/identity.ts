import {
  ParentClosePolicy,
  WorkflowIdReusePolicy,
  allHandlersFinished,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { ChildWorkflowHandle } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { Workflow } from '@temporalio/common';
import type { QueueAdvance } from '../activities/queue.js';
import type { Instant, ProcessId } from '../domain/process/ids.js';
import type { ProcessKind } from '../domain/process/kinds.js';
import { bookkeeping } from './lib/activities.js';
import { quietly } from './lib/quietly.js';
import { EFFECTIVE_AT, IDENTITY, KIND } from './lib/search-attributes.js';
import { now, waitUntil } from './lib/wait.js';
import { amendedSignal, ledgerChangedUpdate, processAdvancedSignal } from './messages.js';
import type { IdentityInput, LedgerChanged } from './messages.js';

/** What is due later than this waits in Postgres and is started by a schedule in time (design D2). */
const HORIZON_MS = 24 * 3_600_000;
/** Short histories: far below the server's own suggestion. */
const MAX_EVENTS = 1_000;

const WORKFLOW_OF: Readonly<Record<ProcessKind, string>> = {
  joiner: 'joinerWorkflow',
  mover: 'moverWorkflow',
  leaver: 'leaverWorkflow',
  rehire: 'rehireWorkflow',
  leave: 'leaveWorkflow',
  operator: 'operatorWorkflow',
  'service-account': 'serviceAccountWorkflow',
  migration: 'migrationWorkflow',
};

/**
 * One person's queue: looks at the ledger, starts what is due as a process of its own, tells running ones what changed, and sleeps to the next instant. Holds no
 * state that Postgres does not have; it completes when nothing is due within the horizon, and any later event starts it again.
 */
export async function identityWorkflow(input: IdentityInput): Promise<void> {
  let ledgerVersion = input.ledgerVersion ?? 0;
  let isWoken = false;
  let hasNews = true;
  setHandler(ledgerChangedUpdate, (change: LedgerChanged) => {
    ledgerVersion = Math.max(ledgerVersion, change.ledgerVersion);
    isWoken = true;
    hasNews = true;
    return { known: ledgerVersion };
  });
  const children = new Set<ProcessId>();
  setHandler(processAdvancedSignal, ({ processId, isEnding }) => {
    // The end of this run's own child wakes us by itself a moment later; whoever completed in between would only have to look, and try, again.
    if (isEnding !== true || !children.has(processId)) isWoken = true;
  });
  const follow = (processId: ProcessId, child: ChildWorkflowHandle<Workflow>): void => {
    children.add(processId);
    // However it ended: its row says what that means.
    const over = (): void => {
      children.delete(processId);
      isWoken = true;
    };
    void child.result().then(over, over);
  };

  for (;;) {
    isWoken = false;
    const look = { identityId: input.identityId, now: now(), hasNews };
    hasNews = false;
    const queue = await bookkeeping.advanceQueue(look);
    await carryOut(queue, follow);
    show(queue);
    if (isWoken) continue;
    const nextDueAt = withinHorizon(queue.nextDueAt);
    if (!queue.isBusy && queue.open.length === 0 && nextDueAt === undefined) {
      await condition(allHandlersFinished);
      if (isWoken) continue;
      return;
    }
    const waited = await waitUntil(
      () => nextDueAt ?? FAR,
      () => isWoken,
      nextDueAt === undefined ? 'a process is under way' : 'next transition',
    );
    if (waited === 'due') hasNews = true;
    if (workflowInfo().historyLength > MAX_EVENTS) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof identityWorkflow>({ identityId: input.identityId, ledgerVersion });
    }
  }
}

type Follow = (processId: ProcessId, child: ChildWorkflowHandle<Workflow>) => void;

const FAR = '9999-12-31T00:00:00.000Z' as Instant;

function withinHorizon(instant: Instant | undefined): Instant | undefined {
  return instant !== undefined && Date.parse(instant) - Date.now() <= HORIZON_MS ? instant : undefined;
}

/** Cuts first; what a cut cancels is cancelled behind it (design D3). */
async function carryOut(queue: QueueAdvance, follow: Follow): Promise<void> {
  const inOrder = [...queue.open].sort((a, b) => Number(b.cut) - Number(a.cut));
  for (const process of inOrder) await startProcess(process, follow);
  await Promise.all([
    ...queue.cancel.map((workflowId) => quietly(getExternalWorkflowHandle(workflowId).cancel())),
    ...queue.amend.map((workflowId) => quietly(getExternalWorkflowHandle(workflowId).signal(amendedSignal))),
  ]);
}

/** Starts a process; one that a crash let us start before is running already. */
async function startProcess(process: QueueAdvance['open'][number], follow: Follow): Promise<void> {
  const { workflowId, cut, effectiveAt, ...input } = process;
  try {
    const child = await startChild(WORKFLOW_OF[input.processKind], {
      workflowId,
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      staticSummary: `${input.kind}, effective ${effectiveAt}`,
      typedSearchAttributes: [
        { key: IDENTITY, value: input.identityId },
        { key: KIND, value: input.kind },
        { key: EFFECTIVE_AT, value: new Date(effectiveAt) },
      ],
      priority: { priorityKey: cut ? 1 : 3 },
    });
    follow(input.processId, child);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

function show(queue: QueueAdvance): void {
  const started = queue.open.map((process) => `- started **${process.kind}**, effective ${process.effectiveAt}`);
  const next = queue.nextDueAt === undefined ? 'nothing dated ahead' : `next transition at ${queue.nextDueAt}`;
  setCurrentDetails([`ledger version ${queue.ledgerVersion}, ${next}`, ...started].join('\n'));
}
