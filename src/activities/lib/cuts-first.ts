import { setTimeout as delay } from 'node:timers/promises';

/** A long row of cuts slows down everybody else, and stops nobody: whoever rested this long does one more thing. */
const LONGEST_REST_MS = 5_000;
/** From one step of a cut to the next, or from its decision to its first one. */
const NEXT_STEP_MS = 1_000;
const LOOK_MS = 50;

/**
 * Cuts go first inside a worker, too: a queue and slots of its own get a cut's work started, but forty sweeps that are on their way share the processor and the
 * targets with it. So visits that cut nothing rest between their operations while somebody is cut. Speed only: what keeps a cut safe is the fence (design D3).
 */
export class CutsFirst {
  #underWay = 0;
  #expectedUntil = 0;
  #moment: Promise<void> | undefined;

  /** `longestRestMs`: how long anybody rests at a time; 0 switches it off. */
  constructor(readonly longestRestMs = LONGEST_REST_MS) {}

  /** A cut was decided: its first step comes in a moment. */
  expect(): void {
    this.#expectedUntil = performance.now() + NEXT_STEP_MS;
  }

  /** Others rest during `step` and for a moment after it, in which the cut's next step may come. */
  async during<R>(step: () => Promise<R>): Promise<R> {
    this.#underWay += 1;
    try {
      return await step();
    } finally {
      this.#underWay -= 1;
      this.expect();
    }
  }

  /** Waits while somebody is cut. True when it had to wait: what was read before may be old. */
  async rest(signal: AbortSignal): Promise<boolean> {
    const until = performance.now() + this.longestRestMs;
    let hasRested = false;
    while (this.#isCutting() && performance.now() < until && !signal.aborted) {
      hasRested = true;
      await (this.#moment ??= delay(LOOK_MS).then(() => {
        this.#moment = undefined;
      }));
    }
    return hasRested;
  }

  #isCutting(): boolean {
    return this.#underWay > 0 || performance.now() < this.#expectedUntil;
  }
}
