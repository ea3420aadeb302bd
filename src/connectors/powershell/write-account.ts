import type { AccountRef, AccountSpec, AttributeDelta, MutationResult, OperationContext } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { PowershellContext } from './accounts.js';
import {
  checkAttributes,
  commandOf,
  findAccounts,
  needAccount,
  readAccount,
  refOf,
  requireAccount,
  toProperties,
} from './accounts.js';
import { mayRename } from './capabilities.js';
import { resultSchemas } from './protocol.js';
import type { HostOperation } from './script-sets.js';

const unchanged = (ref: AccountRef): MutationResult => ({ outcome: 'already-in-state', ref, changed: [] });

/** One write by the function of an operation. */
export async function write(
  shell: PowershellContext,
  operation: HostOperation,
  args: Readonly<Record<string, unknown>>,
  ctx: OperationContext,
  more: { readonly secret?: Secret; readonly as?: string } = {},
): Promise<void> {
  const secrets = more.secret === undefined ? {} : { secret: more.secret };
  const call = { operation: more.as ?? operation, command: commandOf(shell, operation), arguments: args, secrets };
  await shell.host.call({ ...call, isWrite: true, result: resultSchemas.nothing }, ctx);
}

/**
 * Makes an account, with Tenure's key in the configured attribute. An account with the same key is this one: a create whose answer was
 * lost is found again. ALREADY_EXISTS when somebody else has the login, INVALID, AMBIGUOUS.
 */
export async function createAccount(
  shell: PowershellContext,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'create';
  requireAccount(spec.objectClass, operation);
  const { adoptionKey } = shell.config;
  const given = spec.attributes[adoptionKey];
  const key = typeof given === 'string' && given !== '' ? given : ctx.idempotencyKey;
  const attributes = { ...spec.attributes, [adoptionKey]: key };
  checkAttributes(shell, attributes, operation);
  for (const [name, { required }] of Object.entries(shell.config.attributes)) {
    if (required && !(name in attributes)) {
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: name });
    }
  }
  if (spec.login === '') throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'login' });
  const ours = await accountOfKey(shell, key, ctx);
  if (ours !== undefined) return unchanged(ours);
  if ((await findAccounts(shell, { attribute: 'login', value: spec.login }, ctx, operation)).length > 0) {
    throw new ConnectorError({ code: 'ALREADY_EXISTS', operation, sent: false });
  }
  const args = { login: spec.login, enabled: spec.enabled, properties: toProperties(shell, attributes) };
  const call = { operation, command: commandOf(shell, operation), arguments: args, isWrite: true } as const;
  try {
    const made = await shell.host.call({ ...call, result: resultSchemas.created }, ctx);
    const changed = Object.entries({ login: spec.login, ...attributes }).map(([attribute, value]) => ({
      attribute,
      op: 'replace' as const,
      value,
    }));
    return { outcome: 'applied', ref: refOf(shell, made.nativeId), changed };
  } catch (error) {
    // Another try of this very step may have been quicker.
    const winner =
      isConnectorError(error) && error.code === 'ALREADY_EXISTS' ? await accountOfKey(shell, key, ctx) : undefined;
    if (winner === undefined) throw error;
    return unchanged(winner);
  }
}

async function accountOfKey(
  shell: PowershellContext,
  key: string,
  ctx: OperationContext,
): Promise<AccountRef | undefined> {
  const found = await findAccounts(shell, { attribute: shell.config.adoptionKey, value: key }, ctx, 'create');
  if (found.length > 1) {
    throw new ConnectorError({ code: 'CONFLICT', operation: 'create', sent: false, targetCode: 'key-twice' });
  }
  return found[0]?.ref;
}

/** Writes what really changes, in one call. INVALID, NOT_FOUND, ALREADY_EXISTS (the new login), UNSUPPORTED (a rename), AMBIGUOUS. */
export async function updateAccount(
  shell: PowershellContext,
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'update';
  const seen = await needAccount(shell, ref, operation, ctx);
  const changed = effectiveDeltas({ ...seen.attributes, login: seen.login }, deltas);
  const { login, ...attributes } = Object.fromEntries(changed.map(({ attribute, value }) => [attribute, value]));
  checkAttributes(shell, attributes, operation);
  if (login !== undefined && (typeof login !== 'string' || login === '')) {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'login' });
  }
  if (login !== undefined && !mayRename(shell.config)) {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false, attribute: 'login' });
  }
  if (changed.length === 0) return unchanged(ref);
  const args = { nativeId: ref.nativeId, login: login ?? null, properties: toProperties(shell, attributes) };
  await write(shell, operation, args, ctx);
  return { outcome: 'applied', ref, changed };
}

/** Turns sign-in off or on. `locked` and `unknown` are neither: the write is made. */
export async function setEnabled(
  shell: PowershellContext,
  ref: AccountRef,
  operation: 'disable' | 'enable',
  ctx: OperationContext,
): Promise<MutationResult> {
  const { status } = await needAccount(shell, ref, operation, ctx);
  if (status === (operation === 'disable' ? 'disabled' : 'enabled')) return unchanged(ref);
  await write(shell, operation, { nativeId: ref.nativeId }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

export async function deleteAccount(
  shell: PowershellContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  if ((await readAccount(shell, ref, 'delete', ctx)) === undefined) return unchanged(ref);
  await write(shell, 'delete', { nativeId: ref.nativeId }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

/** Sets the password. It travels on the host's standard input alone; safe to repeat. */
export async function setPassword(
  shell: PowershellContext,
  ref: AccountRef,
  secret: Secret,
  operation: 'setSecret' | 'resetCredentials',
  ctx: OperationContext,
): Promise<MutationResult> {
  await needAccount(shell, ref, operation, ctx);
  await write(shell, 'setSecret', { nativeId: ref.nativeId }, ctx, { secret, as: operation });
  return { outcome: 'applied', ref, changed: [] };
}

/** One call that disables first, then sets the password: what breaks off in between is cut, and repeating it sets the password. */
export async function sealAccount(
  shell: PowershellContext,
  ref: AccountRef,
  secret: Secret,
  ctx: OperationContext,
): Promise<MutationResult & { readonly atomic: boolean }> {
  await needAccount(shell, ref, 'seal', ctx);
  await write(shell, 'seal', { nativeId: ref.nativeId }, ctx, { secret });
  return { outcome: 'applied', ref, changed: [], atomic: false };
}
