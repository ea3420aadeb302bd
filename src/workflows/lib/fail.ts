import { ActivityFailure, ApplicationFailure, TimeoutFailure, isCancellation } from '@temporalio/workflow';
import type { FailureType } from '../../domain/process/failure.js';
import { isFailureType } from '../../domain/process/failure.js';

/** A refusal to whoever sent a message: the type says why, and there are no values in it. */
export function refuse(type: FailureType, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true });
}

/** Type and code of what an activity ended with; the outer message is generic and never looked at (style.md section 7). */
export function reasonOf(error: unknown): { readonly type: FailureType; readonly code: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure && isFailureType(cause.type))
    return { type: cause.type, code: codeOf(cause) ?? cause.type };
  if (cause instanceof TimeoutFailure) {
    const inner = cause.cause;
    if (inner instanceof ApplicationFailure && isFailureType(inner.type))
      return { type: inner.type, code: codeOf(inner) ?? 'patience-exhausted' };
    return { type: 'TargetUnavailable', code: 'patience-exhausted' };
  }
  return { type: 'Unexpected', code: 'unexpected' };
}

function codeOf(failure: ApplicationFailure): string | undefined {
  const detail: unknown = failure.details?.[0];
  return typeof detail === 'object' && detail !== null && 'code' in detail && typeof detail.code === 'string'
    ? detail.code
    : undefined;
}

/** First line of a catch: our own cancellation passes. */
export function rethrowIfCancelled(error: unknown): void {
  if (isCancellation(error)) throw error;
}
