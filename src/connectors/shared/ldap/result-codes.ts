import type { ConnectorErrorCode } from '../../errors.js';

/** What LDAP result codes (RFC 4511, appendix A) mean for a caller. What nobody listed is INVALID: a person looks. */
const meanings: Readonly<Record<number, ConnectorErrorCode>> = {
  1: 'UNAVAILABLE',
  3: 'TIMEOUT',
  4: 'FORBIDDEN',
  7: 'UNAUTHENTICATED',
  8: 'UNAUTHENTICATED',
  10: 'UNSUPPORTED',
  11: 'FORBIDDEN',
  12: 'UNSUPPORTED',
  13: 'UNAUTHENTICATED',
  16: 'CONFLICT',
  20: 'CONFLICT',
  32: 'CONFLICT',
  48: 'UNAUTHENTICATED',
  49: 'UNAUTHENTICATED',
  50: 'FORBIDDEN',
  51: 'UNAVAILABLE',
  52: 'UNAVAILABLE',
  54: 'UNSUPPORTED',
  66: 'CONFLICT',
  68: 'ALREADY_EXISTS',
  71: 'UNSUPPORTED',
  80: 'UNAVAILABLE',
  122: 'CONFLICT',
};

export const resultCodes = {
  referral: 10,
  noSuchAttribute: 16,
  constraintViolation: 19,
  attributeOrValueExists: 20,
  noSuchObject: 32,
  invalidCredentials: 49,
  objectClassViolation: 65,
  entryAlreadyExists: 68,
} as const;

/** The result code of a directory's refusal; undefined for anything else (a lost connection, a bug). By shape. */
export function resultCodeOf(error: unknown): number | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** The connector code of a result code. */
export function meaningOf(resultCode: number): ConnectorErrorCode {
  return meanings[resultCode] ?? 'INVALID';
}

/** The code of a runtime error (ECONNREFUSED, a certificate's problem), never its text. */
export function networkCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : 'connection-lost';
}

/** True when a server did not prove who it is: waiting would not help, somebody has to look. */
export function isCertificateProblem(code: string): boolean {
  return /CERT|TLS|SSL|SIGNATURE|ISSUER/.test(code);
}
