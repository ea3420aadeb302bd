import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FileStore } from './store.js';
import { StoreFailure, unlessOver } from './store.js';

/** What a lock file says: who writes, and when he gives up at the latest. */
interface Holder {
  readonly owner: string;
  readonly until: string;
}

export interface LockSettings {
  readonly file: string;
  readonly waitMs: number;
  readonly graceMs: number;
}

const pollMs = 60;

/**
 * One writer at a time. Inside this process writers queue; between processes a lock file names its owner. It is taken
 * over when its holder should have ended `graceMs` ago (he gave up, or died), or when it is one that this very store
 * could not take away (its connection was lost). Waiting is bounded by `waitMs` and the operation's own time.
 */
export class WriteLock {
  readonly #store: FileStore;
  readonly #settings: LockSettings;
  readonly #owner = randomUUID();
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: FileStore, settings: LockSettings) {
    this.#store = store;
    this.#settings = settings;
  }

  /** Runs the work alone. `stillOurs` throws when the lock was taken over meanwhile. Throws StoreFailure `locked`. */
  async hold<T>(
    signal: AbortSignal,
    untilMs: number,
    work: (stillOurs: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const before = this.#last;
    const turn = unlessOver(signal, () => before).then(() => this.#alone(signal, untilMs, work));
    // The next one comes when the ones before have ended, also when this one gave up waiting.
    this.#last = Promise.allSettled([before, turn]);
    return turn;
  }

  async #alone<T>(
    signal: AbortSignal,
    untilMs: number,
    work: (stillOurs: () => Promise<void>) => Promise<T>,
  ): Promise<T> {
    await this.#take(signal, untilMs);
    try {
      return await work(() => this.#requireOurs(signal));
    } finally {
      await this.#release();
    }
  }

  async #take(signal: AbortSignal, untilMs: number): Promise<void> {
    const { file, waitMs } = this.#settings;
    const holder: Holder = { owner: this.#owner, until: new Date(untilMs).toISOString() };
    const bytes = Buffer.from(`${JSON.stringify(holder)}\n`);
    const started = performance.now();
    while (!(await this.#store.createExclusive(file, bytes, signal))) {
      if (await this.#isStale(signal)) {
        await this.#store.remove(file, signal);
      } else if (performance.now() - started > waitMs) {
        throw new StoreFailure('UNAVAILABLE', 'locked');
      } else {
        await delay(pollMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {
          throw new StoreFailure('TIMEOUT', 'locked');
        });
      }
    }
  }

  async #isStale(signal: AbortSignal): Promise<boolean> {
    const { file, graceMs } = this.#settings;
    const now = Date.now();
    const holder = await this.#holder(signal);
    if (holder !== undefined) {
      return holder.owner === this.#owner || Date.parse(holder.until) + graceMs < now;
    }
    // Made and not yet written, or its maker died right there: then its age decides.
    const stat = await this.#store.stat(file, signal);
    return stat !== undefined && stat.mtimeMs + graceMs < now;
  }

  async #holder(signal: AbortSignal): Promise<Holder | undefined> {
    const bytes = await this.#store.read(this.#settings.file, 4_096, signal);
    try {
      const said: unknown = JSON.parse(bytes?.toString('utf8') ?? '');
      return isHolder(said) ? said : undefined;
    } catch {
      return undefined;
    }
  }

  async #requireOurs(signal: AbortSignal): Promise<void> {
    if ((await this.#holder(signal))?.owner !== this.#owner) {
      throw new StoreFailure('CONFLICT', 'lock-lost');
    }
  }

  /** With time of its own, because the operation's may be over; what cannot be taken away becomes stale. */
  async #release(): Promise<void> {
    const signal = AbortSignal.timeout(400);
    try {
      await this.#requireOurs(signal);
      await this.#store.remove(this.#settings.file, signal);
    } catch {
      // Said above.
    }
  }
}

function isHolder(said: unknown): said is Holder {
  return (
    typeof said === 'object' &&
    said !== null &&
    'owner' in said &&
    typeof said.owner === 'string' &&
    'until' in said &&
    typeof said.until === 'string' &&
    !Number.isNaN(Date.parse(said.until))
  );
}
