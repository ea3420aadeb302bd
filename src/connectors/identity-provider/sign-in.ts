import type { OperationContext, SignInAnswer } from '../connector.js';
import { isConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import type { HttpAnswer, Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { RealmContext } from './client.js';
import { admin, asList, textOf, tokenCall } from './client.js';
import { isLocked } from './users.js';

const road = 'oidc:direct-grant';

export interface SignInClient {
  readonly id: string;
  readonly secret: Secret | undefined;
}

/** The texts that Keycloak is known to answer; any other is `unknown` and not repeated. */
const answers: Readonly<Record<string, Pick<SignInAnswer, 'answer' | 'code'>>> = {
  'Account disabled': { answer: 'disabled', code: 'account-disabled' },
  'Account temporarily disabled': { answer: 'locked', code: 'account-temporarily-disabled' },
  'Invalid user credentials': { answer: 'wrong-secret', code: 'invalid-user-credentials' },
  // The password is right and yet nobody gets in: neither proves anything.
  'Account is not fully set up': { answer: 'unknown', code: 'not-fully-set-up' },
};

/**
 * One real sign-in by password (direct grant, RFC 6749, 4.3) on a connection of its own. Only "Account disabled" proves a
 * cut, and Keycloak says so only when the password is right. To a locked account it says "Invalid user credentials",
 * whatever the password: the lock is then read. The session that the probe opened is ended.
 */
export function probeSignIn(
  realm: RealmContext,
  client: SignInClient,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  return realm.http.onOwnConnection(async (send) => {
    const form = { ...clientForm(client), grant_type: 'password', username: login, password: secret.reveal() };
    const call = tokenCall(realm.baseUrl, realm.config.realm, 'probeSignIn', form);
    try {
      const answer = await send(call, ctx, [400, 401, 403, 404, 429, 500, 502, 503, 504]);
      if (answer.status === 200) {
        await signOut(realm, client, answer, send, ctx);
        return { answer: 'accepted', code: '200', road };
      }
      const body = asObject(answer.body);
      const known = body['error'] === 'invalid_grant' ? answers[textOf(body['error_description'])] : undefined;
      const code = `${answer.status}${known === undefined ? '' : ` ${known.code}`}`;
      if (known?.answer === 'wrong-secret' && (await isLockedOut(realm, login, send, ctx))) {
        return { answer: 'locked', code, road };
      }
      return { answer: known?.answer ?? 'unknown', code, road };
    } catch (error) {
      if (!isConnectorError(error)) throw error;
      return { answer: 'unknown', code: error.targetCode ?? error.code, road };
    }
  });
}

function clientForm(client: SignInClient): Record<string, string> {
  const secret = client.secret === undefined ? {} : { client_secret: client.secret.reveal() };
  return { client_id: client.id, ...secret };
}

async function isLockedOut(realm: RealmContext, login: string, send: Send, ctx: OperationContext): Promise<boolean> {
  if (!realm.config.bruteForce) return false;
  const call = { operation: 'probeSignIn', path: '/users', query: { username: login, exact: 'true' } };
  const [user] = asList((await admin(realm, call, ctx, { send })).body);
  return user !== undefined && isLocked(realm, textOf(user['id']), 'probeSignIn', ctx, send);
}

async function signOut(
  realm: RealmContext,
  client: SignInClient,
  answer: HttpAnswer,
  send: Send,
  ctx: OperationContext,
) {
  const form = { ...clientForm(client), refresh_token: textOf(asObject(answer.body)['refresh_token']) };
  try {
    await send(tokenCall(realm.baseUrl, realm.config.realm, 'probeSignIn', form, 'logout'), ctx);
  } catch {
    // The probe's answer stands; a session left behind shows in the session count.
    ctx.logger.warn({ application: realm.application }, 'the session of a sign-in probe could not be closed');
  }
}
