import { sql } from 'kysely';
import type { IdentityId } from '../../src/domain/process/ids.js';
import type { ProcessKind } from '../../src/domain/process/kinds.js';
import type { Door } from './door.js';
import type { History, HistoryEvent } from './shape.js';

/**
 * Puts the instants of visits on the wall's clock. A visit's clock goes on from the workflow's `now` at which it asked for the sweep, so that skipped time is
 * told truly; without skipped time it therefore lags by what passed between that `now` (the start of the workflow task) and the instant at which the server
 * took the sweep. The history knows both: the `now` in the activity's input, and the server's clock when it was scheduled.
 */
export class Clocks {
  /** Corrections made, in milliseconds. */
  readonly behindMs: number[] = [];
  notCorrected = 0;
  readonly #lag = new Map<string, number>();
  readonly #read = new Set<string>();

  constructor(readonly door: Door) {}

  /** From the recorded hire to the first write sent to any target, per person. */
  async acceptedToFirstWrite(people: readonly IdentityId[]): Promise<readonly number[]> {
    await this.#readLags('joiner', people);
    const accepted = await this.#acceptedAt(people, 'hire');
    const visits = await this.door.db
      .selectFrom('visit')
      .select(['visit_id', 'identity_id', 'first_write_at'])
      .where('identity_id', '=', anyOf(people))
      .where('phase', '=', 'activate')
      .where('first_write_at', 'is not', null)
      .execute();
    const first = new Map<IdentityId, number>();
    for (const visit of visits) {
      const at = this.#wall(visit.visit_id, visit.first_write_at);
      first.set(visit.identity_id, Math.min(at, first.get(visit.identity_id) ?? Number.POSITIVE_INFINITY));
    }
    return people.flatMap((id) => between(accepted.get(id), first.get(id)));
  }

  /** From the recorded cut to the last Tier 1 proof, per person whose Tier 1 was proven as a whole. */
  async cutToTier1Proven(people: readonly IdentityId[]): Promise<readonly number[]> {
    const proven = await this.tier1ProvenAt(people);
    const accepted = await this.#acceptedAt(people, 'end');
    return people.flatMap((id) => between(accepted.get(id), proven.get(id)));
  }

  /** When the last of a person's Tier 1 was proven, in milliseconds of the wall's clock; infinity for somebody with anything that was not. */
  async tier1ProvenAt(people: readonly IdentityId[]): Promise<ReadonlyMap<IdentityId, number>> {
    await this.#readLags('leaver', people);
    const evidence = await this.door.db
      .selectFrom('evidence')
      .innerJoin('visit', 'visit.visit_id', 'evidence.visit_id')
      .select(['visit.visit_id', 'visit.identity_id', 'visit.outcome', 'evidence.at', 'evidence.verdict'])
      .where('visit.identity_id', '=', anyOf(people))
      .where('visit.tier', '=', 'T1')
      .execute();
    const last = new Map<IdentityId, number>();
    for (const row of evidence) {
      const isProven = row.verdict === 'proven' && (row.outcome === 'proven' || row.outcome === 'absent');
      const at = isProven ? this.#wall(row.visit_id, row.at) : Number.POSITIVE_INFINITY;
      last.set(row.identity_id, Math.max(at, last.get(row.identity_id) ?? 0));
    }
    return last;
  }

  /** Histories of these people's processes of a kind. */
  async historiesOf(kind: ProcessKind, people: readonly IdentityId[]): Promise<readonly History[]> {
    const rows = await this.door.db
      .selectFrom('process')
      .select('workflow_id')
      .where('identity_id', '=', anyOf(people))
      .where('process_kind', '=', kind)
      .execute();
    const histories: History[] = [];
    for (const row of rows) histories.push(await this.door.client.workflow.getHandle(row.workflow_id).fetchHistory());
    return histories;
  }

  async #acceptedAt(people: readonly IdentityId[], kind: string): Promise<ReadonlyMap<IdentityId, number>> {
    const rows = await this.door.db
      .selectFrom('fact')
      .select(['identity_id', 'recorded_at'])
      .where('identity_id', '=', anyOf(people))
      .where('kind', '=', kind)
      .execute();
    return new Map(rows.map((row) => [row.identity_id, Date.parse(row.recorded_at)]));
  }

  async #readLags(kind: ProcessKind, people: readonly IdentityId[]): Promise<void> {
    const unread = people.filter((id) => !this.#read.has(`${kind}/${id}`));
    for (const history of await this.historiesOf(kind, unread))
      for (const [visitId, lagMs] of lagsIn(history)) this.#lag.set(visitId, lagMs);
    for (const id of unread) this.#read.add(`${kind}/${id}`);
  }

  #wall(visitId: string, at: string | null): number {
    const lagMs = this.#lag.get(visitId);
    if (lagMs === undefined) this.notCorrected += 1;
    else this.behindMs.push(lagMs);
    return Date.parse(at ?? '') + (lagMs ?? 0);
  }
}

function between(from: number | undefined, to: number | undefined): readonly number[] {
  return from === undefined || to === undefined || !Number.isFinite(to) ? [] : [to - from];
}

function anyOf(people: readonly IdentityId[]) {
  return sql<IdentityId>`any(${[...people]}::uuid[])`;
}

/** Per visit of a history's sweeps, how far the instant at which the sweep was scheduled lies behind the `now` it was given. */
function lagsIn(history: History): readonly (readonly [string, number])[] {
  return (history.events ?? []).flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name !== 'runSweep') return [];
    const data = scheduled.input?.payloads?.[0]?.data;
    if (data === undefined || data === null) return [];
    const input = JSON.parse(Buffer.from(data).toString()) as { visitIds: readonly string[]; now: string };
    const lagMs = wallOf(event) - Date.parse(input.now);
    return input.visitIds.map((visitId) => [visitId, lagMs] as const);
  });
}

function wallOf(event: HistoryEvent): number {
  return Number(event.eventTime?.seconds ?? 0) * 1_000 + (event.eventTime?.nanos ?? 0) / 1_000_000;
}
