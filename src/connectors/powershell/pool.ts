import { ConnectorError } from '../errors.js';
import { Session } from './session.js';
import type { SessionOptions } from './session.js';

export interface PoolLimits {
  readonly max: number;
  readonly idleMs: number;
  readonly maxRequests: number;
}

interface Waiter {
  readonly wake: () => void;
}

/** Sessions that are kept and reused, each by one operation at a time. One that broke, is used up or stands idle too long is replaced. */
export class SessionPool {
  readonly #options: SessionOptions;
  readonly #limits: PoolLimits;
  readonly #idle = new Map<Session, NodeJS.Timeout>();
  readonly #live = new Set<Promise<void>>();
  readonly #sessions = new Set<Session>();
  readonly #waiters: Waiter[] = [];
  /** Sessions that run, and those that are being started. */
  #taken = 0;
  readonly #closing = new AbortController();

  constructor(options: SessionOptions, limits: PoolLimits) {
    this.#options = options;
    this.#limits = limits;
  }

  /** Runs the work on a session of its own. Waits for one within the signal's time: TIMEOUT, not sent. */
  async with<T>(operation: string, signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const session = await this.#take(operation, signal);
    try {
      return await work(session);
    } finally {
      this.#giveBack(session);
    }
  }

  /** The ids of the hosts that run. */
  pids(): readonly number[] {
    return [...this.#sessions].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
  }

  /** Ends all hosts and waits until they are gone. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { wake } of this.#waiters.splice(0)) wake();
    await Promise.all([...this.#sessions].map((session) => session.close()));
    await Promise.all(this.#live);
  }

  async #take(operation: string, signal: AbortSignal): Promise<Session> {
    for (;;) {
      if (this.#closing.signal.aborted) {
        throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'connector-closed' });
      }
      if (signal.aborted) throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
      const idle = this.#takeIdle();
      if (idle !== undefined) return idle;
      if (this.#taken + this.#idle.size < this.#limits.max) return this.#start(operation, signal);
      await this.#oneFree(signal);
    }
  }

  #takeIdle(): Session | undefined {
    for (const [session, timer] of this.#idle) {
      clearTimeout(timer);
      this.#idle.delete(session);
      if (session.isUsable) {
        this.#taken += 1;
        return session;
      }
      session.kill();
    }
    return undefined;
  }

  async #start(operation: string, signal: AbortSignal): Promise<Session> {
    this.#taken += 1;
    try {
      const session = await Session.open(this.#options, operation, AbortSignal.any([signal, this.#closing.signal]));
      if (this.#closing.signal.aborted) {
        session.kill();
        throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'connector-closed' });
      }
      this.#sessions.add(session);
      const live = session.ended.then(() => {
        this.#sessions.delete(session);
        this.#live.delete(live);
        clearTimeout(this.#idle.get(session));
        this.#idle.delete(session);
      });
      this.#live.add(live);
      return session;
    } catch (error) {
      this.#taken -= 1;
      this.#wakeOne();
      throw error;
    }
  }

  #giveBack(session: Session): void {
    this.#taken -= 1;
    if (!session.isUsable) session.kill();
    else if (this.#closing.signal.aborted || session.asked > this.#limits.maxRequests) void session.close();
    else {
      const timer = setTimeout(() => {
        this.#idle.delete(session);
        void session.close();
      }, this.#limits.idleMs);
      timer.unref();
      this.#idle.set(session, timer);
    }
    this.#wakeOne();
  }

  #wakeOne(): void {
    this.#waiters.shift()?.wake();
  }

  #oneFree(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        wake: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        const at = this.#waiters.indexOf(waiter);
        if (at !== -1) this.#waiters.splice(at, 1);
        // Woken at the very moment of the cancel: the next one gets the turn.
        else this.#wakeOne();
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }
}
