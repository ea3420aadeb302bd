/** The closed list of what a connector may report; what each means for retries is fixed in one table by the activities. */
export const connectorErrorCodes = [
  'UNAVAILABLE',
  'TIMEOUT',
  'RATE_LIMITED',
  'AMBIGUOUS',
  'CONFLICT',
  'ALREADY_EXISTS',
  'NOT_FOUND',
  'INVALID',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'UNSUPPORTED',
  'PARTIAL',
] as const;

export type ConnectorErrorCode = (typeof connectorErrorCodes)[number];

/** Names an account without importing the interface (which imports this file). */
interface ErrorRef {
  readonly application: string;
  readonly objectClass: string;
  readonly nativeId: string;
}

export interface ConnectorErrorDetails {
  readonly code: ConnectorErrorCode;
  /** The connector operation, for instance `create`. */
  readonly operation: string;
  /** True when at least one byte of a write may have reached the target. */
  readonly sent: boolean;
  /** The target's own code: HTTP status, SQLSTATE, SCIM error type. Never text of the target. */
  readonly targetCode?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly ref?: ErrorRef | undefined;
  /** The name of the attribute that was refused, never its value. */
  readonly attribute?: string | undefined;
}

/**
 * The only error a connector throws. Its message is built from codes and names alone: no attribute value, login,
 * native id or target text can get into it. The exception is what a caller's own `sentMarker` throws (the fence):
 * that passes through a connector unchanged.
 */
export class ConnectorError extends Error {
  readonly code: ConnectorErrorCode;
  readonly operation: string;
  readonly sent: boolean;
  readonly targetCode: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly ref: ErrorRef | undefined;
  readonly attribute: string | undefined;

  constructor(details: ConnectorErrorDetails) {
    super(messageOf(details));
    this.name = 'ConnectorError';
    this.code = details.code;
    this.operation = details.operation;
    this.sent = details.sent;
    this.targetCode = details.targetCode;
    this.retryAfterMs = details.retryAfterMs;
    this.attribute = details.attribute;
    this.ref = details.ref;
    // Not enumerable: a native id may be personal at some targets, and loggers print enumerable fields.
    // There is no `cause` on purpose: a client's own error holds the target's text.
    Object.defineProperty(this, 'ref', { value: details.ref, enumerable: false });
  }
}

function messageOf(details: ConnectorErrorDetails): string {
  const target = details.targetCode === undefined ? '' : `, target code ${details.targetCode}`;
  const attribute = details.attribute === undefined ? '' : `, attribute ${details.attribute}`;
  const sent = details.sent ? 'sent' : 'not sent';
  return `${details.operation}: ${details.code} (${sent}${target}${attribute})`;
}

/** True for a ConnectorError, by shape as well as by class, so that a second copy of this module does not matter. */
export function isConnectorError(error: unknown): error is ConnectorError {
  return (
    error instanceof ConnectorError || (error instanceof Error && error.name === 'ConnectorError' && 'code' in error)
  );
}

/** Thrown when an application's connector configuration is wrong. Names every problem by path; carries no values. */
export class ConnectorConfigError extends Error {
  readonly problems: readonly string[];

  constructor(application: string, problems: readonly string[]) {
    super(`configuration of application ${application}: ${problems.join('; ')}`);
    this.name = 'ConnectorConfigError';
    this.problems = problems;
  }
}
