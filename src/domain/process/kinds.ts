/** The closed lists that processes, plans, tables and the API share. */

/** Every transition the ledger can yield (design D1). */
export const TRANSITION_KINDS = [
  'joiner',
  'rehire',
  'mover',
  'name-change',
  'conversion',
  'leaver',
  'rescinded-hire',
  'leave-start',
  'leave-end',
  'migration',
] as const;
export type TransitionKind = (typeof TRANSITION_KINDS)[number];

/** What a process is about: a transition of a person, or a service account that may not be needed any more. */
export type ProcessSubject = TransitionKind | 'service-account';

/** The lifecycle processes (workflow types): those that carry transitions out, and the one that ends service accounts. */
export const PROCESS_KINDS = [
  'joiner',
  'mover',
  'leaver',
  'rehire',
  'leave',
  'operator',
  'service-account',
  'migration',
] as const;
export type ProcessKind = (typeof PROCESS_KINDS)[number];

/**
 * Which process carries out which transition. A name change and a conversion are movers; a rescinded hire is the exact undo of its joiner. `operator`: leaves that
 * opened before they had a process of their own.
 */
export const PROCESS_OF: Readonly<Record<TransitionKind, ProcessKind>> = {
  joiner: 'joiner',
  rehire: 'rehire',
  mover: 'mover',
  'name-change': 'mover',
  conversion: 'mover',
  leaver: 'leaver',
  'rescinded-hire': 'leaver',
  'leave-start': 'leave',
  'leave-end': 'leave',
  migration: 'migration',
};

/**
 * The phases a process goes through, each with its own plan:
 * provision (accounts exist, not usable), activate (usable from the start instant), grant (a mover's new access),
 * revoke (a mover's old access after the grace period), notice (what a leaver loses at once when notice is given),
 * cut (Tier 1), deprovision (Tier 2), handover (Tier 3: what the leaver owns and the mail that still comes), archive and delete (Tier 4),
 * suspend and resume (an extended leave closes accounts, its end opens them again),
 * undo (a rescinded hire), scream-test (a service account is closed to see whether anybody misses it) and restore (it is opened again),
 * coexist, retire and withdraw (a move to another application: the new account beside the old one, the old one closed, both as before).
 */
export const PHASES = [
  'provision',
  'activate',
  'grant',
  'revoke',
  'notice',
  'cut',
  'deprovision',
  'handover',
  'archive',
  'delete',
  'suspend',
  'resume',
  'undo',
  'scream-test',
  'restore',
  'coexist',
  'retire',
  'withdraw',
] as const;
export type Phase = (typeof PHASES)[number];

/** Phases whose writes take access away at once: own queue, own slots, first everywhere, held back by nothing (design D3). */
export const CUTTING_PHASES: ReadonlySet<Phase> = new Set<Phase>(['cut', 'deprovision', 'undo']);

/** Process row states. `tail` = out of the person's queue, only long timers left; a rehire stops it. */
export const PROCESS_STATES = ['running', 'tail', 'completed', 'cancelled', 'superseded'] as const;
export type ProcessState = (typeof PROCESS_STATES)[number];

export const TIERS = ['T1', 'T2', 'T3', 'T4'] as const;
export type Tier = (typeof TIERS)[number];

/** What a plan asks of a connector (capability names are the same words where one exists). */
export const OPERATION_KINDS = [
  'create',
  'update',
  'rename',
  'enable',
  'disable',
  'seal',
  'revoke-sessions',
  'revoke-credentials',
  'check-in',
  'hand-over-credential',
  'add-entitlement',
  'remove-entitlement',
  'transfer-ownership',
  'set-forwarding',
  'archive',
  'anonymise',
  'delete',
  'manual',
] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** What no legal hold lets pass. Closing an account and taking its rights away is none of it: a cut goes on as ever. */
export const DESTROYING: ReadonlySet<OperationKind> = new Set<OperationKind>(['archive', 'anonymise', 'delete']);

/** Phases that do nothing else: under a legal hold they do not begin. */
export const DESTROYING_PHASES: ReadonlySet<Phase> = new Set<Phase>(['archive', 'delete']);

/** Evidence verdicts (design D5). Unknown is never success: it is `pending` while a window is open, else `unprovable`. */
export const VERDICTS = ['proven', 'refuted', 'pending', 'unprovable'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** When a leaver's process makes a report by itself: Tier 1 and 2 are settled, Tier 3 is through, everything is deleted. */
export const REPORT_OCCASIONS = ['access-ended', 'handed-over', 'deleted'] as const;
export type ReportOccasion = (typeof REPORT_OCCASIONS)[number];

/**
 * The steps of a move of one person from one application to another, each a process of its own and named after its phase. The order is that of their transitions'
 * ordinals.
 */
export const MOVE_STEPS = ['coexist', 'retire', 'archive', 'delete', 'withdraw'] as const;
export type MoveStep = (typeof MOVE_STEPS)[number];

/** The move that a migration process is about, by its id. */
export function moveIdOf(processId: string): string {
  return processId.split('/')[0] ?? '';
}

/** The step that a migration process carries out, by its id (`<moveId>/migration/<ordinal>/r<revision>`). */
export function moveStepOf(processId: string): MoveStep {
  const step = MOVE_STEPS[Number(processId.split('/')[2]) - 1];
  if (step === undefined) throw new Error('not a process of a migration');
  return step;
}

/** What a notice tells: that a report was made, or that a contract ends soon. */
export type NoticeKind = ReportOccasion | 'contract-end';
