import { CancellationScope, isCancellation, log } from '@temporalio/workflow';

/**
 * Compensations of a process, run backwards when it fails or is cancelled. A compensation is registered before its step and is safe when the step never
 * happened (style.md A13); it runs in a scope that cancellation cannot reach (P4). What cannot be undone is residue, returned and never swallowed.
 * A leaver has none: it only goes forward (design D6).
 */
export class Saga {
  readonly #steps: { readonly name: string; readonly undo: () => Promise<unknown> }[] = [];

  add(name: string, undo: () => Promise<unknown>): void {
    this.#steps.push({ name, undo });
  }

  /** What was done is in use now: nothing of it is taken back any more. */
  keep(): void {
    this.#steps.length = 0;
  }

  /** Runs all compensations, last first; returns the names of those that failed. */
  async compensate(): Promise<readonly string[]> {
    const residue: string[] = [];
    await CancellationScope.nonCancellable(async () => {
      for (const step of this.#steps.splice(0).reverse()) {
        try {
          await step.undo();
        } catch (error) {
          if (isCancellation(error)) throw error;
          log.warn('compensation left residue', { step: step.name });
          residue.push(step.name);
        }
      }
    });
    return residue;
  }
}
