import { randomUUID } from 'node:crypto';
import type {
  AccountRef,
  AttributeDelta,
  MutationResult,
  ObservedAccount,
  OperationContext,
} from '../../connectors/connector.js';
import { Secret } from '../../connectors/secret.js';
import type { Operation } from '../../domain/plan/types.js';
import { brand } from '../../domain/process/ids.js';
import type { AccountId, Instant, ProcessId } from '../../domain/process/ids.js';
import { TenureError } from '../lib/boundary.js';
import { plusMs } from '../lib/clock.js';
import { operationContext } from './fence.js';
import { forwardingOf, transferOwned } from './handover.js';
import type { AccountRow, VisitContext } from './load.js';
import type { AccountChange } from './writes.js';

const HANDOVER_DAYS = 14;
const DAY_MS = 86_400_000;

/** Stable for person and application: whoever created the account, a repeat finds it again (style.md A8, edge case 16). */
function creationKey(visit: VisitContext): string {
  return `${visit.row.identity_id}/${visit.row.application}/account`;
}

function stepKey(visit: VisitContext, operation: Operation): string {
  return `${visit.process.transition_id}/${visit.row.phase}/${operation.key}`;
}

export function refOf(account: AccountRow): AccountRef {
  return { application: account.application, objectClass: 'account', nativeId: account.native_id };
}

/**
 * Carries out one operation of a plan at the target and keeps the account row in step. Each one is safe to repeat: connectors answer `already-in-state`,
 * creation finds what an earlier try made by its adoption key, and a strong correlation match is adopted instead of created (edge case 13).
 */
export async function applyOperation(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow | undefined,
): Promise<AccountRow> {
  if (operation.kind === 'create')
    return account === undefined ? create(visit, operation) : finished(visit, operation, account);
  if (account === undefined) throw new TenureError('AccountMissing', 'no-account');
  const result = await mutate(visit, operation, account);
  return noteResult(visit, operation, account, result);
}

async function mutate(visit: VisitContext, operation: Operation, account: AccountRow): Promise<MutationResult> {
  const { connector } = visit;
  const ref = refOf(account);
  const ctx = operationContext(visit, stepKey(visit, operation), true, operation.kind);
  switch (operation.kind) {
    case 'update':
    case 'rename':
      return required(connector.update?.(ref, deltasOf(operation), ctx));
    case 'enable':
      return required(connector.enable?.(ref, ctx));
    case 'disable':
      return required(connector.disable?.(ref, ctx));
    case 'seal':
      return required(connector.seal?.(ref, await sealSecret(visit, account), ctx));
    case 'revoke-sessions':
      return required(connector.revokeSessions?.(ref, ctx));
    case 'revoke-credentials':
      return required(connector.revokeCredentials?.(ref, ctx));
    case 'check-in':
      return required(connector.checkIn?.(ref, ctx));
    case 'transfer-ownership':
      return transferOwned(visit, operation, ref, ctx);
    case 'set-forwarding':
      return required(connector.setForwarding?.(ref, forwardingOf(operation), ctx));
    case 'hand-over-credential':
      return handOver(visit, ref, ctx);
    case 'add-entitlement':
      return required(connector.addMember?.(group(visit, operation), ref, ctx));
    case 'remove-entitlement':
      return required(connector.removeMember?.(group(visit, operation), ref, ctx));
    case 'archive':
      return required(connector.archive?.(ref, ctx));
    case 'anonymise':
      return required(connector.anonymise?.(ref, ctx));
    case 'delete':
      return required(connector.delete?.(ref, ctx));
    case 'create':
    case 'manual':
      throw new TenureError('CapabilityMissing', operation.kind);
  }
}

export async function required(result: Promise<MutationResult> | undefined): Promise<MutationResult> {
  if (result === undefined) throw new TenureError('CapabilityMissing', 'method-absent');
  return result;
}

function group(visit: VisitContext, operation: Operation): { application: string; name: string } {
  return { application: visit.row.application, name: operation.entitlement ?? '' };
}

function deltasOf(operation: Operation): readonly AttributeDelta[] {
  return (operation.differences ?? []).map(({ attribute, to }) => ({
    attribute,
    op: to === null ? 'remove' : 'replace',
    value: to,
  }));
}

async function create(visit: VisitContext, operation: Operation): Promise<AccountRow> {
  const { connector } = visit;
  const attributes = operation.attributes ?? {};
  const login = operation.login ?? '';
  // After a write of ours was sent, the connector's adoption key finds it again; before, somebody else's hand may have made the account.
  const known = visit.row.first_write_at === null ? await adoptable(visit, operation) : undefined;
  if (known !== undefined) return link(visit, known, null, operation);
  const spec = { objectClass: 'account' as const, login, enabled: operation.enabled ?? false, attributes };
  const result = await required(connector.create?.(spec, operationContext(visit, creationKey(visit), true)));
  const status = operation.enabled === true ? ('enabled' as const) : ('disabled' as const);
  const made = { ref: result.ref, login, status, attributes, entitlements: [] };
  return link(visit, made, visit.row.process_id, operation);
}

/**
 * An account at the target that the strong keys say is this person's: adopted, never created beside (edge case 13). Two of them, by one key or by keys that
 * contradict each other, are a person's decision.
 */
async function adoptable(visit: VisitContext, operation: Operation): Promise<ObservedAccount | undefined> {
  return only(visit, await candidatesBy(visit, strongKeys(visit, operation)));
}

/**
 * The account that a create without an answer made, found by what that create wrote into it: the connector's adoption key and the strong keys. The login
 * decides only where the target can be searched by nothing better, because somebody else's account may carry it. Read-only.
 */
export async function findCreated(visit: VisitContext, operation: Operation): Promise<ObservedAccount | undefined> {
  const { adoptionKey } = visit.connector.capabilities();
  const own =
    adoptionKey === undefined || operation.attributes?.[adoptionKey] !== undefined
      ? []
      : [{ attribute: adoptionKey, value: creationKey(visit) }];
  const keys = [...own, ...strongKeys(visit, operation)];
  const login = { attribute: 'login', value: operation.login ?? '' };
  return only(visit, await candidatesBy(visit, keys.length === 0 ? [login] : keys));
}

/** Links what `findCreated` found. */
export async function linkCreated(visit: VisitContext, found: ObservedAccount): Promise<void> {
  await link(visit, found, visit.row.process_id);
}

type Key = { readonly attribute: string; readonly value: string };

/** The strong keys that this create has a value for and that the target can be searched by. */
function strongKeys(visit: VisitContext, operation: Operation): readonly Key[] {
  return strongKeysOf(visit, operation.login ?? '', operation.attributes ?? {});
}

/** The strong keys among a login and attributes that the target can be searched by. */
export function strongKeysOf(
  visit: VisitContext,
  login: string,
  attributes: NonNullable<Operation['attributes']>,
): readonly Key[] {
  const findBy = visit.connector.capabilities().objectClasses.account.findBy;
  return visit.application.correlation.strong.flatMap((attribute): readonly Key[] => {
    const value = attribute === 'login' ? login : attributes[attribute];
    const canFind = attribute === 'login' || findBy.includes(attribute) || findBy.includes('*');
    return canFind && typeof value === 'string' && value !== '' ? [{ attribute, value }] : [];
  });
}

/** Accounts that any of the keys finds, each once. Read-only; raises the connector's errors. */
export async function candidatesBy(visit: VisitContext, keys: readonly Key[]): Promise<readonly ObservedAccount[]> {
  const candidates = new Map<string, ObservedAccount>();
  for (const key of keys) {
    const ctx = operationContext(visit, `${creationKey(visit)}/find`, false);
    for (const found of await visit.connector.find(key, ctx)) candidates.set(found.ref.nativeId, found);
  }
  return [...candidates.values()];
}

/** The one account of several findings; raises AccountCollision for two, or when it is linked to somebody else. */
export async function only(
  visit: VisitContext,
  found: readonly ObservedAccount[],
): Promise<ObservedAccount | undefined> {
  const [one, other] = found;
  if (other !== undefined) throw new TenureError('AccountCollision', 'two-candidates');
  if (one !== undefined) await refuseForeign(visit, one);
  return one;
}

async function refuseForeign(visit: VisitContext, found: ObservedAccount): Promise<void> {
  const owner = await visit.deps.db
    .selectFrom('account')
    .select('identity_id')
    .where('application', '=', visit.row.application)
    .where('native_id', '=', found.ref.nativeId)
    .where('unlinked_at', 'is', null)
    .executeTakeFirst();
  if (owner !== undefined && owner.identity_id !== visit.row.identity_id)
    throw new TenureError('AccountCollision', 'linked-to-another-identity');
}

/** Links the account, and notes the operation as finished; `createdBy` is null for an adopted one, which an undo never deletes. */
async function link(
  visit: VisitContext,
  observed: ObservedAccount,
  createdBy: ProcessId | null,
  operation?: Operation,
): Promise<AccountRow> {
  const row = await visit.deps.visitWrites.link({
    account_id: brand<AccountId>(randomUUID()),
    identity_id: visit.row.identity_id,
    application: visit.row.application,
    native_id: observed.ref.nativeId,
    login: observed.login,
    status: observed.status,
    attributes: observed.attributes,
    entitlements: [...(observed.entitlements ?? [])],
    created_by_process: createdBy,
    closed_by_tenure: createdBy !== null && observed.status === 'disabled',
    observed_at: visit.clock(),
    ...(operation === undefined ? {} : { doneBy: { visitId: visit.row.visit_id, operationKey: operation.key } }),
  });
  if (row === undefined) throw new TenureError('AccountCollision', 'linked-to-another-identity');
  return row;
}

/** The random secret that only Tenure holds, stored before it is set, so that a repeat sets the same one and the probe can use it (design D5). */
async function sealSecret(visit: VisitContext, account: AccountRow): Promise<Secret> {
  const { db, keys } = visit.deps;
  const context = `secret/${account.account_id}`;
  if (account.secret !== null) {
    const stored = await keys.decryptFor(db, account.identity_id, context, account.secret);
    if (typeof stored === 'string') return new Secret(stored);
  }
  const secret = Secret.random();
  const sealed = await keys.encryptFor(db, account.identity_id, context, secret.reveal());
  // Two visits may cut one account at once (a cut and its repeat): both must set the same secret, the one that is stored.
  const { secret: kept } = await db
    .updateTable('account')
    .set((eb) => ({ secret: eb.fn.coalesce('secret', eb.val(sealed)) }))
    .where('account_id', '=', account.account_id)
    .returning('secret')
    .executeTakeFirstOrThrow();
  const stored = await keys.decryptFor(db, account.identity_id, context, kept ?? sealed);
  return typeof stored === 'string' ? new Secret(stored) : secret;
}

/** A credential that was collected is in somebody's hands: a repeat must not put one in its place that nobody knows. */
async function handOver(visit: VisitContext, ref: AccountRef, ctx: OperationContext): Promise<MutationResult> {
  const secret = await handoverSecret(visit);
  if (secret === undefined) return { outcome: 'already-in-state', ref, changed: [] };
  return required(visit.connector.setSecret?.(ref, secret, ctx));
}

/**
 * The first credential: kept encrypted until it is collected once, never in a history or log (edge case 17). A repeat sets the same one; undefined once it was
 * collected.
 */
async function handoverSecret(visit: VisitContext): Promise<Secret | undefined> {
  const { db, keys } = visit.deps;
  const context = `handover/${visit.row.application}`;
  const secret = Secret.random();
  const kept = await visit.deps.visitWrites.keepCredential({
    handover_id: randomUUID(),
    identity_id: visit.row.identity_id,
    application: visit.row.application,
    process_id: visit.row.process_id,
    secret: await keys.encryptFor(db, visit.row.identity_id, context, secret.reveal()),
    expires_at: plusMs(visit.clock(), HANDOVER_DAYS * DAY_MS),
  });
  if (kept === null) return undefined;
  const stored = await keys.decryptFor(db, visit.row.identity_id, context, kept);
  return typeof stored === 'string' ? new Secret(stored) : secret;
}

async function noteResult(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
  result: MutationResult,
): Promise<AccountRow> {
  const now = visit.clock();
  return finished(visit, operation, account, {
    native_id: result.ref.nativeId,
    observed_at: now,
    attributes: { ...account.attributes, ...plainAttributes(operation) },
    ...changeOf(operation, account, now),
  });
}

function plainAttributes(operation: Operation): Operation['attributes'] {
  return operation.kind === 'update' ? operation.attributes : {};
}

function changeOf(operation: Operation, account: AccountRow, now: Instant): AccountChange {
  const without = account.entitlements.filter((name) => name !== operation.entitlement);
  switch (operation.kind) {
    case 'rename':
      return { login: operation.login ?? account.login };
    case 'enable':
      return { status: 'enabled', sealed: false, archived: false, closed_by_tenure: false, secret: null };
    case 'disable':
      return { status: 'disabled', closed_by_tenure: true };
    case 'seal':
      return { status: 'disabled', sealed: true, closed_by_tenure: true };
    case 'add-entitlement':
      return { entitlements: [...without, operation.entitlement ?? ''] };
    case 'remove-entitlement':
      return { entitlements: without };
    case 'archive':
      return { archived: true, status: 'disabled', closed_by_tenure: true };
    case 'delete':
      return { unlinked_at: now };
    case 'anonymise':
      return { status: 'disabled', unlinked_at: now };
    case 'create':
    case 'update':
    case 'revoke-sessions':
    case 'revoke-credentials':
    case 'check-in':
    case 'transfer-ownership':
    case 'set-forwarding':
    case 'hand-over-credential':
    case 'manual':
      return {};
  }
}

/** Notes the operation as finished, with what it changed. */
async function finished(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
  changes: AccountChange = {},
): Promise<AccountRow> {
  const row = await visit.deps.visitWrites.finish({
    visitId: visit.row.visit_id,
    operationKey: operation.key,
    at: visit.clock(),
    accountId: account.account_id,
    changes,
  });
  if (row === undefined) throw new Error('no such account');
  return row;
}
