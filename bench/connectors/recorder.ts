import { ResultOf } from './script.js';
import type { Batch, Call, Script } from './script.js';

/** Methods of one class of a client library that are to be noted. */
export interface Watched {
  /** The object that has the methods as its own: a prototype, or a module's exports. */
  readonly owner: object;
  readonly methods: readonly string[];
  /** The last argument is called with the result, instead of a promise. */
  readonly callback?: true;
  /** Methods that call others of the same library: what happens inside is not the connector's. */
  readonly composite?: readonly string[];
  /** Methods that each result of `open` has as its own. */
  readonly ofOpened?: readonly string[];
}

type Ended = (result: unknown, isRefused?: boolean) => void;
type Noted = { -readonly [Name in keyof Call]: Call[Name] };

/** Notes calls in the order in which they leave, and which of them were on their way together. */
export class Recording {
  readonly #batches: Noted[][] = [];
  readonly #results = new Map<unknown, number>();
  #pending = 0;
  #calls = 0;
  #isInside = false;

  /** A call leaves. Gives what has to be told when it is answered; undefined when the call belongs to another one. */
  begin(method: string, args: readonly unknown[], self?: unknown, isComposite = false): Ended | undefined {
    if (this.#isInside) return undefined;
    const batch = this.#pending > 0 ? this.#batches.at(-1) : undefined;
    const call = { method, args: args.map((arg) => this.#noted(arg)), on: this.#results.get(self), isRefused: false };
    if (batch === undefined) this.#batches.push([call]);
    else batch.push(call);
    const index = this.#calls;
    this.#calls += 1;
    this.#pending += 1;
    this.#isInside = isComposite;
    return (result, isRefused = false) => {
      this.#pending -= 1;
      call.isRefused = isRefused;
      if (isComposite) this.#isInside = false;
      if (typeof result === 'object' && result !== null) this.#results.set(result, index);
    };
  }

  script(): Script {
    return this.#batches.map((batch): Batch => [...batch]);
  }

  #noted(arg: unknown): unknown {
    const index = typeof arg === 'object' && arg !== null ? this.#results.get(arg) : undefined;
    return index === undefined ? arg : new ResultOf(index);
  }
}

/** Puts a note-taker around the methods; what it gives puts the methods back as they were. */
export function watch(recording: Recording, watched: readonly Watched[]): () => void {
  const undo: (() => void)[] = [];
  for (const { owner, methods, callback, composite, ofOpened } of watched) {
    const table = owner as Record<string, (...args: unknown[]) => unknown>;
    for (const method of methods) {
      const original = table[method];
      if (original === undefined) throw new Error(`the client library has no ${method}`);
      const isComposite = composite?.includes(method) === true;
      table[method] = function noted(this: unknown, ...args: unknown[]): unknown {
        const told = callback === true ? args.slice(0, -1) : args;
        const end = recording.begin(method, told, this, isComposite);
        if (end === undefined) return original.apply(this, args);
        if (callback !== true)
          return ended(original.apply(this, args), end, (result) => {
            if (ofOpened !== undefined && method === 'open' && result instanceof Object)
              watch(recording, [{ owner: result, methods: ofOpened }]);
          });
        const done = args.at(-1) as (...answer: unknown[]) => void;
        return original.call(this, ...told, (...answer: unknown[]) => {
          end(answer[1], answer[0] instanceof Error);
          done(...answer);
        });
      };
      undo.push(() => {
        table[method] = original;
      });
    }
  }
  return () => {
    for (const one of undo) one();
  };
}

async function ended(answer: unknown, end: Ended, opened: (result: unknown) => void): Promise<unknown> {
  try {
    const result = await answer;
    end(result);
    opened(result);
    return result;
  } catch (error) {
    end(undefined, true);
    throw error;
  }
}
