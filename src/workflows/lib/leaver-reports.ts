import { condition, isCancellation, log, uuid4 } from '@temporalio/workflow';
import type { ReportOccasion } from '../../domain/process/kinds.js';
import { reports } from './activities.js';
import type { PhaseBeside } from './execute-plan.js';
import { reasonOf } from './fail.js';
import type { ProcessRun } from './process-run.js';

/** A process that ends waits this long for a report that is being made. */
const PATIENCE_MS = 30_000;

/** The reports that a leaver's process makes by itself, beside everything else: one that cannot be made holds up nothing. */
export class LeaverReports {
  #open = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(readonly run: ProcessRun) {}

  /** Begins one, behind the one before it: versions follow what happened. What became of it is in the database. */
  begin(occasion: ReportOccasion): void {
    this.#open += 1;
    this.#last = this.#last
      .then(() => this.#make(occasion))
      .catch((error: unknown) => {
        if (!isCancellation(error)) log.error('a report could not be made', { occasion, ...reasonOf(error) });
      })
      .finally(() => {
        this.#open -= 1;
      });
  }

  /** Begins the one on the handover when that is through; none when it was stopped or did not end well. */
  beginAfter(handover: PhaseBeside, isStopped: () => boolean): void {
    condition(() => handover.isDone() || isStopped())
      .then(() => {
        if (!isStopped() && handover.failure() === undefined) this.begin('handed-over');
      })
      // Cancelled while it waits: there is nothing to tell.
      .catch(() => undefined);
  }

  /** Until those that were begun have ended, for a moment at most. */
  async ended(): Promise<void> {
    if (this.#open > 0) await condition(() => this.#open === 0, PATIENCE_MS);
  }

  async #make(occasion: ReportOccasion): Promise<void> {
    await reports(occasion).recordReport({ ...this.run.ref, occasion, reportId: uuid4() });
  }
}
