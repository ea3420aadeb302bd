import type { OperationContext } from '../../connector.js';
import { ConnectorError, isConnectorError } from '../../errors.js';
import { Secret } from '../../secret.js';
import { failureOf } from '../http/classify.js';
import { HttpClient } from '../http/client.js';
import type { HttpCall, HttpTls, Send } from '../http/client.js';
import type { Json, JsonObject } from '../http/json.js';
import { asObject } from '../http/json.js';

/** How Tenure proves to a Vault who it is. */
export type VaultCredential =
  | { readonly how: 'token'; readonly token: Secret }
  | { readonly how: 'approle'; readonly roleId: Secret; readonly secretId: Secret; readonly mount: string }
  /** The methods `jwt` and `kubernetes` take the same. */
  | { readonly how: 'jwt'; readonly role: string; readonly jwt: Secret; readonly mount: string };

export interface VaultServer {
  /** Without a trailing slash and without `/v1`. */
  readonly address: string;
  readonly namespace?: string | undefined;
  readonly credential: VaultCredential;
  readonly tls?: HttpTls | undefined;
  readonly timeoutMs: number;
}

export interface VaultRequest {
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below `/v1/`, encoded. */
  readonly path: string;
  readonly body?: Json;
  /** Lookups are POSTs that write nothing. */
  readonly write?: true;
  readonly anonymous?: true;
  /** Statuses above 299 that are answers. */
  readonly accept?: readonly number[];
}

export interface VaultReply {
  readonly status: number;
  /** What most answers hold; empty when there is none. */
  readonly data: JsonObject;
  readonly body: JsonObject;
}

export interface VaultClient {
  /** Sends once. Raises UNAUTHENTICATED where the server no longer knows the token, FORBIDDEN where its policies do not suffice. */
  send(request: VaultRequest, ctx: OperationContext, road?: Send): Promise<VaultReply>;
  urlOf(path: string): string;
  /** Runs `work` on a connection of its own. */
  onOwnConnection<T>(work: (road: Send) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A token is asked for anew when this share of its life is over. */
const RENEW_AT = 0.8;

/** The HTTP side of one Vault (or OpenBao). Keeps no answer; of a login it keeps the token for as long as that lives. */
export function createVaultClient(server: VaultServer): VaultClient {
  const headers = {
    'x-vault-request': 'true',
    ...(server.namespace === undefined ? {} : { 'x-vault-namespace': server.namespace }),
  };
  const options = {
    timeoutMs: server.timeoutMs,
    headers,
    ...(server.tls === undefined ? {} : { tls: server.tls }),
  };
  const plain = new HttpClient({ ...options, connections: 1 });
  const token = tokenSource(server, plain);
  const http = new HttpClient({
    ...options,
    authorize: async (_call, ctx) => ({ 'x-vault-token': (await token.get(ctx)).reveal() }),
  });
  return {
    send: async (request, ctx, road = http.send) => {
      const call = callOf(server, request);
      try {
        const answer = await road(call, ctx, request.accept);
        const body = asObject(answer.body);
        return { status: answer.status, data: asObject(body['data']), body };
      } catch (error) {
        if (!isConnectorError(error) || error.code !== 'FORBIDDEN' || request.anonymous === true) throw error;
        // Vault answers 403 to an unknown token and to a missing right; only the token's own lookup tells which.
        if (await isKnown(server, ctx, road)) throw error;
        token.forget();
        throw failureOf(call, 'UNAUTHENTICATED', 'http-403');
      }
    },
    urlOf: (path) => urlOf(server, path),
    onOwnConnection: (work) => http.onOwnConnection(work),
    close: async () => {
      await Promise.all([http.close(), plain.close()]);
    },
  };
}

function urlOf(server: VaultServer, path: string): string {
  return `${server.address}/v1/${path}`;
}

function callOf(server: VaultServer, request: VaultRequest): HttpCall {
  const { operation, method, path, body, write, anonymous } = request;
  return {
    operation,
    method,
    url: urlOf(server, path),
    write: write === true,
    ...(body === undefined ? {} : { body }),
    ...(anonymous === undefined ? {} : { anonymous }),
  };
}

async function isKnown(server: VaultServer, ctx: OperationContext, road: Send): Promise<boolean> {
  const url = urlOf(server, 'auth/token/lookup-self');
  const answer = await road({ operation: 'health', method: 'GET', url, write: false }, ctx, [403]);
  return answer.status !== 403;
}

interface TokenSource {
  get(ctx: OperationContext): Promise<Secret>;
  forget(): void;
}

function tokenSource(server: VaultServer, http: HttpClient): TokenSource {
  const { credential } = server;
  if (credential.how === 'token') return { get: () => Promise.resolve(credential.token), forget: () => undefined };
  let held: { readonly token: Secret; readonly until: number } | undefined;
  return {
    get: async (ctx) => {
      if (held === undefined || held.until <= Date.now()) held = await login(server, credential, http, ctx);
      return held.token;
    },
    forget: () => {
      held = undefined;
    },
  };
}

/** Logs in. To a wrong role, secret id or JWT Vault answers 400 or 403, and 1.13 also 500; the words tell that from a server in trouble. */
async function login(
  server: VaultServer,
  credential: Exclude<VaultCredential, { readonly how: 'token' }>,
  http: HttpClient,
  ctx: OperationContext,
): Promise<{ readonly token: Secret; readonly until: number }> {
  const url = urlOf(server, `auth/${credential.mount}/login`);
  const body =
    credential.how === 'approle'
      ? { role_id: credential.roleId.reveal(), secret_id: credential.secretId.reveal() }
      : { role: credential.role, jwt: credential.jwt.reveal() };
  const call = { operation: 'login', method: 'POST', url, body, anonymous: true, write: false } as const;
  const answer = await http.send(call, ctx, [400, 403, 500]);
  const said = JSON.stringify(asObject(answer.body)['errors'] ?? null);
  if (answer.status === 500 && !/invalid (role|secret)/i.test(said)) throw failureOf(call, 'UNAVAILABLE', 'http-500');
  const auth = asObject(asObject(answer.body)['auth']);
  const [token, seconds] = [auth['client_token'], auth['lease_duration']];
  if (typeof token !== 'string' || token === '') {
    throw new ConnectorError({
      code: 'UNAUTHENTICATED',
      operation: 'login',
      sent: false,
      targetCode: `http-${answer.status} ${credential.how}`,
    });
  }
  const lifeMs = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 * RENEW_AT : Number.POSITIVE_INFINITY;
  return { token: new Secret(token), until: Date.now() + lifeMs };
}

/** A path given by configuration, each part encoded; slashes stay. */
export function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
