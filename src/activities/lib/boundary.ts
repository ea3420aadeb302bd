import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import type { ConnectorErrorCode } from '../../connectors/errors.js';
import { isConnectorError } from '../../connectors/errors.js';
import { SecretReferenceError } from '../../connectors/secret.js';
import type { FailureType } from '../../domain/process/failure.js';
import { PolicyEvaluationError } from '../../domain/policy/expressions.js';
import { RETRYABLE, isFailureType } from '../../domain/process/failure.js';

/** What became of an error at the boundary: the failure type decides, everything else helps a person. */
export interface Classified {
  readonly type: FailureType;
  /** Short code for rows, search attributes and task lists; never personal. */
  readonly code: string;
  readonly retryAfterMs?: number;
  readonly attribute?: string;
  /** A write may have reached the target. */
  readonly sent: boolean;
}

/** Raised inside activities when a decision of ours, not the target, stops the work. */
export class TenureError extends Error {
  constructor(
    readonly type: FailureType,
    readonly code: string,
    readonly retryAfterMs?: number,
  ) {
    super(`${type} (${code})`);
    this.name = 'TenureError';
  }
}

const TYPE_OF: Readonly<Record<ConnectorErrorCode, FailureType>> = {
  UNAVAILABLE: 'TargetUnavailable',
  TIMEOUT: 'TargetUnavailable',
  RATE_LIMITED: 'TargetRateLimited',
  AMBIGUOUS: 'OutcomeUnknown',
  CONFLICT: 'StaleState',
  ALREADY_EXISTS: 'AccountCollision',
  NOT_FOUND: 'AccountMissing',
  INVALID: 'AttributeRejected',
  UNAUTHENTICATED: 'TargetAccessDenied',
  FORBIDDEN: 'TargetAccessDenied',
  UNSUPPORTED: 'CapabilityMissing',
  PARTIAL: 'PartiallyApplied',
};

/** The one table from connector errors to failure types (style.md section 7). Anything unknown is `Unexpected`: retried, and shown as a bug. */
export function classify(error: unknown): Classified {
  if (error instanceof TenureError)
    return {
      type: error.type,
      code: error.code,
      sent: false,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    };
  if (isConnectorError(error))
    return {
      type: TYPE_OF[error.code],
      code: error.targetCode === undefined ? error.code : `${error.code}/${error.targetCode}`,
      sent: error.sent,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
      ...(error.attribute === undefined ? {} : { attribute: error.attribute }),
    };
  // Whoever keeps the secret cannot be asked now: as if the target could not.
  if (error instanceof SecretReferenceError)
    return error.temporary
      ? { type: 'TargetUnavailable', code: 'secrets-unavailable', sent: false }
      : { type: 'TargetAccessDenied', code: 'secret-missing', sent: false };
  // Repeating it gives the same: somebody has to put the policy right.
  if (error instanceof PolicyEvaluationError)
    return { type: 'PolicyViolation', code: 'expression-failed', sent: false };
  if (error instanceof Error && error.name === 'AbortError')
    return { type: 'OutcomeUnknown', code: 'ABORTED', sent: true };
  return { type: 'Unexpected', code: error instanceof Error ? error.name : 'unknown', sent: true };
}

/** The Temporal failure of a classification: type and code, no values, no stack of a client library. */
export function failureOf(classified: Classified): ApplicationFailure {
  const expected = RETRYABLE.has(classified.type) && classified.type !== 'Unexpected';
  return ApplicationFailure.create({
    type: classified.type,
    message: `${classified.type}: ${classified.code}`,
    nonRetryable: !RETRYABLE.has(classified.type),
    details: [{ code: classified.code }],
    ...(classified.retryAfterMs === undefined ? {} : { nextRetryDelay: classified.retryAfterMs }),
    ...(expected ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
}

/**
 * Wraps an activity so that whatever it throws leaves as a classified failure: an error text of a database or client library may carry a personal
 * value, so only type and code cross into Temporal (design D7). Cancellation passes unchanged.
 */
export function guarded<A extends unknown[], R>(
  run: (...args: A) => Promise<R>,
  onUnexpected: (error: unknown) => void,
): (...args: A) => Promise<R> {
  return async (...args) => {
    try {
      return await run(...args);
    } catch (error) {
      if (error instanceof ApplicationFailure && isFailureType(error.type)) throw error;
      if (error instanceof Error && error.name === 'CancelledFailure') throw error;
      const classified = classify(error);
      if (classified.type === 'Unexpected') onUnexpected(error);
      throw failureOf(classified);
    }
  };
}
