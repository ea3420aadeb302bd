import { sql } from 'kysely';
import type { RawBuilder, Selectable, SqlBool } from 'kysely';
import type { Queryable } from '../../db/database.js';
import type { AccountTable, ApplicationStateTable, ProcessTable, VisitTable } from '../../db/schema.js';
import type { IdentityId, Instant, VisitId } from '../../domain/process/ids.js';
import { batched } from '../lib/batched.js';

export type AccountRow = Selectable<AccountTable>;
export type VisitRow = Selectable<VisitTable>;
/** What a visit needs of its process; `generation` is the one that it was planned under. */
export type VisitProcess = Pick<
  Selectable<ProcessTable>,
  'transition_id' | 'process_kind' | 'policy_version' | 'generation'
>;

/** A visit as it is found when its turn comes. */
export type FoundVisit = VisitRow &
  Omit<VisitProcess, 'generation'> & {
    readonly plannedGeneration: number;
    /** The person's. */
    readonly presentGeneration: number;
    readonly heldSince: Instant | null;
    /** True when `others` would find another visit. */
    readonly isContended: SqlBool;
    /** True when the person has a linked account there. */
    readonly hasAccount: SqlBool;
  } & { readonly [C in 'failures' | 'pauses' | 'quarantined_since' | 'quarantined_until']: TargetState[C] | null };

/** How the visit's target fares; null while nothing is known of it. */
type TargetState = Selectable<ApplicationStateTable>;

/** Another visit to the same person's account in the same application. */
export type OtherVisit = Pick<VisitRow, 'created_at' | 'write_in_flight' | 'write_until' | 'process_id' | 'phase'>;

/**
 * The rows that visits read before they write. The visits of a sweep go side by side through the same steps, and a worker has many sweeps: what they ask at the
 * same moment is one statement; nothing is kept from one moment to the next.
 */
export class VisitRows {
  constructor(readonly db: Queryable) {}

  /** A visit with all that decides whether it may go, at this moment. */
  readonly visit = batched(async (ids: readonly VisitId[]): Promise<(id: VisitId) => FoundVisit | undefined> => {
    const rows = await this.db
      .selectFrom('visit')
      .innerJoin('process', 'process.process_id', 'visit.process_id')
      .innerJoin('identity', 'identity.identity_id', 'visit.identity_id')
      .leftJoin('application_state as target', 'target.application', 'visit.application')
      .selectAll('visit')
      .select(['process.transition_id', 'process.process_kind', 'process.policy_version'])
      .select(['process.generation as plannedGeneration', 'identity.generation as presentGeneration'])
      .select('identity.held_since as heldSince')
      .select(['target.failures', 'target.pauses', 'target.quarantined_since', 'target.quarantined_until'])
      .select((eb) => [
        eb
          .exists(
            eb
              .selectFrom('visit as other')
              .select('other.visit_id')
              .whereRef('other.identity_id', '=', 'visit.identity_id')
              .whereRef('other.application', '=', 'visit.application')
              .whereRef('other.visit_id', '!=', 'visit.visit_id')
              .where((of) =>
                of.or([
                  of('other.created_at', '>', of.ref('visit.created_at')),
                  of('other.write_in_flight', '=', true),
                ]),
              ),
          )
          .as('isContended'),
        eb
          .exists(
            eb
              .selectFrom('account')
              .select('account.account_id')
              .whereRef('account.identity_id', '=', 'visit.identity_id')
              .whereRef('account.application', '=', 'visit.application')
              .where('account.unlinked_at', 'is', null),
          )
          .as('hasAccount'),
      ])
      .where('visit.visit_id', '=', anyOf(ids))
      .execute();
    return (id) => rows.find((row) => row.visit_id === id);
  });

  readonly generation = batched(async (ids: readonly IdentityId[]) => {
    const rows = await this.db
      .selectFrom('identity')
      .select(['identity_id', 'generation'])
      .where('identity_id', '=', anyOf(ids))
      .execute();
    return (id: IdentityId) => rows.find((row) => row.identity_id === id)?.generation;
  });

  /** Newer visits to the same account, and those with a write in flight. */
  readonly others = batched(async (visits: readonly VisitRow[]) => {
    const oldest = visits.map((visit) => visit.created_at).reduce((a, b) => (a < b ? a : b));
    const rows = await this.db
      .selectFrom('visit')
      .select([
        'visit_id',
        'identity_id',
        'application',
        'created_at',
        'write_in_flight',
        'write_until',
        'process_id',
        'phase',
      ])
      .where('identity_id', '=', anyOf(visits.map((visit) => visit.identity_id)))
      .where(
        'application',
        '=',
        anyOf(
          visits.map((visit) => visit.application),
          'text',
        ),
      )
      .where((eb) => eb.or([eb('created_at', '>', oldest), eb('write_in_flight', '=', true)]))
      .execute();
    return (visit: VisitRow): readonly OtherVisit[] =>
      rows.filter(
        (row) =>
          row.identity_id === visit.identity_id &&
          row.application === visit.application &&
          row.visit_id !== visit.visit_id &&
          (row.created_at > visit.created_at || row.write_in_flight),
      );
  });

  /** Notes that the visit is being worked on; gives the operations that a finished step row already answers for. */
  readonly begin = batched(async (ids: readonly VisitId[]) => {
    const rows = await this.db
      .with('begun', (cte) =>
        cte
          .updateTable('visit')
          .set((eb) => ({ status: 'running' as const, attempt: eb('attempt', '+', 1) }))
          .where('visit_id', '=', anyOf(ids)),
      )
      .selectFrom('visit_step')
      .select(['visit_id', 'operation_key'])
      .where('visit_id', '=', anyOf(ids))
      .where('state', '!=', 'sent')
      .execute();
    return (id: VisitId): ReadonlySet<string> =>
      new Set(rows.filter((row) => row.visit_id === id).map((row) => row.operation_key));
  });

  /** The person's account that a visit is about: the planned one, else the one an earlier attempt made. */
  readonly account = batched(async (visits: readonly VisitRow[]) => {
    const rows = await this.db
      .selectFrom('account')
      .selectAll()
      .where('identity_id', '=', anyOf(visits.map((visit) => visit.identity_id)))
      .where(
        'application',
        '=',
        anyOf(
          visits.map((visit) => visit.application),
          'text',
        ),
      )
      .where('unlinked_at', 'is', null)
      .orderBy('linked_at')
      .execute();
    return (visit: VisitRow): AccountRow | undefined =>
      rows.find(
        (row) =>
          row.identity_id === visit.identity_id &&
          row.application === visit.application &&
          (visit.account_id === null || row.account_id === visit.account_id),
      );
  });
}

/** One parameter for a list of any length: the statement stays the same, and is prepared once. */
function anyOf<T extends string>(values: readonly T[], type: 'uuid' | 'text' = 'uuid'): RawBuilder<T> {
  return sql<T>`any(${[...new Set(values)]}::${sql.raw(type)}[])`;
}
