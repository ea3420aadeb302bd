import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database } from '../../db/database.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId, Instant } from '../../domain/process/ids.js';
import type { ApiMetrics } from '../metrics.js';
import type { Lifecycle } from './lifecycle.js';

export interface DispatcherDeps {
  readonly db: Database;
  readonly lifecycle: Pick<Lifecycle, 'ledgerChanged'>;
  readonly metrics: ApiMetrics;
  readonly logger: Logger;
  readonly pollMs?: number;
  readonly concurrency?: number;
}

export interface Notice {
  readonly identityId: IdentityId;
  readonly ledgerVersion: number;
  readonly urgent: boolean;
}

interface Entry extends Notice {
  readonly attempts: number;
}

const CONCURRENCY = 16;
/** Messages of a cut on their way beside all others: a thousand joiners that take their time leave these free. */
const URGENT_CONCURRENCY = 16;
const POLL_MS = 1_000;
const BACK_OFF_MS = [500, 1_000, 2_000, 4_000, 8_000] as const;
const PAGE = 500;

/**
 * Tells identity workflows how far their ledgers are (design D2, D10). `notify` is called after the commit and never waits or fails; what does not get
 * through stays in the inbox and is repeated by a poll, so an outage of Temporal or of this process loses nothing. Several notices of one person are
 * one message with the highest version. Urgent ones have a lane of their own, past everything that waits or is on its way. Several dispatchers may run:
 * messages are idempotent.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #urgent: Lane;
  readonly #rest: Lane;
  readonly #notBefore = new Map<IdentityId, number>();
  readonly #deliveries = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#urgent = new Lane(URGENT_CONCURRENCY);
    this.#rest = new Lane(deps.concurrency ?? CONCURRENCY);
  }

  /** Begins to repeat what did not get through, also from before a restart. */
  start(): void {
    const loop = (): void => {
      this.#polling = this.#poll().finally(() => {
        if (!this.#isStopped) this.#timer = setTimeout(loop, this.#deps.pollMs ?? POLL_MS);
      });
    };
    loop();
  }

  /** Ends polling and waits for what is on its way. Nothing is lost: the rest is in the inbox. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const lane of [this.#urgent, this.#rest]) lane.waiting.clear();
    await this.#polling;
    await Promise.allSettled([...this.#deliveries]);
  }

  notify(notice: Notice): void {
    if (this.#isStopped) return;
    // Fresh news is worth an attempt at once, whatever happened to the last one.
    this.#notBefore.delete(notice.identityId);
    this.#enqueue({ ...notice, attempts: 0 });
    this.#pump();
  }

  #enqueue(entry: Entry): void {
    const other = this.#rest.waiting.get(entry.identityId);
    // What was waiting for the same person goes along with the urgent message.
    if (entry.urgent && other !== undefined) this.#rest.waiting.delete(entry.identityId);
    const lane = entry.urgent ? this.#urgent : this.#rest;
    const known = lane.waiting.get(entry.identityId) ?? other;
    const ledgerVersion = Math.max(entry.ledgerVersion, known?.ledgerVersion ?? 0);
    lane.waiting.set(entry.identityId, { ...entry, ledgerVersion });
  }

  #pump(): void {
    for (const lane of [this.#urgent, this.#rest])
      for (let entry = lane.take(); entry !== undefined; entry = lane.take()) this.#send(lane, entry);
  }

  #send(lane: Lane, entry: Entry): void {
    const delivery = this.#deliver(entry).finally(() => {
      lane.inFlight.delete(entry.identityId);
      this.#deliveries.delete(delivery);
      if (!this.#isStopped) this.#pump();
    });
    this.#deliveries.add(delivery);
  }

  async #deliver(entry: Entry): Promise<void> {
    const { db, lifecycle, metrics, logger } = this.#deps;
    const { identityId, ledgerVersion, urgent } = entry;
    try {
      const { known } = await lifecycle.ledgerChanged(identityId, { ledgerVersion, urgent });
      metrics.deliveries.inc({ result: 'delivered' });
      this.#notBefore.delete(identityId);
      const delivered = Math.max(known, ledgerVersion);
      await db
        .updateTable('inbox')
        .set({
          delivered_version: sql<number>`greatest(delivered_version, ${delivered}::integer)`,
          delivered_at: nowInstant(),
          attempts: 0,
          urgent: sql<boolean>`urgent and ledger_version > ${delivered}::integer`,
        })
        .where('identity_id', '=', identityId)
        .execute();
    } catch (error) {
      metrics.deliveries.inc({ result: 'failed' });
      const wait = BACK_OFF_MS[Math.min(entry.attempts, BACK_OFF_MS.length - 1)] ?? POLL_MS;
      this.#notBefore.set(identityId, Date.now() + wait);
      logger.warn({ identityId, attempts: entry.attempts + 1, err: nameOf(error) }, 'identity workflow not told yet');
      await db
        .updateTable('inbox')
        .set((eb) => ({ attempts: eb('attempts', '+', 1) }))
        .where('identity_id', '=', identityId)
        .execute()
        .catch(() => undefined);
    }
  }

  async #poll(): Promise<void> {
    const { db, metrics, logger } = this.#deps;
    try {
      const rows = await db
        .selectFrom('inbox')
        .select(['identity_id', 'ledger_version', 'urgent', 'attempts'])
        .whereRef('delivered_version', '<', 'ledger_version')
        .orderBy('urgent', 'desc')
        .orderBy('changed_at')
        .limit(PAGE)
        .execute();
      metrics.undelivered.set(rows.length);
      const now = Date.now();
      for (const row of rows) {
        const lane = row.urgent ? this.#urgent : this.#rest;
        if (lane.inFlight.has(row.identity_id) || (this.#notBefore.get(row.identity_id) ?? 0) > now) continue;
        this.#enqueue({
          identityId: row.identity_id,
          ledgerVersion: row.ledger_version,
          urgent: row.urgent,
          attempts: row.attempts,
        });
      }
      this.#pump();
    } catch (error) {
      logger.warn({ err: nameOf(error) }, 'the inbox could not be read');
    }
  }
}

/** Messages that wait and that are on their way, in order of arrival; never two to one person at once. */
class Lane {
  readonly waiting = new Map<IdentityId, Entry>();
  readonly inFlight = new Set<IdentityId>();

  constructor(readonly concurrency: number) {}

  /** The next message to send, which is on its way from here on; undefined when none may go now. */
  take(): Entry | undefined {
    if (this.inFlight.size >= this.concurrency) return undefined;
    for (const entry of this.waiting.values()) {
      if (this.inFlight.has(entry.identityId)) continue;
      this.waiting.delete(entry.identityId);
      this.inFlight.add(entry.identityId);
      return entry;
    }
    return undefined;
  }
}

function nowInstant(): Instant {
  return brand<Instant>(new Date().toISOString());
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'Error';
}
