import { uuid4 } from '@temporalio/workflow';
import type { Instant } from '../../domain/process/ids.js';
import { bookkeeping } from './activities.js';
import type { ProcessRun } from './process-run.js';
import { now } from './wait.js';

/** The warnings before a contract ends: each once for each end, and after an extension for the new end alone. */
export class ContractWarnings {
  #given: { readonly endsAt: Instant; readonly days: number } | undefined;

  constructor(readonly run: ProcessRun) {}

  /** When the next one is due, as the ledger has it now; undefined when no more are. */
  nextAt(): Instant | undefined {
    return this.#ahead().find((warning) => warning.at > now())?.at;
  }

  /** Gives the one that has fallen due last: however late, those before it are the same warning. Where nobody could be told a person is asked. */
  async giveDue(): Promise<void> {
    const due = this.#ahead().findLast((warning) => warning.at <= now());
    if (due === undefined) return;
    const endsAt = this.run.schedule.effectiveAt;
    this.#given = { endsAt, days: due.days };
    const { isOnItsWay } = await bookkeeping.warnSponsor({
      ...this.run.ref,
      endsAt,
      days: due.days,
      noticeId: uuid4(),
    });
    if (!isOnItsWay) await this.run.raiseIncident('contract-end', 'nobody-told');
  }

  #ahead() {
    const { warnings = [], effectiveAt } = this.run.schedule;
    const given = this.#given?.endsAt === effectiveAt ? this.#given.days : Infinity;
    return effectiveAt <= now() ? [] : warnings.filter((warning) => warning.days < given);
  }
}
