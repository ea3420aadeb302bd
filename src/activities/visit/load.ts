import type { Selectable } from 'kysely';
import type { Connector } from '../../connectors/connector.js';
import type { AccountTable, ProcessTable, VisitTable } from '../../db/schema.js';
import type { PlannedVisit } from '../../domain/plan/types.js';
import type { ApplicationPolicy, CompiledPolicy } from '../../domain/policy/types.js';
import type { VisitId } from '../../domain/process/ids.js';
import { applicationOf } from '../connector-pool.js';
import type { ActivityDeps } from '../deps.js';
import { TenureError } from '../lib/boundary.js';
import type { Clock } from '../lib/clock.js';

export type AccountRow = Selectable<AccountTable>;

/** Everything one visit works with. */
export interface VisitContext {
  readonly deps: ActivityDeps;
  readonly row: Selectable<VisitTable>;
  readonly process: Selectable<ProcessTable>;
  readonly planned: PlannedVisit;
  readonly policy: CompiledPolicy;
  readonly application: ApplicationPolicy;
  readonly connector: Connector;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long one call at the target may take. */
  readonly timeoutMs: number;
  progress(detail: string): void;
}

/**
 * Reads a visit with its plan's part, its policy and its connector. An application that the pinned policy does not have is taken from the newest version that
 * still had it: accounts there have to be cut all the same. A connector that cannot be opened raises TargetAccessDenied when it is used.
 */
export async function loadVisit(
  deps: ActivityDeps,
  visitId: VisitId,
  run: Pick<VisitContext, 'clock' | 'signal' | 'progress'> & { readonly timeoutMs?: number },
): Promise<VisitContext> {
  const row = await deps.db.selectFrom('visit').selectAll().where('visit_id', '=', visitId).executeTakeFirstOrThrow();
  const process = await deps.db
    .selectFrom('process')
    .selectAll()
    .where('process_id', '=', row.process_id)
    .executeTakeFirstOrThrow();
  const pinned = await deps.policies.get(deps.db, process.policy_version);
  const isKnown = applicationOf(pinned, row.application) !== undefined;
  const policy = isKnown ? pinned : ((await deps.policies.lastWith(deps.db, row.application)) ?? pinned);
  const application = applicationOf(policy, row.application);
  if (application === undefined) throw new TenureError('NotFound', 'application-not-in-policy');
  const planned = await deps.keys.decryptFor(deps.db, row.identity_id, 'visit', row.body);
  if (planned === undefined) throw new TenureError('NotFound', 'identity-erased');
  return {
    ...run,
    deps,
    row,
    process,
    planned: planned as unknown as PlannedVisit,
    policy,
    application,
    get connector() {
      return openConnector(deps, application, policy);
    },
    timeoutMs: run.timeoutMs ?? application.sweepTimeoutMs,
  };
}

function openConnector(deps: ActivityDeps, application: ApplicationPolicy, policy: CompiledPolicy): Connector {
  try {
    return deps.connectors.connectorFor(application, policy);
  } catch {
    throw new TenureError('TargetAccessDenied', 'connector-not-usable');
  }
}

/** The person's account that this visit is about: the planned one, else the one an earlier attempt made. */
export async function loadAccount(visit: VisitContext): Promise<AccountRow | undefined> {
  return visit.deps.db
    .selectFrom('account')
    .selectAll()
    .where('identity_id', '=', visit.row.identity_id)
    .where('application', '=', visit.row.application)
    .where('unlinked_at', 'is', null)
    .$if(visit.row.account_id !== null, (query) => query.where('account_id', '=', visit.row.account_id))
    .orderBy('linked_at')
    .executeTakeFirst();
}

/** Operations of this visit that a finished step row already answers for. */
export async function finishedSteps(visit: VisitContext): Promise<ReadonlySet<string>> {
  const rows = await visit.deps.db
    .selectFrom('visit_step')
    .select('operation_key')
    .where('visit_id', '=', visit.row.visit_id)
    .where('state', '!=', 'sent')
    .execute();
  return new Set(rows.map((row) => row.operation_key));
}
