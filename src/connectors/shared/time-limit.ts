import type { OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';

export interface TimeLimit {
  /** Aborts when the caller cancels, at the caller's deadline, and after the connector's own limit. */
  readonly signal: AbortSignal;
  readonly remainingMs: number;
}

/**
 * The time an operation may still take: the caller's signal and deadline, and the connector's own limit per request.
 * Throws TIMEOUT (not sent) when nothing is left, so that no request leaves after a cancel.
 */
export function timeLimit(ctx: OperationContext, operation: string, maxMs: number): TimeLimit {
  const deadlineMs = Date.parse(ctx.deadline) - Date.now();
  const remainingMs = Math.min(Number.isNaN(deadlineMs) ? maxMs : deadlineMs, maxMs);
  if (ctx.signal.aborted || remainingMs <= 0) {
    throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
  }
  return { signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(Math.ceil(remainingMs))]), remainingMs };
}
