import type {
  AccountRef,
  Cursor,
  EntitlementRef,
  Forwarding,
  MutationResult,
  OperationContext,
  OwnedCount,
  Page,
  SessionCount,
  SignInAnswer,
} from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import type { PowershellContext } from './accounts.js';
import { commandOf, needAccount, readAccount, refOf } from './accounts.js';
import { resultSchemas } from './protocol.js';
import { write } from './write-account.js';

const MEMBERS_PER_PAGE = 1000;
const unchanged = (ref: AccountRef): MutationResult => ({ outcome: 'already-in-state', ref, changed: [] });

/** One page of the accounts that hold an entitlement, in the order of native ids. INVALID when the target does not know it. */
export async function listMembers(
  shell: PowershellContext,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const operation = 'listMembers';
  const args = { entitlement: group.name, after: cursor ?? null, size: MEMBERS_PER_PAGE };
  const call = { operation, command: commandOf(shell, operation), arguments: args, result: resultSchemas.members };
  const { members, more } = await shell.host.call(call, ctx);
  const last = members.at(-1);
  if (more && (last === undefined || last === cursor)) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'wrong-page' });
  }
  const items = members.map((nativeId) => refOf(shell, nativeId));
  return more && last !== undefined ? { items, complete: false, next: last } : { items, complete: true };
}

/** Where an account does not show what it holds, the write is made: scripts take a membership that is there for done. */
export async function setMember(
  shell: PowershellContext,
  group: EntitlementRef,
  ref: AccountRef,
  operation: 'addMember' | 'removeMember',
  ctx: OperationContext,
): Promise<MutationResult> {
  const { entitlements } = await needAccount(shell, ref, operation, ctx);
  if (entitlements !== undefined && entitlements.includes(group.name) === (operation === 'addMember')) {
    return unchanged(ref);
  }
  await write(shell, operation, { entitlement: group.name, nativeId: ref.nativeId }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

export async function listSessions(
  shell: PowershellContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<SessionCount> {
  return { count: await countOf(shell, 'listSessions', ref, ctx), road: 'powershell' };
}

export async function listOwned(shell: PowershellContext, ref: AccountRef, ctx: OperationContext): Promise<OwnedCount> {
  return { count: await countOf(shell, 'listOwned', ref, ctx), road: 'powershell' };
}

async function countOf(
  shell: PowershellContext,
  operation: 'listSessions' | 'listOwned',
  ref: AccountRef,
  ctx: OperationContext,
): Promise<number> {
  await needAccount(shell, ref, operation, ctx);
  const args = { nativeId: ref.nativeId };
  const call = { operation, command: commandOf(shell, operation), arguments: args, result: resultSchemas.count };
  return (await shell.host.call(call, ctx)).count;
}

/** Ends all sessions; where they cannot be counted, the write is made each time. */
export async function revokeSessions(
  shell: PowershellContext,
  isCounted: boolean,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  if (isCounted && (await countOf(shell, 'listSessions', ref, ctx)) === 0) return unchanged(ref);
  if (!isCounted) await needAccount(shell, ref, 'revokeSessions', ctx);
  await write(shell, 'revokeSessions', { nativeId: ref.nativeId }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

export async function transferOwned(
  shell: PowershellContext,
  ref: AccountRef,
  heir: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'transferOwned';
  if ((await countOf(shell, 'listOwned', ref, ctx)) === 0) return unchanged(ref);
  if ((await readAccount(shell, heir, operation, ctx)) === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, attribute: 'heir' });
  }
  await write(shell, operation, { nativeId: ref.nativeId, heir: heir.nativeId }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

/** Where the target's mailbox sends mail, and what it tells senders; undefined when neither is set. */
export async function readForwarding(
  shell: PowershellContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<Forwarding | undefined> {
  const operation = 'readForwarding';
  await needAccount(shell, ref, operation, ctx);
  const args = { nativeId: ref.nativeId };
  const call = { operation, command: commandOf(shell, operation), arguments: args, result: resultSchemas.forwarding };
  const seen = await shell.host.call(call, ctx);
  const to = seen?.to ?? undefined;
  const autoReply = seen?.autoReply ?? undefined;
  if (seen === undefined || seen === null || (to === undefined && autoReply === undefined)) return undefined;
  return { to, keepsCopy: seen.keepsCopy, ...(autoReply === undefined ? {} : { autoReply }) };
}

export async function setForwarding(
  shell: PowershellContext,
  ref: AccountRef,
  forwarding: Forwarding,
  ctx: OperationContext,
): Promise<MutationResult> {
  const wantsNothing = forwarding.to === undefined && forwarding.autoReply === undefined;
  const args = {
    to: forwarding.to ?? null,
    keepsCopy: wantsNothing || forwarding.keepsCopy,
    autoReply: forwarding.autoReply ?? null,
  };
  const seen = await readForwarding(shell, ref, ctx);
  const held = {
    to: seen?.to ?? null,
    keepsCopy: seen?.keepsCopy ?? true,
    autoReply: seen?.autoReply ?? null,
  };
  if (same(args, held)) return unchanged(ref);
  await write(shell, 'setForwarding', { nativeId: ref.nativeId, ...args }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

interface Wanted {
  readonly to: string | null;
  readonly keepsCopy: boolean;
  readonly autoReply: { readonly subject: string; readonly text: string } | null;
}

const same = (one: Wanted, other: Wanted): boolean =>
  one.to === other.to &&
  one.keepsCopy === other.keepsCopy &&
  one.autoReply?.subject === other.autoReply?.subject &&
  one.autoReply?.text === other.autoReply?.text;

/** A sign-in tried by the script, on the reading session. What the target did not answer clearly is `unknown`. */
export async function probeSignIn(
  shell: PowershellContext,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  const operation = 'probeSignIn';
  const road = 'powershell:sign-in';
  const call = { operation, command: commandOf(shell, operation), arguments: { login }, secrets: { secret } };
  try {
    const seen = await shell.host.call({ ...call, result: resultSchemas.signIn }, ctx, 'reading');
    return { answer: seen.answer, code: seen.code, road };
  } catch (error) {
    if (!isConnectorError(error)) throw error;
    return { answer: 'unknown', code: error.targetCode ?? error.code, road };
  }
}
