import type { AccountRef, MutationResult, OperationContext, SessionCount, SignInAnswer } from '../connector.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { Session } from '../shared/sql/client.js';
import type { SqlContext } from './context.js';
import { networkCode } from '../shared/sql/client.js';
import type { LoginDialect, LoginSettings } from '../shared/sql/dialect.js';
import { ServerFault } from '../shared/sql/driver.js';
import { callProcedure, loginOf, requireLogin } from './rows.js';
import { requireAccount } from '../shared/object-class.js';

/** The part of the context that is there when accounts have log-ins. */
export interface Logins {
  readonly dialect: LoginDialect;
  readonly settings: LoginSettings;
}

const road = 'sql:log-in';

/**
 * One real log-in on a new connection. Only an answer that the server gives after it found the password right proves
 * that an account is off; the dialect lists these.
 */
export async function probeSignIn(
  sql: SqlContext,
  { dialect }: Logins,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  const limit = timeLimit(ctx, 'probeSignIn', sql.config.requestTimeoutMs);
  try {
    await sql.driver.signIn(sql.target, {
      login,
      password: secret.reveal(),
      database: dialect.probesDatabase ? sql.target.database : undefined,
      signal: limit.signal,
      timeoutMs: limit.remainingMs,
    });
    return { answer: 'accepted', code: '00000', road };
  } catch (error) {
    return answerOf(dialect, error);
  } finally {
    limit.end();
  }
}

function answerOf(dialect: LoginDialect, error: unknown): SignInAnswer {
  if (!(error instanceof ServerFault)) {
    return { answer: 'unknown', code: networkCode(error), road };
  }
  const { code, routine } = error;
  const row = dialect.signIn.find(
    (candidate) => candidate.code === code && (candidate.routine === undefined || candidate.routine === routine),
  );
  return { answer: row?.answer ?? 'unknown', code, road };
}

export async function listSessions(
  sql: SqlContext,
  logins: Logins,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<SessionCount> {
  requireAccount(ref.objectClass, 'listSessions');
  return sql.database.verifying('listSessions', ctx, async (session) => {
    const count = await countSessions(logins, session, await loginOf(sql, session, ref, 'listSessions'));
    return { count, road: 'sql:server-sessions' };
  });
}

/** Ends the account's open sessions at the server and waits (there) until they are gone. */
export async function revokeSessions(
  sql: SqlContext,
  logins: Logins,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'revokeSessions');
  return sql.database.reading('revokeSessions', ctx, async (session) => {
    const login = await loginOf(sql, session, ref, 'revokeSessions');
    if ((await countSessions(logins, session, login)) === 0) {
      return { outcome: 'already-in-state', ref, changed: [] };
    }
    if (!(await callProcedure(sql, session, 'revokeSessions', { login, nativeId: ref.nativeId }, ctx))) {
      const { text, values } = logins.dialect.endSessions(requireLogin(sql, login, 'revokeSessions'), logins.settings);
      await session.write(text, values);
    }
    return { outcome: 'applied', ref, changed: [] };
  });
}

async function countSessions(logins: Logins, session: Session, login: string): Promise<number> {
  return Number((await session.read(logins.dialect.sessionCount, [login]))[0]?.['count']);
}
