import type { OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { ConnectorErrorCode } from '../errors.js';
import { codeOfStatus } from '../shared/http/classify.js';
import type { HttpAnswer, HttpCall, HttpClient, Send } from '../shared/http/client.js';
import { parseRetryAfter } from '../shared/http/retry-after.js';
import type { Authorizer } from '../shared/http/authorizer.js';
import type { RestConfig } from './config.js';
import { places } from './places.js';
import { answerVariables, holds } from './values.js';

/** Sends one call; what `isFine` does not take and the errors of the configuration, or a status of 300 and more, throw. */
export type RestSend = (
  call: HttpCall,
  ctx: OperationContext,
  isFine?: (answer: HttpAnswer) => boolean,
) => Promise<HttpAnswer>;

export interface Transport {
  readonly send: RestSend;
  /** A sender on connections of its own. */
  onOwnConnection<T>(work: (send: RestSend) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const anyError = Array.from({ length: 300 }, (_, index) => 300 + index);

/**
 * The HTTP side of one application: its credential, its error table, its rate headers. A token that is refused is renewed and the call sent again, once and only when
 * the token was not new: 401 says that nothing was done.
 */
export function createTransport(config: RestConfig, http: HttpClient, authorizer: Authorizer): Transport {
  const once = async (send: Send, call: HttpCall, ctx: OperationContext) => {
    const { headers, query, token } = call.anonymous === true ? { headers: {} } : await authorizer.authorize(call, ctx);
    const authorized = { ...call, url: withQuery(call.url, query), headers: { ...headers, ...call.headers } };
    return { answer: await send(authorized, ctx, anyError), token };
  };
  const sendBy =
    (send: Send): RestSend =>
    async (call, ctx, isFine) => {
      let { answer, token } = await once(send, call, ctx);
      if (answer.status === 401 && token !== undefined) {
        authorizer.forget?.(token.value);
        if (!token.isFresh) ({ answer, token } = await once(send, call, ctx));
      }
      if (isFine?.(answer) === true) return answer;
      const failure = failureOf(config, call, answer);
      if (failure !== undefined) throw failure;
      return answer;
    };
  return {
    send: sendBy(http.send),
    onOwnConnection: (work) => http.onOwnConnection((send) => work(sendBy(send))),
    close: async () => {
      await Promise.all([http.close(), authorizer.close?.()]);
    },
  };
}

function withQuery(url: string, pair: readonly [string, string] | undefined): string {
  if (pair === undefined) return url;
  const extended = new URL(url);
  extended.searchParams.set(...pair);
  return extended.href;
}

/** What an answer means: the first row of the error table that fits, else its status (RFC 9110); undefined when it is no error. */
function failureOf(config: RestConfig, call: HttpCall, answer: HttpAnswer): ConnectorError | undefined {
  const variables = answerVariables(answer, config.values);
  const row = config.errors.find(
    (each) =>
      (each.status?.includes(answer.status) ?? each.when !== undefined) &&
      (each.operations?.includes(call.operation) ?? true) &&
      (each.when === undefined || holds(places.answer, each.when, variables)),
  );
  if (row === undefined && answer.status < 300) return undefined;
  const code = row?.code ?? codeByStatus(call, answer.status);
  return new ConnectorError({
    code,
    operation: call.operation,
    sent: call.write,
    targetCode: `http-${answer.status}`,
    retryAfterMs: retryAfterOf(config, answer),
    attribute: row?.attribute,
  });
}

/** 404 of a read may be a wrong path as well: it never means "no such account" by itself. */
function codeByStatus(call: HttpCall, status: number): ConnectorErrorCode {
  const code = codeOfStatus(call, status);
  return code === 'NOT_FOUND' && !call.write ? 'UNAVAILABLE' : code;
}

function retryAfterOf(config: RestConfig, answer: HttpAnswer): number | undefined {
  const retryAfter = parseRetryAfter(answer.headers['retry-after']);
  const { rate } = config;
  if (retryAfter !== undefined || rate === undefined) return retryAfter;
  const text = answer.headers[rate.resetHeader.toLowerCase()]?.trim() ?? '';
  if (!/^\d{1,15}(\.\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  switch (rate.unit) {
    case 'epoch-seconds':
      return Math.max(0, value * 1000 - Date.now());
    case 'epoch-ms':
      return Math.max(0, value - Date.now());
    case 'seconds':
      return value * 1000;
    case 'ms':
      return value;
  }
}
