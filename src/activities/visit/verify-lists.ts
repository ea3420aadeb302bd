import type { Forwarding } from '../../connectors/connector.js';
import type { Operation } from '../../domain/plan/types.js';
import { brand } from '../../domain/process/ids.js';
import type { Instant } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import { refOf } from './apply.js';
import { operationContext } from './fence.js';
import { forwardingOf } from './handover.js';
import type { AccountRow, VisitContext } from './load.js';
import { verifyAnonymity } from './verify-anonymity.js';
import { verifyArchive } from './verify-archive.js';
import type { Finding } from './verify.js';

/** A message is on its way: asked for again until it has arrived, for as long as a visit in trouble is repeated. */
export const ON_ITS_WAY = 'message-on-its-way';

/**
 * The proof of what no read of an account shows: the target's own list of sessions, credentials, privileges or possessions is empty, its forwarding reads as
 * planned and a real message went through it, an archived account is where such accounts are. None for other operations. A target without such a list is unprovable, never proven; raises the connector's
 * errors.
 */
export async function verifyList(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
): Promise<readonly Finding[]> {
  switch (operation.kind) {
    case 'revoke-sessions':
      return [await verifySessions(visit, operation, account)];
    case 'revoke-credentials':
      return [await verifyCredentials(visit, operation, account)];
    case 'check-in':
      return [await verifyPrivileges(visit, operation, account)];
    case 'transfer-ownership':
      return [await verifyOwnership(visit, operation, account)];
    case 'set-forwarding':
      return verifyForwarding(visit, operation, account);
    case 'archive':
      return [await verifyArchive(visit, operation, account)];
    case 'anonymise':
      return [await verifyAnonymity(visit, operation, account)];
    default:
      return [];
  }
}

type Check = Pick<Finding, 'operationKey' | 'check'>;

function unprovable(check: Check, code: string, residual: string): Finding {
  return { ...check, road: 'none', verdict: 'unprovable', code, seen: {}, residual };
}

function emptiness(check: Check, road: string, count: number, code: string, seen: Json): Finding {
  const isEmpty = count === 0;
  return { ...check, road, verdict: isEmpty ? 'proven' : 'refuted', code: isEmpty ? 'ok' : code, seen };
}

async function verifySessions(visit: VisitContext, operation: Operation, account: AccountRow): Promise<Finding> {
  const check = { operationKey: operation.key, check: 'sessions' as const };
  const ctx = operationContext(visit, `${visit.row.visit_id}/sessions`, false);
  const sessions = await visit.connector.listSessions?.(refOf(account), ctx);
  if (sessions === undefined) return unprovable(check, 'no-session-list', 'open sessions unknown');
  const { count, road, residual } = sessions;
  return {
    ...emptiness(check, road, count, 'sessions-open', { count }),
    ...(residual === undefined ? {} : { residual: residual.what, residualUntil: brand<Instant>(residual.until) }),
  };
}

async function verifyCredentials(visit: VisitContext, operation: Operation, account: AccountRow): Promise<Finding> {
  const check = { operationKey: operation.key, check: 'credentials' as const };
  const ctx = operationContext(visit, `${visit.row.visit_id}/credentials`, false);
  const list = await visit.connector.listCredentials?.(refOf(account), ctx);
  if (list === undefined) return unprovable(check, 'no-credential-list', 'second factors and keys unknown');
  const kinds = list.credentials.map((one) => one.kind).sort();
  return emptiness(check, list.road, kinds.length, 'credentials-left', { left: kinds });
}

async function verifyPrivileges(visit: VisitContext, operation: Operation, account: AccountRow): Promise<Finding> {
  const check = { operationKey: operation.key, check: 'privileges' as const };
  const ctx = operationContext(visit, `${visit.row.visit_id}/privileges`, false);
  const list = await visit.connector.listPrivileges?.(refOf(account), ctx);
  if (list === undefined) return unprovable(check, 'no-privilege-list', 'borrowed secrets and leases unknown');
  const { leases, sessions, checkedOut, road } = list;
  return emptiness(check, road, leases + sessions + checkedOut, 'privileges-left', { leases, sessions, checkedOut });
}

async function verifyOwnership(visit: VisitContext, operation: Operation, account: AccountRow): Promise<Finding> {
  const check = { operationKey: operation.key, check: 'ownership' as const };
  const ctx = operationContext(visit, `${visit.row.visit_id}/owned`, false);
  const owned = await visit.connector.listOwned?.(refOf(account), ctx);
  if (owned === undefined) return unprovable(check, 'no-owned-list', 'what is left under the leaver is unknown');
  return emptiness(check, owned.road, owned.count, 'still-owns', { count: owned.count });
}

/** Read back first; a message is only sent through a forwarding that stands. */
async function verifyForwarding(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
): Promise<readonly Finding[]> {
  const check = { operationKey: operation.key, check: 'forwarding' as const };
  const { connector } = visit;
  if (connector.readForwarding === undefined)
    return [unprovable(check, 'no-forwarding-read', 'where mail goes is unknown')];
  const wanted = forwardingOf(operation);
  const ctx = operationContext(visit, `${visit.row.visit_id}/forwarding`, false);
  const seen = await connector.readForwarding(refOf(account), ctx);
  const isSame = sameForwarding(seen ?? NOWHERE, wanted);
  const read: Finding = {
    ...check,
    road: 'read-back',
    verdict: isSame ? 'proven' : 'refuted',
    code: isSame ? 'ok' : 'forwarding-differs',
    seen: (seen ?? {}) as unknown as Json,
  };
  // Nothing is sent through a forwarding that was taken away.
  const hasMore = isSame && wanted.to !== undefined;
  return hasMore ? [read, ...(await verifyDelivery(visit, operation, account, wanted))] : [read];
}

const NOWHERE: Forwarding = { to: undefined, keepsCopy: true };

function sameForwarding(seen: Forwarding, wanted: Forwarding): boolean {
  return (
    seen.to?.toLowerCase() === wanted.to?.toLowerCase() &&
    (wanted.to === undefined || seen.keepsCopy === wanted.keepsCopy) &&
    seen.autoReply?.subject === wanted.autoReply?.subject &&
    seen.autoReply?.text.trim() === wanted.autoReply?.text.trim()
  );
}

async function verifyDelivery(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
  wanted: Forwarding,
): Promise<readonly Finding[]> {
  // The same key for every look: the message is sent once.
  const ctx = operationContext(visit, `${visit.row.visit_id}/delivery`, false);
  const proof = await visit.connector.proveDelivery?.(refOf(account), wanted, ctx);
  if (proof === undefined) return [];
  const { delivered, replied, road } = proof;
  const check = { operationKey: operation.key, check: 'delivery' as const, road };
  const seen = { delivered: delivered ?? null, replied: replied ?? null };
  if (delivered === false || replied === false) return [{ ...check, verdict: 'pending', code: ON_ITS_WAY, seen }];
  if (delivered === undefined)
    return [{ ...check, verdict: 'unprovable', code: 'mailbox-not-readable', seen, residual: 'arrival not seen' }];
  return [{ ...check, verdict: 'proven', code: 'delivered', seen }];
}
