import type { Instant, VisitId } from '../../domain/process/ids.js';
import { sweeps } from './activities.js';
import { cutLostWrites } from './cut-access.js';
import type { ProcessRun } from './process-run.js';
import { now } from './wait.js';

const ASK_AGAIN_MS = 60_000;
const ASK_AGAIN_AT_MOST_MS = 24 * 3_600_000;

/** The looks that policy asks for after a cut: when the next one is due, and what it finds. One activity a look, whatever number of accounts there is. */
export class Looks {
  #due: readonly number[];
  #again: { readonly at: number; readonly pauseMs: number; readonly only: readonly string[] } | undefined;

  constructor(
    readonly run: ProcessRun,
    readonly lost: readonly VisitId[],
  ) {
    const cutAt = Date.now();
    this.#due = (run.schedule.staysDeadMs ?? []).map((afterMs) => cutAt + afterMs);
  }

  /** Undefined when no more are asked for. */
  nextAt(): Instant | undefined {
    const [next] = [...this.#due, ...(this.#again === undefined ? [] : [this.#again.at])].sort((a, b) => a - b);
    return next === undefined ? undefined : (new Date(next).toISOString() as Instant);
  }

  /**
   * Looks now. Where an account lives again an operator is told, without waiting for the answer. An application that could not be asked is asked again, ever
   * more rarely, until the next look.
   */
  async look(): Promise<{ readonly isAlive: boolean }> {
    const nextAt = this.nextAt();
    const isRepeat = this.#again !== undefined && nextAt === new Date(this.#again.at).toISOString();
    const again = isRepeat ? this.#again : undefined;
    this.#again = undefined;
    if (again === undefined) {
      // However late this one is: the ones that fell due meanwhile are the same look.
      const passed = Math.max(Date.now(), nextAt === undefined ? 0 : Date.parse(nextAt));
      this.#due = this.#due.filter((at) => at > passed);
      if (this.lost.length > 0) await cutLostWrites(this.run, this.lost);
    }
    const input = { ...this.run.ref, now: now(), ...(again === undefined ? {} : { only: again.only }) };
    const seen = await sweeps(true, 'look whether what was cut stays dead').lookAtCut(input);
    if (seen.unknown.length > 0) {
      const pauseMs = Math.min(again === undefined ? ASK_AGAIN_MS : 2 * again.pauseMs, ASK_AGAIN_AT_MOST_MS);
      this.#again = { at: Date.now() + pauseMs, pauseMs, only: seen.unknown };
    }
    for (const application of seen.cameBack) await this.run.raiseIncident('came-back', 'came-back', application);
    return { isAlive: seen.cameBack.length > 0 };
  }
}
