import { createHash } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import type { OperationContext } from '../../connector.js';
import type { ConnectorErrorCode } from '../../errors.js';
import { timeLimit } from '../time-limit.js';
import { codeOfStatus, failureOf, networkFailure } from './classify.js';
import { guardedLookup } from './guard.js';
import { parseRetryAfter } from './retry-after.js';
import type { Json } from './json.js';

export interface HttpCall {
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: string;
  /** JSON; text goes as it is, with a content type of its own in `headers`. */
  readonly body?: Json;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without the target's own credential: a person's sign-in. */
  readonly anonymous?: boolean;
  /** The answer may be any text, for instance a page: what is no JSON comes back as it is. */
  readonly textAnswer?: boolean;
  /** Writes await the caller's marker and become AMBIGUOUS when their answer is lost. */
  readonly write: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  /** Parsed JSON; undefined when there is no body, or none that can be read. */
  readonly body: Json | undefined;
  /** By lower-case name; of several with one name the first, but all of `set-cookie`, one a line. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface HttpOptions {
  /** Per request; the caller's deadline may be nearer. */
  readonly timeoutMs: number;
  readonly connections?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** The headers that carry the target's credential, made anew for every request. May ask the target for a token. */
  authorize?(call: HttpCall, ctx: OperationContext): Promise<Readonly<Record<string, string>>>;
  /** The target answered 401 to this credential: whether a new one is worth another try. 401 says that nothing was done. */
  refused?(credential: Readonly<Record<string, string>>): boolean;
  /** The target's own meaning of an answer of status 300 and more; undefined: what the status says. */
  classify?(call: HttpCall, answer: HttpAnswer): { readonly code?: ConnectorErrorCode; readonly targetCode?: string };
  /** The delay that an answer asks for where it has no Retry-After. */
  delay?(answer: HttpAnswer): number | undefined;
  readonly tls?: HttpTls;
}

export interface HttpTls {
  /** PEM of the certificate authority; when given, no other is trusted. */
  readonly ca?: string;
  /** SHA-256 of the server's own certificate, in hexadecimal. */
  readonly fingerprint?: string;
  /** The client's certificate, for mutual TLS. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
}

export type Send = (call: HttpCall, ctx: OperationContext, accept?: readonly number[]) => Promise<HttpAnswer>;

/** An answer is read up to this size. */
const MAX_BODY_BYTES = 32 * 2 ** 20;
/** Shorter than what servers and load balancers keep: an idle connection is closed here before it dies there. */
const KEEP_ALIVE_MS = 4_000;

/** The HTTP side of one target: sends once, never retries, never follows redirects, classifies what comes back. */
export class HttpClient {
  readonly #options: HttpOptions;
  readonly #main: Agent;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#main = this.#newAgent(options.connections ?? 8);
  }

  #newAgent(connections: number): Agent {
    const { timeoutMs, tls } = this.#options;
    return new Agent({
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxResponseSize: MAX_BODY_BYTES,
      connect: { timeout: timeoutMs, lookup: guardedLookup, ...tlsOptions(tls) },
    });
  }

  close(): Promise<void> {
    return this.#main.close();
  }

  /** Sends one call; answers of any status below 300, and of the `accept`ed ones, come back, others throw. */
  readonly send: Send = (call, ctx, accept = []) => this.#sendOn(this.#main, call, ctx, accept);

  /** Runs `work` with a sender on connections of its own, closed afterwards: the road of verification and probes. */
  async onOwnConnection<T>(work: (send: Send) => Promise<T>): Promise<T> {
    const agent = this.#newAgent(1);
    try {
      return await work((call, ctx, accept = []) => this.#sendOn(agent, call, ctx, accept));
    } finally {
      await agent.destroy();
    }
  }

  async #sendOn(agent: Agent, call: HttpCall, ctx: OperationContext, accept: readonly number[]): Promise<HttpAnswer> {
    const authorize = async () => (call.anonymous === true ? {} : ((await this.#options.authorize?.(call, ctx)) ?? {}));
    const credential = await authorize();
    if (call.write) {
      await ctx.sentMarker?.();
    }
    const limit = timeLimit(ctx, call.operation, this.#options.timeoutMs);
    const answered = async () => {
      const first = await this.#exchange(agent, call, credential, limit.signal);
      const isStale = first.status === 401 && call.anonymous !== true && this.#options.refused?.(credential) === true;
      return isStale ? this.#exchange(agent, call, await authorize(), limit.signal) : first;
    };
    const { malformed, ...answer } = await answered().finally(limit.end);
    if (answer.status >= 300 && !accept.includes(answer.status)) {
      const meant = this.#options.classify?.(call, answer) ?? {};
      const code = meant.code ?? codeOfStatus(call, answer.status);
      const retryAfterMs = parseRetryAfter(answer.headers['retry-after']) ?? this.#options.delay?.(answer);
      throw failureOf(call, code, meant.targetCode ?? `http-${answer.status}`, retryAfterMs);
    }
    if (malformed && !accept.includes(answer.status)) {
      // A write was applied but its answer cannot be read; only a new read can tell what is there now.
      throw failureOf(call, call.write && call.method !== 'DELETE' ? 'AMBIGUOUS' : 'UNAVAILABLE', 'malformed-body');
    }
    return answer;
  }

  async #exchange(
    agent: Agent,
    call: HttpCall,
    credential: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpAnswer & { malformed: boolean }> {
    const { timeoutMs, headers } = this.#options;
    try {
      const response = await request(call.url, {
        dispatcher: agent,
        method: call.method,
        signal,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        headers: {
          accept: 'application/json',
          ...(call.body === undefined || typeof call.body === 'string' ? {} : { 'content-type': 'application/json' }),
          ...headers,
          ...credential,
          ...call.headers,
        },
        ...(call.body === undefined
          ? {}
          : { body: typeof call.body === 'string' ? call.body : JSON.stringify(call.body) }),
      });
      const text = await response.body.text();
      const body = parseJson(text) ?? (call.textAnswer === true && text !== '' ? text : undefined);
      return {
        status: response.statusCode,
        body,
        malformed: text !== '' && body === undefined,
        headers: plainHeaders(response.headers),
      };
    } catch (error) {
      throw networkFailure(call, error, signal.aborted);
    }
  }
}

function tlsOptions(tls: HttpTls | undefined) {
  if (tls === undefined) return {};
  const { ca, fingerprint, clientCertificate } = tls;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...clientCertificate,
    ...(fingerprint === undefined
      ? {}
      : {
          checkServerIdentity: (host: string, certificate: PeerCertificate) => {
            const seen = createHash('sha256').update(certificate.raw).digest('hex');
            return seen === fingerprint.replaceAll(':', '').toLowerCase()
              ? checkServerIdentity(host, certificate)
              : Object.assign(new Error('another certificate'), { code: 'FINGERPRINT_MISMATCH' });
          },
        }),
  };
}

function parseJson(text: string): Json | undefined {
  try {
    return text === '' ? undefined : (JSON.parse(text) as Json);
  } catch {
    return undefined;
  }
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => {
      const plain = !Array.isArray(value) ? value : name === 'set-cookie' ? value.join('\n') : value[0];
      return plain === undefined ? [] : [[name, plain]];
    }),
  );
}
