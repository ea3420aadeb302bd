import type { ExpectedState, Verification } from '../../connectors/connector.js';
import { Secret } from '../../connectors/secret.js';
import type { EvidenceTable } from '../../db/schema.js';
import type { AttributeValue, Operation } from '../../domain/plan/types.js';
import type { Instant } from '../../domain/process/ids.js';
import type { Phase, Verdict } from '../../domain/process/kinds.js';
import type { Json } from '../../domain/process/json.js';
import { canaryAnswer } from './canary.js';
import { refOf } from './apply.js';
import { operationContext } from './fence.js';
import { readSecret } from '../open-connector.js';
import { verifyList } from './verify-lists.js';
import type { AccountRow, VisitContext } from './load.js';

/** One thing that was checked, on its way to an evidence row. `seen` is encrypted before it is stored. */
export interface Finding {
  readonly operationKey: string;
  readonly check: EvidenceTable['check_kind'];
  readonly road: string;
  readonly verdict: Verdict;
  readonly code: string;
  readonly seen: Json;
  readonly residual?: string;
  /** Until when the residual lives on at the latest. */
  readonly residualUntil?: Instant;
}

/**
 * Proves a visit's operations by another road than the writes took (design D5): one read of the whole account compared with what was to be, the
 * target's own lists after a revocation, a check-in or a handover, and for a cut a real sign-in with the secret that only Tenure holds, under the control of a canary that must still get in.
 * Raises the connector's errors; unknown is never proven.
 */
export async function verifyVisit(
  visit: VisitContext,
  operations: readonly Operation[],
  account: AccountRow,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [...(await verifyState(visit, operations, account))];
  // An account that is to be gone is proven by its absence; nothing that hung on it can be asked for any more.
  if (operations.some((one) => one.kind === 'delete')) return findings;
  for (const operation of operations) {
    if (needsProbe(visit, operation, account)) findings.push(await probeCut(visit, operation, account));
    if (visit.row.phase === 'restore') findings.push(...(await probeRestored(visit, operation, account)));
    findings.push(...(await verifyList(visit, operation, account)));
  }
  return findings;
}

/** A cut, or a leave's closing, is never proven by a read alone: without a secret of ours to try, its probe says that it is unprovable (design D5). */
function needsProbe(visit: VisitContext, operation: Operation, account: AccountRow): boolean {
  if (operation.kind === 'seal') return true;
  // Put away and still refused; where a sign-in proves nothing, a person was asked at the cut.
  if (operation.kind === 'archive') return account.secret !== null && canProbe(visit);
  return operation.kind === 'disable' && (account.secret !== null || PROVEN_CLOSED.has(visit.row.phase));
}

function canProbe(visit: VisitContext): boolean {
  return visit.connector.probeSignIn !== undefined && visit.application.canaryLogin !== undefined;
}

const PROVEN_CLOSED: ReadonlySet<Phase> = new Set<Phase>(['cut', 'suspend', 'scream-test']);

/** Read while the target's reads could still lag behind the write. */
export const SETTLING = 'settling';

/** What no read of the account itself shows: its own list, or nothing, proves it. */
const NOT_IN_ACCOUNT: ReadonlySet<Operation['kind']> = new Set<Operation['kind']>([
  'revoke-sessions',
  'revoke-credentials',
  'check-in',
  'transfer-ownership',
  'set-forwarding',
  'hand-over-credential',
]);

async function verifyState(
  visit: VisitContext,
  operations: readonly Operation[],
  account: AccountRow,
): Promise<readonly Finding[]> {
  const readable = operations.filter((one) => !NOT_IN_ACCOUNT.has(one.kind));
  if (readable.length === 0) return [];
  const ctx = operationContext(visit, `${visit.row.visit_id}/verify`, false);
  const verification = await visit.connector.verify(await expectedState(visit, readable, account), ctx);
  return readable.map((operation) => ({
    operationKey: operation.key,
    check: operation.kind === 'delete' ? 'absence' : 'state',
    road: verification.road,
    ...verdictOf(operation, verification),
    seen: verification.seen as Json,
  }));
}

/** What the account should look like after all operations of the visit. */
async function expectedState(
  visit: VisitContext,
  operations: readonly Operation[],
  account: AccountRow,
): Promise<ExpectedState> {
  const attributes: Readonly<Record<string, AttributeValue>> = Object.fromEntries(
    operations.flatMap((one) =>
      one.kind === 'create' || one.kind === 'update' ? Object.entries(one.attributes ?? {}) : [],
    ),
  );
  const last = operations.findLast((one) => one.enabled !== undefined);
  const isPutAway = operations.some((one) => one.kind === 'archive');
  const login = operations.findLast((one) => one.kind === 'rename' || one.kind === 'create')?.login;
  const named = (kind: Operation['kind']): string[] =>
    operations.flatMap((one) => (one.kind === kind && one.entitlement !== undefined ? [one.entitlement] : []));
  return {
    ref: refOf(account),
    exists: !operations.some((one) => one.kind === 'delete'),
    ...(last === undefined && !isPutAway ? {} : { status: last?.enabled === true ? 'enabled' : 'disabled' }),
    ...(login === undefined ? {} : { login }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    entitlementsPresent: named('add-entitlement'),
    entitlementsAbsent: named('remove-entitlement'),
    settling: await isSettling(visit),
  };
}

/**
 * Whether a read may still lag behind the last write to this person's account. Read anew each time: the visit itself may have written since it was loaded, and
 * where nothing was written there is nothing to wait for.
 */
export async function isSettling(visit: VisitContext): Promise<boolean> {
  if (visit.application.settleMs === 0) return false;
  const row = await visit.deps.db
    .selectFrom('visit')
    .select((eb) => eb.fn.max('wrote_at').as('wroteAt'))
    .where('identity_id', '=', visit.row.identity_id)
    .where('application', '=', visit.row.application)
    .executeTakeFirst();
  const wroteAt = row?.wroteAt ?? null;
  return wroteAt !== null && Date.parse(visit.clock()) - Date.parse(wroteAt) < visit.application.settleMs;
}

function verdictOf(operation: Operation, verification: Verification): { verdict: Verdict; code: string } {
  switch (verification.verdict) {
    case 'ok':
      return { verdict: 'proven', code: 'ok' };
    case 'pending':
      return { verdict: 'pending', code: SETTLING };
    case 'unknown':
      return { verdict: 'unprovable', code: 'target-not-readable' };
    case 'mismatch': {
      const mine = verification.mismatches.find((mismatch) => concerns(operation, mismatch));
      return mine === undefined
        ? { verdict: 'proven', code: 'ok' }
        : { verdict: 'refuted', code: `mismatch:${mine.what}` };
    }
  }
}

function concerns(operation: Operation, mismatch: Verification['mismatches'][number]): boolean {
  switch (mismatch.what) {
    case 'existence':
      return true;
    case 'status':
      return operation.enabled !== undefined || operation.kind === 'archive';
    case 'entitlement':
      return mismatch.name === operation.entitlement;
    case 'attribute':
      if (mismatch.name === 'login') return operation.kind === 'rename' || operation.kind === 'create';
      return mismatch.name !== undefined && operation.attributes !== undefined && mismatch.name in operation.attributes;
  }
}

/** Sign-in with Tenure's own secret: only the target's "disabled" answer proves, "wrong password" is unknown, and only while the canary gets in. */
async function probeCut(visit: VisitContext, operation: Operation, account: AccountRow): Promise<Finding> {
  const { connector } = visit;
  const secret = (await storedSecret(visit, account)) ?? (await ownSecret(visit, account));
  const base = { operationKey: operation.key, check: 'sign-in' as const };
  if (connector.probeSignIn === undefined || secret === undefined) {
    const residual = 'sign-in cannot be tried at this target';
    return { ...base, road: 'none', verdict: 'unprovable', code: 'no-probe', seen: {}, residual };
  }
  const control = await canaryAnswer(visit);
  const ctx = operationContext(visit, `${visit.row.visit_id}/probe`, false);
  const answer = await connector.probeSignIn(account.login, secret, ctx);
  const seen = { answer: answer.answer, code: answer.code, canary: control.answer, canaryAt: control.at };
  const road = answer.road;
  if (answer.answer === 'accepted') return { ...base, road, verdict: 'refuted', code: 'sign-in-accepted', seen };
  if (control.answer !== 'accepted')
    return { ...base, road, verdict: 'pending', code: `canary-${control.answer}`, seen };
  if (answer.answer === 'disabled') return { ...base, road, verdict: 'proven', code: answer.code, seen };
  return { ...base, road, verdict: 'pending', code: `sign-in-${answer.answer}`, seen };
}

/** A service that was closed has to get in again with its own secret. Nothing is said where that is not known: the state was read. */
async function probeRestored(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
): Promise<readonly Finding[]> {
  const secret = await ownSecret(visit, account);
  if (operation.kind !== 'enable' || secret === undefined || visit.connector.probeSignIn === undefined) return [];
  const ctx = operationContext(visit, `${visit.row.visit_id}/probe`, false);
  const { answer, code, road } = await visit.connector.probeSignIn(account.login, secret, ctx);
  const base = { operationKey: operation.key, check: 'sign-in' as const, road, seen: { answer, code } };
  if (answer === 'accepted') return [{ ...base, verdict: 'proven', code }];
  return [{ ...base, verdict: answer === 'disabled' ? 'refuted' : 'pending', code: `sign-in-${answer}` }];
}

/** A service's own secret, where policy says who keeps it; read when it is used and never stored. Raises TargetUnavailable while its keeper cannot be asked. */
async function ownSecret(visit: VisitContext, account: AccountRow): Promise<Secret | undefined> {
  if (visit.process.process_kind !== 'service-account') return undefined;
  const references = visit.application.serviceAccounts?.secrets ?? {};
  const reference = references[account.login];
  if (reference === undefined) return undefined;
  return readSecret(visit.deps, reference, visit);
}

async function storedSecret(visit: VisitContext, account: AccountRow): Promise<Secret | undefined> {
  const { db, keys } = visit.deps;
  const row = await db
    .selectFrom('account')
    .select('secret')
    .where('account_id', '=', account.account_id)
    .executeTakeFirst();
  if (row === undefined || row.secret === null) return undefined;
  const text = await keys.decryptFor(db, account.identity_id, `secret/${account.account_id}`, row.secret);
  return typeof text === 'string' ? new Secret(text) : undefined;
}
