/**
 * The engine alone: workflows that play a script taken from recorded histories of Tenure, with activities that do nothing.
 * What they take is what any application of this shape would take on this server.
 */
import {
  ParentClosePolicy,
  condition,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ChildWorkflowHandle } from '@temporalio/workflow';
import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';
import type { BareActivities } from './bare-worker.js';
import type { Step } from './shape.js';

export interface BareInput {
  readonly parent: readonly Step[];
  readonly child: readonly Step[];
}

const BARE_QUEUE = 'bare';
const WEEK_MS = 7 * 86_400_000;
const PHASE = defineSearchAttributeKey('Phase', SearchAttributeType.KEYWORD);
const KIND = defineSearchAttributeKey('ProcessKind', SearchAttributeType.KEYWORD);

const bareUpdate = defineUpdate<{ known: number }, [{ ledgerVersion: number; urgent: boolean }]>('bareUpdate');
const bareSignal = defineSignal<[{ processId: string }]>('bareSignal');

// The same settings as src/workflows/lib/activities.ts has for bookkeeping and sweeps.
const { local } = proxyLocalActivities<BareActivities>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '200ms', maximumInterval: '10s' },
});
const { regular } = proxyActivities<BareActivities>({
  taskQueue: BARE_QUEUE,
  heartbeatTimeout: '15s',
  startToCloseTimeout: '10m',
  priority: { priorityKey: 3 },
  summary: 'nothing',
});

/** Stands for an identity workflow: takes an update at its start, then plays its script. */
export async function bareParent(input: BareInput): Promise<void> {
  let known = 0;
  setHandler(bareUpdate, (change) => {
    known = Math.max(known, change.ledgerVersion);
    return { known };
  });
  await play(input.parent, input.child);
}

/** Stands for a process. */
export async function bareChild(input: BareInput): Promise<void> {
  await play(input.child, []);
}

async function play(script: readonly Step[], child: readonly Step[]): Promise<void> {
  let isChildOver = false;
  let arrived = 0;
  let consumed = 0;
  setHandler(bareSignal, () => {
    arrived += 1;
  });
  for (const step of script) {
    switch (step) {
      case 'local':
        await local({ now: new Date().toISOString() });
        break;
      case 'activity':
        await regular({ now: new Date().toISOString() });
        break;
      case 'child':
        void (await bear(child)).result().then(() => {
          isChildOver = true;
        });
        break;
      case 'signal':
        await tellParent();
        break;
      case 'upsert':
        upsertSearchAttributes([{ key: PHASE, value: 'bare' }]);
        break;
      case 'timer':
        await condition(() => arrived > consumed, WEEK_MS, { summary: 'a process is under way' });
        break;
      case 'await-signal':
        consumed += 1;
        await condition(() => arrived >= consumed);
        break;
      case 'await-child':
        await condition(() => isChildOver);
    }
  }
}

function bear(script: readonly Step[]): Promise<ChildWorkflowHandle<typeof bareChild>> {
  return startChild(bareChild, {
    workflowId: `${workflowInfo().workflowId}/child`,
    args: [{ parent: [], child: script }],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    staticSummary: 'bare',
    typedSearchAttributes: [{ key: KIND, value: 'bare' }],
    priority: { priorityKey: 3 },
  });
}

/** Like a process of Tenure that tells its queue: a parent that has ended has nothing to do for us. */
async function tellParent(): Promise<void> {
  const parentId = workflowInfo().workflowId.replace(/\/child$/, '');
  try {
    await getExternalWorkflowHandle(parentId).signal(bareSignal, { processId: workflowInfo().workflowId });
  } catch {
    // The parent has ended.
  }
}
