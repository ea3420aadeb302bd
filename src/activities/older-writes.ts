import { randomUUID } from 'node:crypto';
import type { PlannedVisit } from '../domain/plan/types.js';
import { brand } from '../domain/process/ids.js';
import type { AccountId, IdentityId, Instant, ProcessId, VisitId } from '../domain/process/ids.js';
import type { ActivityDeps } from './deps.js';
import { clockFrom } from './lib/clock.js';
import { operationContext } from './visit/fence.js';
import { loadVisit } from './visit/load.js';
import type { VisitContext } from './visit/load.js';

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

export interface OlderWrites {
  /** Writes of older visits that may still land; look again at `until`. */
  readonly inFlight: number;
  readonly until?: Instant;
  /** Writes whose limit passed without an answer (a killed worker, a lost reply): what became of them must be read. */
  readonly unclear: readonly VisitId[];
  /** Older visits that wrote after this cut was planned: their accounts are cut once more. */
  readonly wroteSince: boolean;
}

/**
 * What older visits of the person still have, or lately had, on the way to a target (design D3). A cut is over only when nothing is in flight, nothing is unclear
 * and nothing was written behind its back.
 */
export async function olderWrites(deps: ActivityDeps, input: Ref & { readonly since: Instant }): Promise<OlderWrites> {
  const rows = await deps.db
    .selectFrom('visit')
    .innerJoin('process', 'process.process_id', 'visit.process_id')
    .select(['visit.visit_id', 'visit.write_in_flight', 'visit.write_until', 'visit.wrote_at'])
    .where('visit.identity_id', '=', input.identityId)
    .where('visit.process_id', '!=', input.processId)
    .where((eb) => eb.or([eb('visit.write_in_flight', '=', true), eb('visit.wrote_at', '>=', input.since)]))
    .execute();
  const flying = rows.filter((row) => row.write_in_flight);
  const live = flying.filter((row) => row.write_until !== null && row.write_until > input.now);
  const until = live.map((row) => row.write_until ?? input.now).sort()[0];
  return {
    inFlight: live.length,
    ...(until === undefined ? {} : { until }),
    unclear: flying.filter((row) => !live.includes(row)).map((row) => row.visit_id),
    wroteSince: rows.some((row) => !row.write_in_flight),
  };
}

/**
 * Reads what became of writes without an answer: an account that such a write created is linked, so that the cut finds it. Read-only at the target; raises the
 * connector's failure while the target cannot be read, and Temporal repeats it.
 */
export async function recoverLostWrites(
  deps: ActivityDeps,
  input: Ref & { readonly visitIds: readonly VisitId[] },
  signal: AbortSignal,
): Promise<{ readonly linked: number }> {
  let linked = 0;
  for (const visitId of input.visitIds) {
    const visit = await loadVisit(deps, visitId, { clock: clockFrom(input.now), signal, progress: () => undefined });
    if (await linkLostAccount(visit)) linked += 1;
    await deps.db.updateTable('visit').set({ write_in_flight: false }).where('visit_id', '=', visitId).execute();
  }
  return { linked };
}

async function linkLostAccount(visit: VisitContext): Promise<boolean> {
  const login = createdLogin(visit.planned);
  if (login === undefined) return false;
  const ctx = operationContext(visit, `${visit.row.visit_id}/recover`, false);
  const [found] = await visit.connector.find({ attribute: 'login', value: login }, ctx);
  if (found === undefined) return false;
  const row = await visit.deps.db
    .insertInto('account')
    .values({
      account_id: brand<AccountId>(randomUUID()),
      identity_id: visit.row.identity_id,
      application: visit.row.application,
      native_id: found.ref.nativeId,
      login: found.login,
      status: found.status,
      attributes: JSON.stringify(found.attributes),
      entitlements: [...(found.entitlements ?? [])],
      secret: null,
      created_by_process: visit.row.process_id,
      observed_at: visit.clock(),
      unlinked_at: null,
    })
    .onConflict((conflict) =>
      conflict.columns(['application', 'native_id']).where('unlinked_at', 'is', null).doNothing(),
    )
    .returning('account_id')
    .executeTakeFirst();
  return row !== undefined;
}

function createdLogin(planned: PlannedVisit): string | undefined {
  return planned.operations.find((operation) => operation.kind === 'create')?.login;
}
