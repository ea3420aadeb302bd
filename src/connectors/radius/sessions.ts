import { isIPv4 } from 'node:net';
import type { AccountRef, MutationResult, OperationContext, SessionCount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { ConnectorErrorCode } from '../errors.js';
import type { Session } from '../shared/sql/client.js';
import { timeLimit } from '../shared/time-limit.js';
import { requireAccount } from '../shared/object-class.js';
import type { Peer } from './client.js';
import { exchange } from './client.js';
import { codes, disconnectRequest, numberAttribute, textAttribute, types } from './codec.js';
import type { Attribute } from './codec.js';
import type { RadiusContext } from './rows.js';
import { isAccount, isLogin, readRows } from './rows.js';

interface OpenSession {
  readonly login: string;
  readonly id: string;
  readonly gateway: string;
  readonly startedAtMs: number;
}

/** What the gateway did with a Disconnect-Request, worst first. */
const failures = [
  { outcome: 'silent', code: 'AMBIGUOUS', targetCode: 'disconnect-no-answer' },
  { outcome: 'refused', code: 'FORBIDDEN', targetCode: 'disconnect-nak' },
  { outcome: 'not-offered', code: 'UNSUPPORTED', targetCode: 'gateway-without-disconnect' },
] as const satisfies readonly { outcome: string; code: ConnectorErrorCode; targetCode: string }[];

type Outcome = 'ended' | (typeof failures)[number]['outcome'];

async function openSessions(
  radius: RadiusContext,
  session: Session,
  ref: AccountRef,
  operation: string,
): Promise<readonly OpenSession[]> {
  requireAccount(ref.objectClass, operation);
  if (!isLogin(ref.nativeId) || !isAccount(radius, await readRows(radius, session, ref.nativeId))) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  const text =
    `select acctsessionid as id, host(nasipaddress) as gateway, extract(epoch from acctstarttime)::float8 as started` +
    ` from ${radius.table('accounting')} where username = $1 and acctstoptime is null order by radacctid`;
  return (await session.read(text, [ref.nativeId])).map((row) => ({
    login: ref.nativeId,
    id: String(row['id']),
    gateway: String(row['gateway']),
    startedAtMs: Number(row['started']) * 1000,
  }));
}

/** Every session that radacct shows as open. What no gateway ends on request lives until its time is over: the residual. */
export async function listSessions(
  radius: RadiusContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<SessionCount> {
  const open = await radius.database.verifying('listSessions', ctx, (session) =>
    openSessions(radius, session, ref, 'listSessions'),
  );
  const maxMs = (radius.config.sessions?.maxSeconds ?? 0) * 1000;
  const until = Math.max(0, ...open.map(({ startedAtMs }) => startedAtMs + maxMs));
  const isLeft = maxMs > 0 && until > Date.now();
  return {
    count: open.length,
    road: 'radius:accounting',
    ...(isLeft ? { residual: { what: 'vpn-session', until: new Date(until).toISOString() } } : {}),
  };
}

/**
 * Asks the gateway of each open session to end it (RFC 5176). A Disconnect-ACK says that it did; the proof is radacct, which the
 * gateway's Accounting-Stop closes. Asks all, then raises the worst: AMBIGUOUS without an answer, FORBIDDEN for a
 * Disconnect-NAK, UNSUPPORTED for a gateway that takes none. Safe to repeat: what has ended is not open any more.
 */
export async function revokeSessions(
  radius: RadiusContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'revokeSessions';
  const limit = timeLimit(ctx, operation, radius.config.requestTimeoutMs);
  const open = await radius.database.reading(operation, ctx, (session) =>
    openSessions(radius, session, ref, operation),
  );
  if (open.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  const asks = open.map((one) => ({ one, gateway: radius.gateways.get(one.gateway) }));
  const sent = asks.some(({ gateway }) => gateway !== undefined);
  if (sent) {
    await ctx.sentMarker?.();
    if (ctx.signal.aborted) throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
  }
  const outcomes = await Promise.all(
    asks.map(({ one, gateway }): Promise<Outcome> => {
      return gateway === undefined ? Promise.resolve('not-offered') : disconnect(one, gateway, limit.signal);
    }),
  );
  const worst = failures.find(({ outcome }) => outcomes.includes(outcome));
  if (worst !== undefined) {
    throw new ConnectorError({ code: worst.code, operation, sent, targetCode: worst.targetCode, ref });
  }
  return { outcome: 'applied', ref, changed: [] };
}

async function disconnect(one: OpenSession, gateway: Peer, signal: AbortSignal): Promise<Outcome> {
  const address: Attribute[] = isIPv4(one.gateway)
    ? [{ type: types.nasIpAddress, value: Buffer.from(one.gateway.split('.').map(Number)) }]
    : [];
  const request = disconnectRequest(
    [
      textAttribute(types.userName, one.login),
      ...address,
      textAttribute(types.acctSessionId, one.id),
      // A gateway refuses a request that is old: a recorded one cannot be played again.
      numberAttribute(types.eventTimestamp, Math.floor(Date.now() / 1000)),
    ],
    gateway.secret,
  );
  const told = await exchange(gateway, request, signal);
  if (!('packet' in told)) return 'silent';
  return told.packet.code === codes.disconnectAck ? 'ended' : 'refused';
}
