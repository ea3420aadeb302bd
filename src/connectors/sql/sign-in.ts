import pg from 'pg';
import type { AccountRef, MutationResult, OperationContext, SessionCount, SignInAnswer } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { Session, SqlContext } from './client.js';
import { networkCode } from './client.js';
import { requireAccount, rowByKey } from './rows.js';

const road = 'sql:log-in';

/**
 * One real log-in on a new connection. Postgres checks the password first and the right to log in after it, so
 * "not permitted to log in" (28000) proves that the password was right and the account is off; 28P01 proves nothing.
 */
export async function probeSignIn(
  sql: SqlContext,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  const limit = timeLimit(ctx, 'probeSignIn', sql.config.requestTimeoutMs);
  const url = new URL(sql.url);
  const client = new pg.Client({
    host: url.hostname,
    port: url.port === '' ? 5432 : Number(url.port),
    database: decodeURIComponent(url.pathname.slice(1)),
    ssl: /sslmode=(require|verify)/.test(url.search),
    user: login,
    password: secret.reveal(),
    connectionTimeoutMillis: limit.remainingMs,
    application_name: 'tenure-probe',
  });
  client.on('error', () => undefined);
  const onAbort = (): void => void client.end().catch(() => undefined);
  limit.signal.addEventListener('abort', onAbort, { once: true });
  try {
    await client.connect();
    return { answer: 'accepted', code: '00000', road };
  } catch (error) {
    return answerOf(sql, error);
  } finally {
    limit.signal.removeEventListener('abort', onAbort);
    await client.end().catch(() => undefined);
  }
}

function answerOf(sql: SqlContext, error: unknown): SignInAnswer {
  if (error instanceof pg.DatabaseError && error.code !== undefined) {
    const { code, routine } = error;
    const row = sql.dialect.signIn.find(
      (candidate) => candidate.code === code && (candidate.routine === undefined || candidate.routine === routine),
    );
    return { answer: row?.answer ?? 'unknown', code, road };
  }
  return { answer: 'unknown', code: networkCode(error), road };
}

export async function listSessions(sql: SqlContext, ref: AccountRef, ctx: OperationContext): Promise<SessionCount> {
  requireAccount(ref.objectClass, 'listSessions');
  return sql.database.verifying('listSessions', ctx, async (session) => {
    const count = await countSessions(sql, session, await loginOf(sql, session, ref, 'listSessions'));
    return { count, road: 'sql:server-sessions' };
  });
}

/** Ends the account's open sessions at the server and waits (there) until they are gone. */
export async function revokeSessions(sql: SqlContext, ref: AccountRef, ctx: OperationContext): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'revokeSessions');
  return sql.database.reading('revokeSessions', ctx, async (session) => {
    const login = await loginOf(sql, session, ref, 'revokeSessions');
    if ((await countSessions(sql, session, login)) === 0) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    await session.write(sql.dialect.statements.endSessions, [login]);
    return { outcome: 'applied', ref, changed: [] };
  });
}

async function countSessions(sql: SqlContext, session: Session, login: string): Promise<number> {
  return Number((await session.read(sql.dialect.statements.sessionCount, [login]))[0]?.['count']);
}

async function loginOf(sql: SqlContext, session: Session, ref: AccountRef, operation: string): Promise<string> {
  const row = await rowByKey(sql, session, ref, sql.statements.byKey);
  if (row === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  }
  return String(row['login']);
}
