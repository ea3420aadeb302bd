import type { OperationContext } from '../../connectors/connector.js';
import { LEGAL_HOLD } from '../../domain/process/outcome.js';
import { DESTROYING } from '../../domain/process/kinds.js';
import type { OperationKind } from '../../domain/process/kinds.js';
import { TenureError } from '../lib/boundary.js';
import { plusMs } from '../lib/clock.js';
import type { VisitContext } from './load.js';

/**
 * The generation fence (design D3). In one statement, under a share lock on the identity's row: either this write is noted as in flight and every
 * later cut sees it, or the cut came first and nothing is sent. Raises GenerationOutdated. A leaver's own visits pass a newer cut: they only take away, and nobody
 * else would finish them. What destroys passes no legal hold (GuardTripped), however late it was set: no such write begins after it.
 */
export async function passFence(visit: VisitContext, kind?: OperationKind): Promise<void> {
  const at = visit.clock();
  const answer = await visit.deps.visitWrites.fence({
    visitId: visit.row.visit_id,
    identityId: visit.row.identity_id,
    generation: fencedBy(visit),
    destroys: kind !== undefined && DESTROYING.has(kind),
    at,
    until: plusMs(at, visit.timeoutMs + visit.application.settleMs),
  });
  if (answer === 'outdated') throw new TenureError('GenerationOutdated', 'newer-cut');
  if (answer === 'held') throw new TenureError('GuardTripped', LEGAL_HOLD);
}

/** Whether a cut had come when the visit was read, and it is not itself a cut's. */
export function wasOutdated(visit: VisitContext): boolean {
  return visit.isOverrun && !isCutting(visit);
}

/** Whether a cut has come by now. */
export async function isOutdated(visit: VisitContext): Promise<boolean> {
  if (isCutting(visit)) return false;
  const generation = await visit.deps.visitRows.generation(visit.row.identity_id);
  if (generation === undefined) throw new Error('no such identity');
  return generation > visit.process.generation;
}

/** The generation beyond which nothing of the visit counts; null: a cut's own visit passes them all. */
export function fencedBy(visit: VisitContext): number | null {
  return isCutting(visit) ? null : visit.process.generation;
}

function isCutting(visit: VisitContext): boolean {
  return visit.process.process_kind === 'leaver';
}

/** What a connector gets for one operation; the sent marker is the fence. */
export function operationContext(
  visit: VisitContext,
  key: string,
  fenced: boolean,
  kind?: OperationKind,
): OperationContext {
  const timeout = AbortSignal.timeout(visit.timeoutMs);
  return {
    idempotencyKey: key,
    signal: AbortSignal.any([visit.signal, timeout]),
    deadline: new Date(Date.now() + visit.timeoutMs).toISOString(),
    progress: (detail) => {
      visit.progress(detail);
    },
    logger: visit.deps.logger,
    ...(fenced ? { sentMarker: () => passFence(visit, kind) } : {}),
  };
}
