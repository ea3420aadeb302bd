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
import { BLOCKED_ON, EFFECTIVE_AT, IDENTITY, KIND, PHASE } from '../../src/workflows/lib/search-attributes.js';
import type { BareActivities } from './bare-worker.js';
import { filling } from './filling.js';
import type { Step } from './shape.js';

export interface BareInput {
  readonly parent: readonly Step[];
  readonly child: readonly Step[];
  /** Makes the input as long as the one that it stands for. */
  readonly load?: string;
}

const BARE_QUEUE = 'bare';
const WEEK_MS = 7 * 86_400_000;

const bareUpdate = defineUpdate<{ known: number }, [{ ledgerVersion: number; urgent: boolean }]>('bareUpdate');
const bareSignal = defineSignal<[string]>('bareSignal');

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
    switch (step.do) {
      case 'local':
        await local({ got: step.got });
        break;
      case 'activity':
        await regular({ got: step.got, load: filling(step.sent) });
        break;
      case 'child':
        void (await bear(child, step.sent)).result().then(() => {
          isChildOver = true;
        });
        break;
      case 'signal':
        await tellParent(step.sent);
        break;
      case 'upsert':
        upsertSearchAttributes([
          { key: PHASE, value: 'bare' },
          { key: BLOCKED_ON, value: null },
        ]);
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

function bear(script: readonly Step[], bytes: number): Promise<ChildWorkflowHandle<typeof bareChild>> {
  const { workflowId } = workflowInfo();
  return startChild(bareChild, {
    workflowId: `${workflowId}/child`,
    args: [{ parent: [], child: script, load: filling(bytes - JSON.stringify(script).length) }],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    staticSummary: 'bare',
    typedSearchAttributes: [
      { key: IDENTITY, value: workflowId },
      { key: KIND, value: 'bare' },
      { key: EFFECTIVE_AT, value: new Date() },
    ],
    priority: { priorityKey: 3 },
  });
}

/** Like a process of Tenure that tells its queue: a parent that has ended has nothing to do for us. */
async function tellParent(bytes: number): Promise<void> {
  const parentId = workflowInfo().workflowId.replace(/\/child$/, '');
  try {
    await getExternalWorkflowHandle(parentId).signal(bareSignal, filling(bytes));
  } catch {
    // The parent has ended.
  }
}
