import type { AccountRef, MutationResult, OperationContext, SessionCount, SignInAnswer } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { Secret } from '../secret.js';
import type { Send } from '../shared/http/client.js';
import type { ScimContext } from './client.js';
import type { ScimConfig } from './config.js';
import { asObject } from '../shared/http/json.js';
import { requireAccount } from '../shared/object-class.js';

type SignInConfig = NonNullable<ScimConfig['signIn']>;
const road = 'http:sign-in';

/**
 * One real sign-in with a connection of its own. What the server answers is looked up in the configured table;
 * anything else, a server that cannot be reached included, is `unknown`. A session that the probe opened is closed.
 */
export async function probeSignIn(
  scim: ScimContext,
  signIn: SignInConfig,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  return scim.http.onOwnConnection(async (send) => {
    const body = { [signIn.loginField]: login, [signIn.secretField]: secret.reveal() };
    const url = serverUrl(scim, signIn.path);
    const call = { operation: 'probeSignIn', method: 'POST', url, body, anonymous: true, write: false } as const;
    try {
      const accept = [...signIn.answers.map((row) => row.status), 400, 401, 403, 404, 423, 429, 500, 502, 503, 504];
      const answer = await send(call, ctx, accept);
      const fields = asObject(answer.body);
      const raw = fields[signIn.errorField];
      // Only an id may be kept: free text of a target can name the person.
      const error = typeof raw === 'string' && /^[\w.-]{1,40}$/.test(raw) && raw !== login ? raw : undefined;
      const row = signIn.answers.find(
        (candidate) => candidate.status === answer.status && (candidate.error === undefined || candidate.error === raw),
      );
      const token = fields[signIn.tokenField];
      if (row?.answer === 'accepted' && typeof token === 'string') {
        await signOut(scim, signIn, new Secret(token), send, ctx);
      }
      return {
        answer: row?.answer ?? 'unknown',
        code: `${answer.status}${error === undefined ? '' : ` ${error}`}`,
        road,
      };
    } catch (error) {
      if (error instanceof ConnectorError) {
        return { answer: 'unknown', code: error.targetCode ?? error.code, road };
      }
      throw error;
    }
  });
}

async function signOut(
  scim: ScimContext,
  signIn: SignInConfig,
  bearer: Secret,
  send: Send,
  ctx: OperationContext,
): Promise<void> {
  if (signIn.signOutPath === undefined) {
    return;
  }
  const url = serverUrl(scim, signIn.signOutPath);
  try {
    const headers = { authorization: `Bearer ${bearer.reveal()}` };
    await send({ operation: 'probeSignIn', method: 'POST', url, headers, anonymous: true, write: false }, ctx);
  } catch {
    // The probe's answer stands; a session left behind shows in the session count.
    ctx.logger.warn({ application: scim.application }, 'the session of a sign-in probe could not be closed');
  }
}

export async function listSessions(
  scim: ScimContext,
  path: string,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<SessionCount> {
  requireAccount(ref.objectClass, operation);
  const call = { operation, method: 'GET', url: serverUrl(scim, path, ref.nativeId), write: false } as const;
  const answer = await scim.http.send(call, ctx, [404]);
  const count = answer.status === 404 ? 0 : asObject(answer.body)['count'];
  if (typeof count !== 'number') {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'malformed-body' });
  }
  return { count, road: 'http:session-list' };
}

export async function revokeSessions(
  scim: ScimContext,
  path: string,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const { count } = await listSessions(scim, path, ref, 'revokeSessions', ctx);
  if (count === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  const url = serverUrl(scim, path, ref.nativeId);
  await scim.http.send({ operation: 'revokeSessions', method: 'DELETE', url, write: true }, ctx, [404]);
  return { outcome: 'applied', ref, changed: [] };
}

/** Sets a secret through the configured path of the server (`PUT { "password": … }`). */
export async function putSecret(
  scim: ScimContext,
  path: string,
  ref: AccountRef,
  secret: string,
  operation: string,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, operation);
  const url = serverUrl(scim, path, ref.nativeId);
  await scim.http.send({ operation, method: 'PUT', url, body: { password: secret }, write: true }, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

function serverUrl(scim: ScimContext, path: string, nativeId = ''): string {
  return new URL(path.replaceAll('{id}', encodeURIComponent(nativeId)), scim.baseUrl).href;
}
