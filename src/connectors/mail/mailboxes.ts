import type {
  AccountRef,
  CorrelationKey,
  ExpectedState,
  ListQuery,
  MutationResult,
  ObservedAccount,
  OperationContext,
  Page,
  SessionCount,
  Verification,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { compareState } from '../shared/compare.js';
import type { Send } from '../shared/http/client.js';
import type { MailConfig } from './config.js';
import type { MailContext } from './context.js';
import { requireMailbox } from './context.js';
import { requireAccount } from '../shared/object-class.js';

type Closing = NonNullable<MailConfig['closing']>;

/** One page of what Dovecot's user databases name, by address; Dovecot has no pages, so each asks for all of them. */
export async function listMailboxes(
  mail: MailContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const all = [...new Set(await mail.doveadm.users('list', ctx))].sort();
  const rest = all.filter((address) => query.cursor === undefined || address > query.cursor);
  const page = rest.slice(0, query.pageSize);
  const items = await Promise.all(page.map((address) => observe(mail, address, 'list', ctx)));
  const last = page.at(-1);
  return rest.length > page.length && last !== undefined
    ? { items, complete: false, next: last }
    : { items, complete: true };
}

export async function getMailbox(
  mail: MailContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, 'get');
  return read(mail, ref.nativeId, 'get', ctx);
}

export async function findMailboxes(
  mail: MailContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  if (by.attribute !== 'login' && by.attribute !== 'mail') {
    throw new ConnectorError({ code: 'INVALID', operation: 'find', sent: false, attribute: by.attribute });
  }
  const found = await read(mail, by.value.toLowerCase(), 'find', ctx);
  return found === undefined ? [] : [found];
}

/** Reads on a connection of its own. Dovecot knows no attribute but the address: any other one is `unknown`, neither right nor wrong. */
export async function verifyMailbox(
  mail: MailContext,
  expected: ExpectedState,
  ctx: OperationContext,
): Promise<Verification> {
  requireAccount(expected.ref.objectClass, 'verify');
  return mail.doveadm.onOwnConnection(async (send) => {
    const seen = await read(mail, expected.ref.nativeId, 'verify', ctx, send);
    const { mail: address, ...unseen } = expected.attributes ?? {};
    const shown = { ...expected, attributes: address === undefined ? {} : { mail: address } };
    const result = compareState(shown, seen, 'doveadm:own-connection');
    const isUnknown = result.verdict === 'ok' && expected.exists && Object.keys(unseen).length > 0;
    return isUnknown ? { ...result, verdict: 'unknown' } : result;
  });
}

/**
 * Writes the mailbox into the dictionary that Dovecot asks before each log-in, or takes it out. Refusing mail is a key
 * of its own, written first and taken away last: in between, mail is refused and the person can still log in, which a
 * repeated call completes. Safe to repeat; NOT_FOUND, AMBIGUOUS. Open sessions go on: see `endSessions`.
 */
export async function setClosed(
  mail: MailContext,
  closing: Closing,
  ref: AccountRef,
  closed: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = closed ? 'disable' : 'enable';
  await requireMailbox(mail, ref, operation, ctx);
  const address = ref.nativeId;
  const isRefused = (await mail.doveadm.read(closing.dict, refusedKey(address), operation, ctx)) !== undefined;
  const value = await mail.doveadm.read(closing.dict, closedKey(address), operation, ctx);
  // Whatever stands there closes the mailbox; only our own words let the probe say so.
  const wanted = closed ? closedValue(closing) : undefined;
  const shouldRefuse = closed && closing.mail === 'refuse';
  if (value === wanted && isRefused === shouldRefuse) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const refuse = (): Promise<void> =>
    isRefused === shouldRefuse
      ? Promise.resolve()
      : mail.doveadm.write(closing.dict, refusedKey(address), shouldRefuse ? '{}' : undefined, operation, ctx);
  if (closed) await refuse();
  if (value !== wanted) await mail.doveadm.write(closing.dict, closedKey(address), wanted, operation, ctx);
  if (!closed) await refuse();
  return { outcome: 'applied', ref, changed: [] };
}

/** Open IMAP, POP3 and ManageSieve connections, as Dovecot counts them. */
export async function countSessions(mail: MailContext, ref: AccountRef, ctx: OperationContext): Promise<SessionCount> {
  await requireMailbox(mail, ref, 'listSessions', ctx);
  return { count: await mail.doveadm.connections(ref.nativeId, 'listSessions', ctx), road: 'doveadm:who' };
}

/** Ends every open connection of the mailbox. Safe to repeat; NOT_FOUND, AMBIGUOUS. */
export async function endSessions(mail: MailContext, ref: AccountRef, ctx: OperationContext): Promise<MutationResult> {
  await requireMailbox(mail, ref, 'revokeSessions', ctx);
  if ((await mail.doveadm.connections(ref.nativeId, 'revokeSessions', ctx)) === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  await mail.doveadm.kick(ref.nativeId, 'revokeSessions', ctx);
  return { outcome: 'applied', ref, changed: [] };
}

async function read(
  mail: MailContext,
  address: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<ObservedAccount | undefined> {
  const exists = await mail.doveadm.hasUser(address, operation, ctx, send);
  return exists ? observe(mail, address, operation, ctx, send) : undefined;
}

async function observe(
  mail: MailContext,
  address: string,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<ObservedAccount> {
  const { closing } = mail.config;
  const closed =
    closing === undefined ? undefined : await mail.doveadm.read(closing.dict, closedKey(address), operation, ctx, send);
  return {
    ref: { application: mail.application, objectClass: 'account', nativeId: address },
    login: address,
    // Without a dictionary nothing here tells whether the directory lets the person in.
    status: closing === undefined ? 'unknown' : closed === undefined ? 'enabled' : 'disabled',
    attributes: { mail: address },
    entitlements: undefined,
  };
}

function closedKey(address: string): string {
  return `shared/closed/${address}`;
}

function refusedKey(address: string): string {
  return `shared/refused/lmtp/${address}`;
}

/** Extra fields of Dovecot: the password is still checked by what comes next, and then the log-in is refused. */
function closedValue({ reason }: Closing): string {
  return JSON.stringify({ noauthenticate: 'yes', nologin: 'yes', reason });
}
