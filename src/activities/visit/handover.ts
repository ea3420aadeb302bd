import type { AccountRef, Forwarding, MutationResult, OperationContext } from '../../connectors/connector.js';
import { isConnectorError } from '../../connectors/errors.js';
import type { Operation } from '../../domain/plan/types.js';
import { TenureError } from '../lib/boundary.js';
import { operationContext } from './fence.js';
import type { VisitContext } from './load.js';

/** What a planned forwarding asks of a connector; raises CapabilityMissing for one that a person has to decide. */
export function forwardingOf({ forwarding }: Operation): Forwarding {
  if (forwarding === undefined) throw new TenureError('CapabilityMissing', 'no-delegate');
  return { ...forwarding, to: forwarding.to };
}

/**
 * Gives what the account owns to the heir's. Safe to repeat: what the heir has stays there. Raises NotFound when the heir's account is not at the target: a
 * person has to name another one, and the leaver's account is not what is missing.
 */
export async function transferOwned(
  visit: VisitContext,
  operation: Operation,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const { connector } = visit;
  if (connector.transferOwned === undefined) throw new TenureError('CapabilityMissing', 'method-absent');
  const heir = await heirRef(visit, operation, ref);
  try {
    return await connector.transferOwned(ref, heir, ctx);
  } catch (error) {
    if (isConnectorError(error) && error.code === 'NOT_FOUND' && error.attribute === 'heir')
      throw new TenureError('NotFound', 'heir-not-at-target');
    throw error;
  }
}

async function heirRef(visit: VisitContext, { heir }: Operation, ref: AccountRef): Promise<AccountRef> {
  if (heir === undefined) throw new TenureError('CapabilityMissing', 'no-heir');
  if (heir.nativeId !== undefined) return { ...ref, nativeId: heir.nativeId };
  const ctx = operationContext(visit, `${visit.row.visit_id}/heir`, false);
  const [found, other] = await visit.connector.find({ attribute: 'login', value: heir.login }, ctx);
  if (found === undefined) throw new TenureError('NotFound', 'heir-not-at-target');
  if (other !== undefined || found.ref.nativeId === ref.nativeId) throw new TenureError('NotFound', 'heir-unclear');
  return found.ref;
}
