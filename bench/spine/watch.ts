import { setTimeout as delay } from 'node:timers/promises';
import type { IdentityId } from '../../src/domain/process/ids.js';
import type { Door } from './door.js';

/** How often the rows are looked at: one query for everybody who is waited for. */
const LOOK_MS = 40;
const STUCK_MS = 60_000;

export type Finished = (door: Door, waiting: readonly IdentityId[]) => Promise<readonly IdentityId[]>;

/** Of those waiting, who has everything that a joiner gives. */
export const completedJoiners: Finished = async (door, waiting) => {
  const rows = await door.db
    .selectFrom('process')
    .select('identity_id')
    .where('identity_id', 'in', [...waiting])
    .where('kind', '=', 'joiner')
    .where('state', '=', 'completed')
    .execute();
  return rows.map((row) => row.identity_id);
};

/** Of those waiting, whose Tier 1 and Tier 2 are over: only retention is left. */
export const finishedCuts: Finished = async (door, waiting) => {
  const rows = await door.db
    .selectFrom('process')
    .select('identity_id')
    .where('identity_id', 'in', [...waiting])
    .where('process_kind', '=', 'leaver')
    .where('state', '=', 'tail')
    .execute();
  return rows.map((row) => row.identity_id);
};

/** Looks for everybody who is waited for with one query at a time, so that waiting itself is no load. */
export class Watch {
  readonly #waiting = new Map<IdentityId, { resolve(): void; reject(error: unknown): void }>();
  #isLooking = false;

  constructor(
    readonly door: Door,
    readonly finished: Finished,
    /** Nobody of them got there for this long: something is wrong. */
    readonly stuckMs = STUCK_MS,
  ) {}

  of(id: IdentityId): Promise<void> {
    const ended = new Promise<void>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    if (!this.#isLooking) void this.#look();
    return ended;
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    let progressAt = performance.now();
    try {
      while (this.#waiting.size > 0) {
        for (const id of await this.finished(this.door, [...this.#waiting.keys()])) {
          progressAt = performance.now();
          this.#waiting.get(id)?.resolve();
          this.#waiting.delete(id);
        }
        if (performance.now() - progressAt > this.stuckMs) throw new Error(await this.#complaint());
        await delay(LOOK_MS);
      }
    } catch (error) {
      for (const one of this.#waiting.values()) one.reject(error);
      this.#waiting.clear();
    }
    // Nothing is awaited between the last look at the map and here, so nobody is added unseen.
    this.#isLooking = false;
  }

  async #complaint(): Promise<string> {
    const rows = await this.door.db
      .selectFrom('process')
      .select(['kind', 'state', 'phase', 'blocked_on', 'outcome'])
      .where('identity_id', 'in', [...this.#waiting.keys()])
      .execute();
    return `no process of a wave ended within ${this.stuckMs} ms: ${JSON.stringify(rows.slice(0, 5))}`;
  }
}
