import type { OperationContext, SignInAnswer } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import type { HttpAnswer } from '../shared/http/client.js';
import type { RestConfig } from './config.js';
import type { RestContext } from './context.js';
import { places } from './places.js';
import { render } from './render.js';
import type { RestSend } from './transport.js';
import { answerVariables, asText, holds, readAnswer } from './values.js';

type SignInConfig = NonNullable<RestConfig['signIn']>;
const road = 'http:sign-in';

/**
 * One real sign-in with a connection of its own and without Tenure's credential. The answer is looked up in the configured table; anything else, a server that cannot be
 * reached included, is `unknown`. A session that the probe opened is closed where that is configured.
 */
export async function probeSignIn(
  rest: RestContext,
  signIn: SignInConfig,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  const { values } = rest.config;
  const secrets = Object.fromEntries(Object.entries(rest.signInSecrets).map(([name, reveal]) => [name, reveal()]));
  const how = { operation: 'probeSignIn', write: false, baseUrl: rest.signInBaseUrl };
  return rest.transport.onOwnConnection(async (send) => {
    try {
      const variables = { values, login, secret: secret.reveal(), secrets };
      const call = render(signIn.request, { ...how, place: places.signIn, variables });
      const textAnswer = signIn.body === 'text';
      const answer = await send({ ...call, anonymous: true, textAnswer }, ctx, () => true);
      const seen = answerVariables(answer, values);
      const row = signIn.answers.find(
        (each) => each.status === answer.status && (each.when === undefined || holds(places.answer, each.when, seen)),
      );
      if (row?.answer === 'accepted') await signOut(rest, signIn, answer, secrets, send, ctx);
      const error = asText(readAnswer(places.answer, signIn.code, seen, 'probeSignIn')) ?? '';
      return { answer: row?.answer ?? 'unknown', code: codeOf(answer.status, error, login), road };
    } catch (error) {
      if (error instanceof ConnectorError) {
        return { answer: 'unknown', code: error.targetCode ?? error.code, road };
      }
      throw error;
    }
  });
}

/** Only an id may be kept: free text of a target can name the person. */
function codeOf(status: number, error: string, login: string): string {
  const isId = /^[\w.-]{1,40}$/.test(error) && !error.toLowerCase().includes(login.toLowerCase());
  return isId ? `${status} ${error}` : String(status);
}

async function signOut(
  rest: RestContext,
  signIn: SignInConfig,
  answer: HttpAnswer,
  secrets: Readonly<Record<string, string>>,
  send: RestSend,
  ctx: OperationContext,
): Promise<void> {
  if (signIn.signOut === undefined) return;
  const variables = { ...answerVariables(answer, rest.config.values), secrets };
  const how = { operation: 'probeSignIn', write: false, baseUrl: rest.signInBaseUrl };
  try {
    const call = render(signIn.signOut, { ...how, place: places.signedIn, variables });
    await send({ ...call, anonymous: true, textAnswer: signIn.body === 'text' }, ctx);
  } catch {
    // The probe's answer stands; a session left behind shows in the session count.
    ctx.logger.warn({ application: rest.application }, 'the session of a sign-in probe could not be closed');
  }
}
