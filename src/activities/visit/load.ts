import type { Connector } from '../../connectors/connector.js';
import type { Operation, PlannedVisit } from '../../domain/plan/types.js';
import type { ApplicationPolicy, CompiledPolicy } from '../../domain/policy/types.js';
import type { VisitId } from '../../domain/process/ids.js';
import { applicationOf } from '../connector-pool.js';
import type { ActivityDeps } from '../deps.js';
import { TenureError } from '../lib/boundary.js';
import type { Clock } from '../lib/clock.js';
import { openConnector } from '../open-connector.js';
import type { AccountRow, FoundVisit, VisitProcess } from './rows.js';

export type { AccountRow } from './rows.js';

/** Everything one visit works with. */
export interface VisitContext {
  readonly deps: ActivityDeps;
  readonly row: FoundVisit;
  readonly process: VisitProcess;
  /** Whether a newer cut had come when the visit was read. */
  readonly isOverrun: boolean;
  readonly planned: PlannedVisit;
  readonly policy: CompiledPolicy;
  readonly application: ApplicationPolicy;
  readonly connector: Connector;
  /** Names the credential that the connector had when the visit was loaded. */
  readonly credential: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long one call at the target may take. */
  readonly timeoutMs: number;
  progress(detail: string): void;
}

/**
 * Reads a visit with its plan's part, its policy and its connector. An application that the pinned policy does not have is taken from the newest version that
 * still had it: accounts there have to be cut all the same. A connector that cannot be opened raises TargetAccessDenied when it is used, and TargetUnavailable
 * where only its secrets cannot be read now.
 */
export async function loadVisit(
  deps: ActivityDeps,
  visitId: VisitId,
  run: Pick<VisitContext, 'clock' | 'signal' | 'progress'> & {
    readonly timeoutMs?: number;
    readonly row?: FoundVisit;
  },
): Promise<VisitContext> {
  const row = run.row ?? (await deps.visitRows.visit(visitId));
  if (row === undefined) throw new Error('no such visit');
  const process = { ...row, generation: row.plannedGeneration };
  const pinned = await deps.policies.get(deps.db, process.policy_version);
  const isKnown = applicationOf(pinned, row.application) !== undefined;
  const policy = isKnown ? pinned : ((await deps.policies.lastWith(deps.db, row.application)) ?? pinned);
  const application = applicationOf(policy, row.application);
  if (application === undefined) throw new TenureError('NotFound', 'application-not-in-policy');
  await deps.connectors.prepare(application.config, run.signal);
  const planned = await deps.keys.decryptFor(deps.db, row.identity_id, 'visit', row.body);
  if (planned === undefined) throw new TenureError('NotFound', 'identity-erased');
  return {
    ...run,
    deps,
    row,
    process,
    isOverrun: row.presentGeneration > row.plannedGeneration,
    planned: planned as unknown as PlannedVisit,
    policy,
    application,
    get connector() {
      return openConnector(deps, application, policy);
    },
    credential: deps.connectors.credentialOf(application),
    timeoutMs: run.timeoutMs ?? application.sweepTimeoutMs,
  };
}

/** The person's account that this visit is about: the planned one, else the one an earlier attempt made. */
export function loadAccount(visit: VisitContext): Promise<AccountRow | undefined> {
  return visit.deps.visitRows.account(visit.row);
}

/**
 * As `loadAccount`, and also the account that this visit itself has deleted or made anonymous: its link is closed by then, and a repeat still owes the proof
 * (or, after the target was caught lying, the deed).
 */
export async function loadSubject(
  visit: VisitContext,
  operations: readonly Operation[],
  done: ReadonlySet<string>,
): Promise<AccountRow | undefined> {
  const { account_id: accountId, visit_id: visitId } = visit.row;
  // Somebody else may have carried out the visit since it was read, an earlier try that was taken for dead: then the account is there as well.
  const mayBeLinked = Boolean(visit.row.hasAccount) || done.size > 0;
  const linked = mayBeLinked ? await loadAccount(visit) : undefined;
  const ending = operations.filter(({ kind }) => kind === 'delete' || kind === 'anonymise').map(({ key }) => key);
  if (linked !== undefined || accountId === null || ending.length === 0) return linked;
  return visit.deps.db
    .selectFrom('account')
    .selectAll()
    .where('account_id', '=', accountId)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('visit_step')
          .select('visit_id')
          .where('visit_id', '=', visitId)
          .where('operation_key', 'in', ending),
      ),
    )
    .executeTakeFirst();
}
