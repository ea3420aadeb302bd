import { setTimeout as delay } from 'node:timers/promises';
import { errorText } from './errors.js';
import type { ProcessMark } from './processes.js';

/** A process that has said that it can be used. */
export interface RunningChild {
  readonly mark: ProcessMark;
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Ends it in an orderly way. Safe to repeat. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill?(): void;
}

export interface KeeperOptions<Child extends RunningChild> {
  /** For people. */
  readonly title: string;
  /** For files. */
  readonly name: string;
  /** Starts the process and resolves when it can be used; called again after each death. */
  readonly start: () => Promise<Child>;
  /** One line for the person at the terminal. */
  readonly say: (line: string) => void;
  /** After each start and end, so that the marks of all children are on disk. */
  readonly onChange: () => Promise<void>;
}

const backOffMs = { first: 200, most: 5_000 };
/** A child that ran this long was well; its next death is a new story. */
const healthyMs = 30_000;

/**
 * Keeps one child running: whenever it ends without having been asked to, it is started again, after 0.2 s, then
 * doubling up to 5 s, for as long as it takes. Those who use it are left running and connect again by themselves.
 */
export class Keeper<Child extends RunningChild> {
  readonly name: string;
  readonly #options: KeeperOptions<Child>;
  #current: Child | undefined;
  #isStopping = false;
  #loop: Promise<void> | undefined;
  readonly #stopping = new AbortController();
  #restarts = 0;

  constructor(options: KeeperOptions<Child>) {
    this.name = options.name;
    this.#options = options;
  }

  get current(): Child | undefined {
    return this.#current;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** Starts the child for the first time; rejects when that fails, and nothing is kept running then. */
  async start(): Promise<Child> {
    const child = await this.#options.start();
    this.#current = child;
    await this.#options.onChange();
    this.#loop = this.#keep(child);
    return child;
  }

  /** Stops the child and the keeping. Safe to repeat, also when the child never started. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopping.abort();
    await this.#current?.stop();
    await this.#loop;
  }

  /** Ends the child at once, while or before stop() waits for it. */
  kill(): void {
    this.#current?.kill?.();
  }

  async #keep(first: Child): Promise<void> {
    let child: Child | undefined = first;
    let backOff = backOffMs.first;
    while (child !== undefined) {
      const since = performance.now();
      await child.ended;
      this.#current = undefined;
      await this.#options.onChange();
      if (this.#isStopping) return;
      if (performance.now() - since > healthyMs) backOff = backOffMs.first;
      this.#options.say(`${this.#options.title} ended unexpectedly; starting it again.`);
      [child, backOff] = await this.#startAgain(backOff);
    }
  }

  async #startAgain(firstBackOff: number): Promise<[Child | undefined, number]> {
    for (let backOff = firstBackOff; ; backOff = Math.min(backOff * 2, backOffMs.most)) {
      await delay(backOff, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      if (this.#isStopping) return [undefined, backOff];
      try {
        const child = await this.#options.start();
        this.#current = child;
        this.#restarts += 1;
        await this.#options.onChange();
        if (this.#isStopping) await child.stop();
        else this.#options.say(`${this.#options.title} is back.`);
        return [child, Math.min(backOff * 2, backOffMs.most)];
      } catch (error) {
        this.#options.say(`${this.#options.title} did not come back: ${errorText(error)}`);
      }
    }
  }
}
