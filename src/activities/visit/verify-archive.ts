import type { Operation } from '../../domain/plan/types.js';
import { refOf } from './apply.js';
import { operationContext } from './fence.js';
import type { AccountRow, VisitContext } from './load.js';
import type { Finding } from './verify.js';

/** Raised where a second archiving would write. */
class WouldWrite extends Error {
  override readonly name = 'WouldWrite';
}

/**
 * Looks whether an account is where archived accounts are, by what the connector reads before it writes: asked to archive once more, it finds nothing to do, or is
 * stopped before it sends anything and the account is not there. Raises the connector's errors.
 */
export async function verifyArchive(visit: VisitContext, operation: Operation, account: AccountRow): Promise<Finding> {
  const check = { operationKey: operation.key, check: 'archive' as const, road: 'archive-again', seen: {} };
  const ctx = {
    ...operationContext(visit, `${visit.row.visit_id}/archived`, false),
    sentMarker: () => Promise.reject(new WouldWrite()),
  };
  try {
    const again = await visit.connector.archive?.(refOf(account), ctx);
    if (again?.outcome === 'already-in-state') return { ...check, verdict: 'proven', code: 'ok' };
  } catch (error) {
    if (!(error instanceof WouldWrite)) throw error;
  }
  return { ...check, verdict: 'refuted', code: 'not-archived' };
}
