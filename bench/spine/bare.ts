import { WithStartWorkflowOperation } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { median } from '../statistics.js';
import type { BareInput } from './bare-workflows.js';
import { differences, shapeOf } from './shape.js';
import type { History, Shape } from './shape.js';

/** As many messages on their way at once as Tenure's dispatcher has. */
export const BARE_CONCURRENCY = 16;

/** The histories of a person's queue and of one process. */
export interface Pair {
  readonly parent: History;
  readonly child: History;
}

export interface PairOfShapes {
  readonly parent: Shape;
  readonly child: Shape;
}

/** Starts bare parents as the dispatcher starts identity workflows: an update with a start, a fixed number at once. */
export async function startBare(client: Client, ids: readonly string[], input: BareInput): Promise<void> {
  const waiting = [...ids];
  const work = async (): Promise<void> => {
    for (let workflowId = waiting.shift(); workflowId !== undefined; workflowId = waiting.shift())
      await client.workflow.executeUpdateWithStart('bareUpdate', {
        args: [{ ledgerVersion: 1, urgent: false }],
        updateId: 'ledger-1',
        startWorkflowOperation: new WithStartWorkflowOperation('bareParent', {
          workflowId,
          taskQueue: 'bare',
          workflowIdConflictPolicy: 'USE_EXISTING',
          args: [input],
          staticSummary: 'Stands for an identity workflow',
          priority: { priorityKey: 3 },
        }),
      });
  };
  await Promise.all(Array.from({ length: BARE_CONCURRENCY }, work));
}

/** The pair whose histories are nearest to the middle. */
export function typicalOf(pairs: readonly Pair[]): Pair {
  const { parent, child } = medianShapes(pairs);
  const distance = (pair: Pair): number =>
    Math.abs(shapeOf(pair.parent).events - parent.events) + Math.abs(shapeOf(pair.child).events - child.events);
  const [typical] = [...pairs].sort((a, b) => distance(a) - distance(b));
  if (typical === undefined) throw new Error('Tenure recorded no history to take a script from');
  return typical;
}

/** The middle of each count. */
export function medianShapes(pairs: readonly Pair[]): PairOfShapes {
  const of = (side: keyof Pair): Shape => {
    const shapes = pairs.map((pair) => shapeOf(pair[side]));
    const names = Object.keys(shapeOf({ events: [] })) as (keyof Shape)[];
    return Object.fromEntries(
      names.map((name) => [name, median(shapes.map((shape) => shape[name]))]),
    ) as unknown as Shape;
  };
  return { parent: of('parent'), child: of('child') };
}

/** Throws when the bare workflows did less, or more, than what they stand for. */
export function requireSameShape(tenure: PairOfShapes, bare: PairOfShapes): void {
  const wrong = [...differences(tenure.parent, bare.parent), ...differences(tenure.child, bare.child)];
  if (wrong.length > 0) throw new Error(`the bare workflows do not have the shape of Tenure's: ${wrong.join('; ')}`);
}
