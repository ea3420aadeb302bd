import { ConnectorError } from '../../errors.js';
import type { ConnectorErrorCode } from '../../errors.js';
import type { HttpCall } from './client.js';

const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRREFUSED',
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'FINGERPRINT_MISMATCH',
]);

/** What it means that no whole answer came: nothing left, or a write is without an answer. */
export function networkFailure(call: HttpCall, error: unknown, aborted: boolean): ConnectorError {
  const code = aborted ? 'ABORTED' : codeOf(error);
  if (neverSent.has(code)) {
    return new ConnectorError({ code: 'UNAVAILABLE', operation: call.operation, sent: false, targetCode: code });
  }
  if (call.write) {
    return failureOf(call, 'AMBIGUOUS', code);
  }
  const timedOut = code === 'ABORTED' || /TIMEOUT/.test(code);
  return failureOf(call, timedOut ? 'TIMEOUT' : 'UNAVAILABLE', code);
}

/** The error's own code, by shape: errors of the runtime may come from another realm than this module. */
function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : 'NETWORK';
}

export function failureOf(
  call: HttpCall,
  code: ConnectorErrorCode,
  targetCode: string,
  retryAfterMs?: number,
): ConnectorError {
  return new ConnectorError({ code, operation: call.operation, sent: call.write, targetCode, retryAfterMs });
}

/** What a status means (RFC 9110) where the target's own codes say nothing better. */
export function codeOfStatus(call: Pick<HttpCall, 'method' | 'write'>, status: number): ConnectorErrorCode {
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
