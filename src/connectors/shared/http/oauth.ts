import type { OperationContext } from '../../connector.js';
import { ConnectorError, isConnectorError } from '../../errors.js';
import type { Secret } from '../../secret.js';
import type { HttpClient } from './client.js';
import { asObject } from './json.js';
import type { Authorizer } from './authorizer.js';

export interface OAuthOptions {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret?: Secret;
  /** The refresh-token grant; absent: client credentials. */
  readonly refreshToken?: Secret;
  readonly clientAuth: 'basic' | 'body';
  readonly parameters: Readonly<Record<string, string>>;
}

/** A token is taken for ended this much before it ends: it must last for a call. */
const SKEW_MS = 15_000;

interface Token {
  readonly value: string;
  readonly goodUntil: number;
}

/**
 * OAuth 2.0 client credentials and refresh token (RFC 6749, 4.4 and 6). A token is Tenure's own credential, not data of the target: it is kept until it ends or is
 * refused, and asked for once by however many calls need it. A token endpoint that says no is UNAUTHENTICATED. A refresh token that the server replaces is kept in
 * memory only.
 */
export function createOAuth(options: OAuthOptions, http: HttpClient): Authorizer {
  let refreshToken = options.refreshToken?.reveal();
  let pending: Promise<Token> | undefined;
  let known: Token | undefined;

  const ask = async (operation: string, ctx: OperationContext): Promise<Token> => {
    const call = {
      operation,
      method: 'POST',
      url: options.tokenUrl,
      write: false,
      ...tokenRequest(options, refreshToken),
    } as const;
    const answer = await http.send(call, ctx).catch((error: unknown) => {
      throw isConnectorError(error) ? refusedToken(error, operation) : error;
    });
    const body = asObject(answer.body);
    const value = body['access_token'];
    if (typeof value !== 'string' || value === '') {
      throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'token:none' });
    }
    const seconds = Number(body['expires_in'] ?? Number.POSITIVE_INFINITY);
    if (typeof body['refresh_token'] === 'string' && refreshToken !== undefined) refreshToken = body['refresh_token'];
    const lifeMs = Number.isNaN(seconds) ? 0 : seconds * 1000;
    return { value, goodUntil: Date.now() + lifeMs - Math.min(SKEW_MS, lifeMs / 2) };
  };

  return {
    authorize: async (call, ctx) => {
      if (known !== undefined && Date.now() < known.goodUntil) {
        return { headers: bearer(known.value), token: { value: known.value, isFresh: false } };
      }
      pending ??= ask(call.operation, ctx).finally(() => {
        pending = undefined;
      });
      known = await pending;
      return { headers: bearer(known.value), token: { value: known.value, isFresh: true } };
    },
    forget: (token) => {
      if (known?.value === token) known = undefined;
    },
    close: () => http.close(),
  };
}

function tokenRequest(options: OAuthOptions, refreshToken: string | undefined) {
  const form = new URLSearchParams(
    refreshToken === undefined
      ? { grant_type: 'client_credentials' }
      : { grant_type: 'refresh_token', refresh_token: refreshToken },
  );
  for (const [name, value] of Object.entries(options.parameters)) form.set(name, value);
  const headers: Record<string, string> = { 'content-type': 'application/x-www-form-urlencoded' };
  const secret = options.clientSecret?.reveal();
  if (options.clientAuth === 'basic' && secret !== undefined) {
    // RFC 6749, 2.3.1: both parts are form-encoded first.
    const pair = [options.clientId, secret].map((part) => encodeURIComponent(part)).join(':');
    headers['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`;
  } else {
    form.set('client_id', options.clientId);
    if (secret !== undefined) form.set('client_secret', secret);
  }
  return { body: form.toString(), headers };
}

/** 400 is how a token endpoint says invalid_client, invalid_grant and unauthorized_client (RFC 6749, 5.2). */
function refusedToken(error: ConnectorError, operation: string): ConnectorError {
  const isRefusal = ['INVALID', 'UNAUTHENTICATED', 'FORBIDDEN'].includes(error.code);
  const code = isRefusal ? 'UNAUTHENTICATED' : error.code === 'NOT_FOUND' ? 'UNAVAILABLE' : error.code;
  const targetCode = `token:${error.targetCode ?? error.code}`;
  return new ConnectorError({ code, operation, sent: false, targetCode, retryAfterMs: error.retryAfterMs });
}

function bearer(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}
