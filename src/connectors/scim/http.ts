import type { Authorization, Authorizer } from '../shared/http/authorizer.js';
import { codeOfStatus } from '../shared/http/classify.js';
import { HttpClient } from '../shared/http/client.js';
import type { HttpAnswer, HttpTls } from '../shared/http/client.js';
import { parseRateReset } from '../shared/http/retry-after.js';
import type { QuirkFlags } from './quirks.js';
import { asObject } from '../shared/http/json.js';

/**
 * The HTTP side of one SCIM server: its media type, its credential, and its error types (RFC 7644, 3.12). A token that is refused is renewed and the
 * call sent again, once and only when the token was not new.
 */
export function createScimHttp(
  authorizer: Authorizer,
  timeoutMs: number,
  quirks: QuirkFlags,
  tls?: HttpTls,
): HttpClient {
  const tokens = new WeakMap<object, NonNullable<Authorization['token']>>();
  return new HttpClient({
    timeoutMs,
    ...(tls === undefined ? {} : { tls }),
    headers: { accept: 'application/scim+json, application/json', 'content-type': 'application/scim+json' },
    authorize: async (call, ctx) => {
      const { headers, token } = await authorizer.authorize(call, ctx);
      if (token !== undefined) tokens.set(headers, token);
      return headers;
    },
    refused: (credential) => {
      const token = tokens.get(credential);
      if (token === undefined) return false;
      authorizer.forget?.(token.value);
      return !token.isFresh;
    },
    ...(quirks.rateHeaders === true ? { delay: (answer: HttpAnswer) => resetAfter(answer) } : {}),
    classify: (call, answer) => {
      const scimType = scimTypeOf(answer);
      const spent = quirks.rateHeaders === true && answer.status === 403 && isSpent(answer);
      const isTaken = quirks.conflictMeansTaken === true && answer.status === 409 && /\/Users(\/|$)/.test(call.url);
      const code =
        scimType === 'uniqueness' || (scimType === undefined && isTaken)
          ? 'ALREADY_EXISTS'
          : spent
            ? 'RATE_LIMITED'
            : codeOfStatus(call, answer.status);
      return { code, targetCode: `http-${answer.status}${scimType === undefined ? '' : ` ${scimType}`}` };
    },
  });
}

function scimTypeOf(answer: HttpAnswer): string | undefined {
  const scimType = asObject(answer.body)['scimType'];
  return typeof scimType === 'string' && /^[a-zA-Z]{1,30}$/.test(scimType) ? scimType : undefined;
}

function isSpent(answer: HttpAnswer): boolean {
  return ['x-ratelimit-remaining', 'x-rate-limit-remaining', 'ratelimit-remaining'].some(
    (name) => answer.headers[name] === '0',
  );
}

/** Of answers that refuse for the rate alone: on others the headers tell of the next window, not of this failure. */
function resetAfter(answer: HttpAnswer): number | undefined {
  return answer.status === 429 || (answer.status === 403 && isSpent(answer))
    ? parseRateReset(answer.headers)
    : undefined;
}
