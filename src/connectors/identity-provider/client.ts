import type { AccountRef, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { Secret } from '../secret.js';
import { HttpClient } from '../shared/http/client.js';
import type { HttpAnswer, HttpCall, HttpTls, Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import type { IdentityProviderConfig } from './config.js';
import { requireAccount } from '../shared/object-class.js';

/** One realm of one Keycloak, as one application of Tenure sees it. */
export interface RealmContext {
  readonly application: string;
  readonly config: IdentityProviderConfig;
  readonly baseUrl: string;
  readonly http: HttpClient;
}

/** A token is thrown away this long before it ends: a request that is on its way must not meet its end. */
const TOKEN_MARGIN_MS = 10_000;

/**
 * The HTTP side of a realm. The service account's token is asked for when there is none and kept until shortly before
 * it ends, or until the server refuses it. It is a credential and no answer of the target, so keeping it caches nothing.
 */
export function createRealmHttp(
  config: IdentityProviderConfig,
  baseUrl: string,
  secret: Secret,
  tls: HttpTls | undefined,
): HttpClient {
  let token: { readonly value: Secret; readonly until: number } | undefined;
  const ask = async (operation: string, ctx: OperationContext): Promise<Secret> => {
    const form = {
      grant_type: 'client_credentials',
      client_id: config.client.id,
      client_secret: secret.reveal(),
    };
    const answer = asObject((await http.send(tokenCall(baseUrl, config.realm, operation, form), ctx)).body);
    const [value, seconds] = [answer['access_token'], answer['expires_in']];
    if (typeof value !== 'string' || typeof seconds !== 'number') {
      throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'malformed-token' });
    }
    token = { value: new Secret(value), until: Date.now() + seconds * 1000 - TOKEN_MARGIN_MS };
    return token.value;
  };
  const http = new HttpClient({
    timeoutMs: config.requestTimeoutMs,
    ...(tls === undefined ? {} : { tls }),
    authorize: async (call, ctx) => {
      const value = token !== undefined && token.until > Date.now() ? token.value : await ask(call.operation, ctx);
      return { authorization: `Bearer ${value.reveal()}` };
    },
    classify: (call, answer) => {
      if (answer.status === 401) token = undefined;
      return meaningOf(call, answer);
    },
  });
  return http;
}

/** A request for a token; it changes nothing that Tenure manages, and a lost answer is no lost write. */
export function tokenCall(
  baseUrl: string,
  realm: string,
  operation: string,
  form: Readonly<Record<string, string>>,
  endpoint = 'token',
): HttpCall {
  return {
    operation,
    method: 'POST',
    url: `${baseUrl}/realms/${encodeURIComponent(realm)}/protocol/openid-connect/${endpoint}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    anonymous: true,
    write: false,
  };
}

/** What Keycloak's answers say better than their status. Its texts may hold values; only codes are kept. */
function meaningOf(call: HttpCall, answer: HttpAnswer): ReturnType<NonNullable<HttpOptionsClassify>> {
  const body = asObject(answer.body);
  if (call.anonymous === true) {
    // The token endpoint says 400 or 401 to a client that it does not know, or not by this secret (RFC 6749, 5.2).
    const error = body['error'];
    const isOurs = error === 'invalid_client' || error === 'unauthorized_client';
    return isOurs ? { code: 'UNAUTHENTICATED', targetCode: error } : {};
  }
  if (answer.status === 409) return { code: 'ALREADY_EXISTS' };
  const message = body['errorMessage'];
  return typeof message === 'string' && /^error-[a-z-]{1,60}$/.test(message) ? { targetCode: message } : {};
}
type HttpOptionsClassify = ConstructorParameters<typeof HttpClient>[0]['classify'];

export interface AdminCall {
  readonly operation: string;
  readonly method?: HttpCall['method'];
  /** Below the realm's admin API, parts already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Json;
}

/** A call of the admin API; everything but GET is a write. */
export function admin(
  realm: RealmContext,
  call: AdminCall,
  ctx: OperationContext,
  options: { readonly accept?: readonly number[]; readonly send?: Send } = {},
): Promise<HttpAnswer> {
  const { operation, method = 'GET', path, query, body } = call;
  const search = query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
  const url = `${realm.baseUrl}/admin/realms/${encodeURIComponent(realm.config.realm)}${path}${search}`;
  const request = { operation, method, url, write: method !== 'GET', ...(body === undefined ? {} : { body }) };
  return (options.send ?? realm.http.send)(request, ctx, options.accept ?? []);
}

export function asList(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).map(asObject) : [];
}

export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

export function refOf(realm: RealmContext, nativeId: string): AccountRef {
  return { application: realm.application, objectClass: 'account', nativeId };
}

export function userPath(nativeId: string, rest = ''): string {
  return `/users/${encodeURIComponent(nativeId)}${rest}`;
}

/** The user as the server shows it; undefined when there is none. */
export async function readUser(
  realm: RealmContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
  send?: Send,
): Promise<JsonObject | undefined> {
  requireAccount(ref.objectClass, operation);
  const options = { accept: [404], ...(send === undefined ? {} : { send }) };
  const answer = await admin(realm, { operation, path: userPath(ref.nativeId) }, ctx, options);
  if (answer.status === 404) return undefined;
  const user = asObject(answer.body);
  if (user['id'] !== ref.nativeId) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'malformed-body' });
  }
  return user;
}

/** As readUser; an absent one is NOT_FOUND. */
export async function requireUser(
  realm: RealmContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<JsonObject> {
  const user = await readUser(realm, ref, operation, ctx);
  if (user === undefined) throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  return user;
}

/**
 * Several writes of one operation, in this order. What fails after the first was done is PARTIAL: the same operation
 * again reads what is left and does the rest. What the caller's marker throws passes through.
 */
export async function inOrder(operation: string, ref: AccountRef, writes: readonly (() => Promise<unknown>)[]) {
  let done = 0;
  for (const write of writes) {
    try {
      await write();
      done += 1;
    } catch (error) {
      if (done === 0 || !(error instanceof ConnectorError) || error.code === 'AMBIGUOUS') throw error;
      const { targetCode, retryAfterMs } = error;
      throw new ConnectorError({ code: 'PARTIAL', operation, sent: true, targetCode, retryAfterMs, ref });
    }
  }
}
