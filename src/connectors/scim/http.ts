import { Agent, request } from 'undici';
import type { OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { ConnectorErrorCode } from '../errors.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { Json, JsonObject } from './paths.js';
import { asObject } from './paths.js';

export interface HttpCall {
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  readonly body?: JsonObject;
  readonly ifMatch?: string | undefined;
  /** Absent = the connector's own token; null = no credentials (a person's sign-in). */
  readonly bearer?: Secret | null;
  /** Writes await the caller's marker and become AMBIGUOUS when their answer is lost. */
  readonly write: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Json | undefined;
  readonly location: string | undefined;
  readonly version: string | undefined;
}

/** The HTTP side of one SCIM server: sends once, never retries, never follows redirects, classifies what comes back. */
export class ScimHttp {
  readonly #token: Secret;
  readonly #timeoutMs: number;
  readonly #main: Agent;
  readonly #agents: Agent[] = [];

  constructor(token: Secret, timeoutMs: number) {
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#main = this.#newAgent(8);
  }

  #newAgent(connections: number): Agent {
    const agent = new Agent({ connections, pipelining: 1, connect: { timeout: this.#timeoutMs } });
    this.#agents.push(agent);
    return agent;
  }

  async close(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.close()));
  }

  /** Sends one call; answers of any status below 300, and of the `accept`ed ones, come back, others throw. */
  async send(call: HttpCall, ctx: OperationContext, accept: readonly number[] = []): Promise<HttpAnswer> {
    return this.#sendOn(this.#main, call, ctx, accept);
  }

  /** Runs `work` with a sender on connections of its own, closed afterwards: the road of verification and probes. */
  async onOwnConnection<T>(work: (send: ScimHttp['send']) => Promise<T>): Promise<T> {
    const agent = new Agent({ connections: 1, pipelining: 1, connect: { timeout: this.#timeoutMs } });
    try {
      return await work((call, ctx, accept = []) => this.#sendOn(agent, call, ctx, accept));
    } finally {
      await agent.destroy();
    }
  }

  async #sendOn(agent: Agent, call: HttpCall, ctx: OperationContext, accept: readonly number[]): Promise<HttpAnswer> {
    if (call.write) {
      await ctx.sentMarker?.();
    }
    const limit = timeLimit(ctx, call.operation, this.#timeoutMs);
    const answer = await this.#exchange(agent, call, limit.signal);
    if (answer.status < 300 || accept.includes(answer.status)) {
      if (answer.malformed && !accept.includes(answer.status)) {
        // A write was applied but its answer cannot be read; only a new read can tell what is there now.
        throw failure(call, call.write && call.method !== 'DELETE' ? 'AMBIGUOUS' : 'UNAVAILABLE', 'malformed-body');
      }
      return answer;
    }
    throw failureOf(call, answer);
  }

  async #exchange(
    agent: Agent,
    call: HttpCall,
    signal: AbortSignal,
  ): Promise<HttpAnswer & { malformed: boolean; retryAfter: string | undefined }> {
    const bearer = call.bearer === undefined ? this.#token : call.bearer;
    try {
      const response = await request(call.url, {
        dispatcher: agent,
        method: call.method,
        signal,
        headersTimeout: this.#timeoutMs,
        bodyTimeout: this.#timeoutMs,
        headers: {
          accept: 'application/scim+json, application/json',
          ...(bearer === null ? {} : { authorization: `Bearer ${bearer.reveal()}` }),
          ...(call.body === undefined ? {} : { 'content-type': 'application/scim+json' }),
          ...(call.ifMatch === undefined ? {} : { 'if-match': call.ifMatch }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      });
      const text = await response.body.text();
      const parsed = parseJson(text);
      return {
        status: response.statusCode,
        body: parsed,
        malformed: text !== '' && parsed === undefined,
        location: single(response.headers['location']),
        version: single(response.headers['etag']),
        retryAfter: single(response.headers['retry-after']),
      };
    } catch (error) {
      throw networkFailure(call, error, signal.aborted);
    }
  }
}

function parseJson(text: string): Json | undefined {
  try {
    return text === '' ? undefined : (JSON.parse(text) as Json);
  } catch {
    return undefined;
  }
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

function networkFailure(call: HttpCall, error: unknown, aborted: boolean): ConnectorError {
  const code = aborted ? 'ABORTED' : codeOf(error);
  if (neverSent.has(code)) {
    return new ConnectorError({ code: 'UNAVAILABLE', operation: call.operation, sent: false, targetCode: code });
  }
  if (call.write) {
    return failure(call, 'AMBIGUOUS', code);
  }
  const timedOut = code === 'ABORTED' || /TIMEOUT/.test(code);
  return failure(call, timedOut ? 'TIMEOUT' : 'UNAVAILABLE', code);
}

/** The error's own code, by shape: errors of the runtime may come from another realm than this module. */
function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : 'NETWORK';
}

function failure(call: HttpCall, code: ConnectorErrorCode, targetCode: string, retryAfterMs?: number): ConnectorError {
  return new ConnectorError({ code, operation: call.operation, sent: call.write, targetCode, retryAfterMs });
}

function failureOf(call: HttpCall, answer: HttpAnswer & { retryAfter: string | undefined }): ConnectorError {
  const scimType = asObject(answer.body)['scimType'];
  const known = typeof scimType === 'string' && /^[a-zA-Z]{1,30}$/.test(scimType) ? scimType : undefined;
  const targetCode = known === undefined ? `http-${answer.status}` : `http-${answer.status} ${known}`;
  return failure(call, codeOfStatus(call, answer.status, known), targetCode, parseRetryAfter(answer.retryAfter));
}

function codeOfStatus(call: HttpCall, status: number, scimType: string | undefined): ConnectorErrorCode {
  if (scimType === 'uniqueness') {
    return 'ALREADY_EXISTS';
  }
  switch (status) {
    case 401:
      return 'UNAUTHENTICATED';
    case 403:
      return 'FORBIDDEN';
    case 404:
    case 410:
      return 'NOT_FOUND';
    case 405:
    case 501:
      return 'UNSUPPORTED';
    case 409:
      return call.method === 'POST' ? 'ALREADY_EXISTS' : 'CONFLICT';
    case 412:
    case 428:
      return 'CONFLICT';
    case 429:
      return 'RATE_LIMITED';
    case 408:
    case 503:
      return 'UNAVAILABLE';
    default:
      break;
  }
  if (status >= 500) {
    // The server may have acted before it failed; only a read can tell.
    return call.write ? 'AMBIGUOUS' : 'UNAVAILABLE';
  }
  return status >= 400 ? 'INVALID' : 'UNAVAILABLE';
}

/** Milliseconds from a Retry-After header, in seconds or as an HTTP date; undefined when it is neither. */
export function parseRetryAfter(header: string | undefined, nowMs: number = Date.now()): number | undefined {
  if (header === undefined) {
    return undefined;
  }
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) {
    return Number(text) * 1000;
  }
  const at = /[A-Za-z]/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
