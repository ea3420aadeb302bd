import type { OperationContext, SignInAnswer } from '../connector.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { Peer } from './client.js';
import { exchange } from './client.js';
import { accessRequest, codes, statusServer, types } from './codec.js';
import type { Packet } from './codec.js';
import type { RadiusContext } from './rows.js';

const road = 'radius:access-request';

/**
 * One real sign-in by PAP. The server gives the configured Reply-Message only after it found the password right, so that alone
 * says `disabled`; a bare Access-Reject is `wrong-secret`, which proves nothing, and so does no authentic answer.
 */
export async function probeSignIn(
  radius: RadiusContext,
  server: Peer,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  const limit = timeLimit(ctx, 'probeSignIn', radius.config.requestTimeoutMs);
  const { nasIdentifier = 'tenure', disabledMessage = '' } = radius.config.server ?? {};
  if (login === '' || Buffer.byteLength(login) > 253 || Buffer.byteLength(secret.reveal()) > 128) {
    return { answer: 'unknown', code: 'not-tried', road };
  }
  const request = accessRequest({ login, password: secret, nasIdentifier }, server.secret);
  const told = await exchange(server, request, limit.signal);
  return { ...('packet' in told ? meaning(told.packet, disabledMessage) : unavailable(told.silence)), road };
}

function meaning(packet: Packet, disabledMessage: string): Pick<SignInAnswer, 'answer' | 'code'> {
  const messages = packet.attributes
    .filter(({ type }) => type === types.replyMessage)
    .map(({ value }) => value.toString());
  switch (packet.code) {
    case codes.accessAccept:
      return { answer: 'accepted', code: 'access-accept' };
    case codes.accessReject:
      if (messages.length === 0) return { answer: 'wrong-secret', code: 'access-reject' };
      return messages.length === 1 && messages[0] === disabledMessage
        ? { answer: 'disabled', code: 'access-reject account-disabled' }
        : { answer: 'unknown', code: 'access-reject other-message' };
    case codes.accessChallenge:
      // The password is right and more is asked for: nobody is in, and nobody is out.
      return { answer: 'unknown', code: 'access-challenge' };
    default:
      return { answer: 'unknown', code: `radius-code-${packet.code}` };
  }
}

function unavailable(silence: string): Pick<SignInAnswer, 'answer' | 'code'> {
  return { answer: 'unknown', code: `UNAVAILABLE ${silence}` };
}

/** Whether the server is there and knows the shared secret; undefined when all is well. */
export async function serverProblem(server: Peer, ctx: OperationContext): Promise<string | undefined> {
  // RFC 5997 asks for no Message-Authenticator in this answer, and FreeRADIUS 3.2.1 sends none; it lets nobody in.
  const told = await exchange(
    { ...server, isOptional: true },
    statusServer(server.secret),
    timeLimit(ctx, 'validate', 5_000).signal,
  );
  return 'packet' in told ? undefined : told.silence;
}
