/** One way to bring the visits of many applications to one worker. */
export interface Variant {
  readonly name: string;
  /** A task queue per application, or one for all of them with the application as fairness key. */
  readonly queues: 'each' | 'shared';
  /** Per queue. */
  readonly slots: number;
  readonly polls: number;
}

export const SHARED_QUEUE = 'applications';
/** What Tenure's worker has for each application's queue. */
const SLOTS = 10;

/** A shared queue is measured with the SDK's own number of slots, and with as many as the separate queues have together. */
export function variantsFor(applications: number): readonly Variant[] {
  return [
    { name: 'queue per application, 10 polls', queues: 'each', slots: SLOTS, polls: 10 },
    { name: 'queue per application, 2 polls', queues: 'each', slots: SLOTS, polls: 2 },
    { name: 'one queue, 100 slots', queues: 'shared', slots: 100, polls: 10 },
    { name: 'one queue, as many slots', queues: 'shared', slots: SLOTS * applications, polls: 10 },
  ];
}

/** The application whose target never answers. */
export const HANGING = 'noop-1';
/** What every other target takes to answer. */
export const ANSWER_MS = 20;
