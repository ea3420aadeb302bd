import { SYSTEM } from '../../db/keys.js';
import { appendAudit } from '../../db/audit.js';
import type { CutPersonState } from '../../db/schema.js';
import type { IdentityId } from '../../domain/process/ids.js';
import type { ApiDeps } from '../deps.js';
import type { Notice } from '../dispatch/dispatcher.js';
import { ApiProblem } from '../http/problem.js';
import { cutWithin } from '../identities/cut.js';
import { openBody, sealBody } from './body.js';

const AT_ONCE = 6;
const POLL_MS = 2_000;
const MAX_ATTEMPTS = 5;

/**
 * Carries out cuts of many people: one transaction a person, several beside each other. Who is waiting stands in the database, so a process that dies half-way
 * loses nobody: this one, started again, or another one goes on. Also ends proposals that nobody confirmed in time.
 */
export class CutRunner {
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  readonly #runs = new Set<Promise<void>>();

  constructor(private readonly deps: ApiDeps) {}

  start(): void {
    const loop = (): void => {
      void this.#poll().finally(() => {
        if (!this.#isStopped) this.#timer = setTimeout(loop, POLL_MS);
      });
    };
    loop();
  }

  /** What is not done stays waiting in the database. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await Promise.allSettled([...this.#runs]);
  }

  /** Resolves when nobody of this cut is left for this process to take. Safe to repeat and to run in several processes at once. */
  run(cutId: string): Promise<void> {
    const run = Promise.all(Array.from({ length: AT_ONCE }, () => this.#lane(cutId))).then(() => undefined);
    const noted = run.finally(() => this.#runs.delete(noted));
    this.#runs.add(noted);
    return noted;
  }

  async #lane(cutId: string): Promise<void> {
    while (!this.#isStopped && (await this.#next(cutId)));
  }

  /** Cuts one who waits; false when nobody does. */
  async #next(cutId: string): Promise<boolean> {
    const { deps } = this;
    let taken: IdentityId | undefined;
    try {
      const notice = await deps.db.transaction().execute(async (trx): Promise<Notice | undefined> => {
        const row = await trx
          .selectFrom('cut_batch_person')
          .innerJoin('cut_batch', 'cut_batch.cut_id', 'cut_batch_person.cut_id')
          .select(['identity_id', 'body', 'proposed_by', 'confirmed_by'])
          .where('cut_batch_person.cut_id', '=', cutId)
          .where('cut_batch_person.state', '=', 'waiting')
          .orderBy('attempts')
          .orderBy('identity_id')
          .limit(1)
          .forUpdate('cut_batch_person')
          .skipLocked()
          .executeTakeFirst();
        if (row === undefined) return undefined;
        taken = row.identity_id;
        const { reason } = await openBody(deps, cutId, row.body);
        const { notice: news } = await cutWithin(deps, trx, {
          identityId: row.identity_id,
          actor: row.proposed_by,
          reason,
          batch: { cutId, confirmedBy: row.confirmed_by },
        });
        await trx
          .updateTable('cut_batch_person')
          .set({ state: 'cut', at: deps.now() })
          .where('cut_id', '=', cutId)
          .where('identity_id', '=', row.identity_id)
          .execute();
        return news;
      });
      if (notice !== undefined) deps.dispatcher.notify(notice);
    } catch (error) {
      if (taken === undefined) throw error;
      await this.#note(cutId, taken, error);
    }
    return taken !== undefined;
  }

  /** One who cannot be cut never holds up the others. */
  async #note(cutId: string, identityId: IdentityId, error: unknown): Promise<void> {
    const isOver = error instanceof ApiProblem && error.body.type.endsWith('/nothing-to-cut');
    const { db, logger } = this.deps;
    if (!isOver) logger.warn({ identityId, err: error instanceof Error ? error.name : 'Error' }, 'a cut failed');
    await db
      .updateTable('cut_batch_person')
      .set((eb) => ({
        attempts: eb('attempts', '+', 1),
        at: this.deps.now(),
        state: isOver
          ? ('nothing-to-cut' as const)
          : eb
              .case()
              .when('attempts', '>=', MAX_ATTEMPTS - 1)
              .then<CutPersonState>('failed')
              .else<CutPersonState>('waiting')
              .end(),
      }))
      .where('cut_id', '=', cutId)
      .where('identity_id', '=', identityId)
      .where('state', '=', 'waiting')
      .execute();
  }

  async #poll(): Promise<void> {
    try {
      await this.#expire();
      const waiting = await this.deps.db
        .selectFrom('cut_batch_person')
        .select('cut_id')
        .distinct()
        .where('state', '=', 'waiting')
        .execute();
      for (const { cut_id: cutId } of waiting) if (!this.#isStopped) await this.run(cutId);
    } catch (error) {
      this.deps.logger.warn({ err: error instanceof Error ? error.name : 'Error' }, 'cuts could not be looked at');
    }
  }

  async #expire(): Promise<void> {
    const { db } = this.deps;
    const due = await db
      .selectFrom('cut_batch')
      .select('cut_id')
      .where('state', '=', 'proposed')
      .where('expires_at', '<=', this.deps.now())
      .execute();
    for (const { cut_id: cutId } of due) await expireCut(this.deps, cutId);
  }
}

/** Ends a proposal whose time has passed: its list is forgotten. Safe to repeat. */
export async function expireCut(deps: ApiDeps, cutId: string): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom('cut_batch')
      .selectAll()
      .where('cut_id', '=', cutId)
      .where('state', '=', 'proposed')
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return;
    const { reason } = await openBody(deps, cutId, row.body);
    const body = await sealBody(deps, trx, cutId, { reason, people: [] });
    await trx.updateTable('cut_batch').set({ state: 'expired', body }).where('cut_id', '=', cutId).execute();
    await appendAudit(trx, deps.keys, {
      identityId: SYSTEM,
      at: deps.now(),
      actor: 'system',
      action: 'cut.expired',
      body: { cutId, size: row.size },
    });
  });
}
