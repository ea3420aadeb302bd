import { brand } from '../domain/process/ids.js';
import type { IdentityId, Instant, ProcessId, VisitId } from '../domain/process/ids.js';
import type { ActivityDeps } from './deps.js';
import { clockFrom } from './lib/clock.js';
import { askingAfterRefusals } from './open-connector.js';
import { findCreated, linkCreated, refOf } from './visit/apply.js';
import { operationContext } from './visit/fence.js';
import { loadAccount, loadVisit } from './visit/load.js';
import type { AccountRow, VisitContext } from './visit/load.js';

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

export interface OlderWrites {
  /** Their limit has not passed: they may still land. */
  readonly live: readonly VisitId[];
  /** Their limit passed without an answer (a killed worker, a lost reply): what became of them must be read. */
  readonly unclear: readonly VisitId[];
  /** Of the visits asked about: answered meanwhile, one way or the other. */
  readonly ended: readonly VisitId[];
}

/**
 * What older visits of the person still have on the way to a target (design D3). The fence lets no older write begin once the generation is raised, so the ones
 * found then are all there will be; `of` asks what became of them. Looks at rows that the fence and the visits write, never at when they did. Read-only.
 */
export async function olderWrites(
  deps: ActivityDeps,
  input: Ref & { readonly of?: readonly VisitId[] },
): Promise<OlderWrites> {
  const rows = await deps.db
    .selectFrom('visit')
    .select(['visit_id', 'write_in_flight', 'write_until'])
    .where('identity_id', '=', input.identityId)
    .where('process_id', '!=', input.processId)
    .where((eb) =>
      input.of === undefined
        ? eb('write_in_flight', '=', true)
        : eb('visit_id', 'in', [...input.of, brand<VisitId>(NO_VISIT)]),
    )
    .orderBy('visit_id')
    .execute();
  const flying = rows.filter((row) => row.write_in_flight);
  const isLive = (row: (typeof rows)[number]): boolean => row.write_until !== null && row.write_until > input.now;
  const idsOf = (some: typeof rows): readonly VisitId[] => some.map((row) => row.visit_id);
  return {
    live: idsOf(flying.filter(isLive)),
    unclear: idsOf(flying.filter((row) => !isLive(row))),
    ended: idsOf(rows.filter((row) => !row.write_in_flight)),
  };
}

/** Keeps an empty list out of the statement. */
const NO_VISIT = '00000000-0000-0000-0000-000000000000';

/**
 * Reads what became of writes without an answer, so that the cut works on what really is: an account that such a write created is linked, one that it renamed
 * or changed is noted as it is now. Read-only at the target; raises the connector's failure while the target cannot be read, and Temporal repeats it.
 */
export async function recoverLostWrites(
  deps: ActivityDeps,
  input: Ref & { readonly visitIds: readonly VisitId[] },
  signal: AbortSignal,
): Promise<{ readonly changed: number }> {
  let changed = 0;
  for (const visitId of input.visitIds) {
    const visit = await loadVisit(deps, visitId, { clock: clockFrom(input.now), signal, progress: () => undefined });
    const account = await loadAccount(visit);
    const read = () => (account === undefined ? linkLost(visit) : noteAsItIs(visit, account));
    if (await askingAfterRefusals(deps, visit, read)) changed += 1;
    await deps.db.updateTable('visit').set({ write_in_flight: false }).where('visit_id', '=', visitId).execute();
  }
  return { changed };
}

async function linkLost(visit: VisitContext): Promise<boolean> {
  const create = visit.planned.operations.find((operation) => operation.kind === 'create');
  const found = create === undefined ? undefined : await findCreated(visit, create);
  if (found === undefined) return false;
  await linkCreated(visit, found);
  return true;
}

async function noteAsItIs(visit: VisitContext, account: AccountRow): Promise<boolean> {
  const ctx = operationContext(visit, `${visit.row.visit_id}/recover`, false);
  const found = await visit.connector.get(refOf(account), ctx);
  if (found === undefined) return false;
  await visit.deps.db
    .updateTable('account')
    .set({
      login: found.login,
      status: found.status,
      observed_at: visit.clock(),
      ...(found.entitlements === undefined ? {} : { entitlements: [...found.entitlements] }),
    })
    .where('account_id', '=', account.account_id)
    .execute();
  return true;
}
