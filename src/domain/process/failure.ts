/**
 * The closed list of failure types (style.md section 7). `ApplicationFailure.type` carries one of them, decisions match on the type and never on a message.
 * Messages carry no attribute values.
 */
export const FAILURE_TYPES = [
  'TargetUnavailable',
  'TargetRateLimited',
  'OutcomeUnknown',
  'VerificationPending',
  'StaleState',
  'AccountCollision',
  'AccountMissing',
  'AttributeRejected',
  'TargetAccessDenied',
  'CapabilityMissing',
  'PartiallyApplied',
  'VerificationRefuted',
  'GenerationOutdated',
  'PolicyViolation',
  'GuardTripped',
  'ApprovalExpired',
  'EventSuperseded',
  'NotFound',
  'NotYourDecision',
  'AlreadyDecided',
  'DeadlinePassed',
  'Unexpected',
] as const;
export type FailureType = (typeof FAILURE_TYPES)[number];

/** Types that Temporal goes on retrying; every other one becomes a decision (operator task, replan, manual fulfilment). */
export const RETRYABLE: ReadonlySet<FailureType> = new Set<FailureType>([
  'TargetUnavailable',
  'TargetRateLimited',
  'OutcomeUnknown',
  'VerificationPending',
  'Unexpected',
]);

export function isFailureType(value: unknown): value is FailureType {
  return typeof value === 'string' && (FAILURE_TYPES as readonly string[]).includes(value);
}
