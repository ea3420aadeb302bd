import type { VisitId } from './ids.js';

/** How a visit ended, or why it is not over. Codes and ids only: this crosses into Temporal. */
export const SETTLED_OUTCOMES = [
  'proven',
  'unprovable',
  'by-hand',
  'skipped',
  'superseded',
  'stopped',
  'absent',
] as const;
export type SettledOutcome = (typeof SETTLED_OUTCOMES)[number];

export type VisitOutcome =
  | {
      readonly visitId: VisitId;
      readonly application: string;
      readonly kind: 'settled';
      readonly outcome: SettledOutcome;
    }
  /** Leaves the sweep: goes on as an activity of its own, with Temporal's retries, on its application's queue. */
  | {
      readonly visitId: VisitId;
      readonly application: string;
      readonly kind: 'later';
      readonly code: string;
      readonly retryAfterMs: number;
    }
  /** Waits inside the sweep's plan for a visit it depends on. */
  | { readonly visitId: VisitId; readonly application: string; readonly kind: 'blocked' }
  /** A person is asked. */
  | {
      readonly visitId: VisitId;
      readonly application: string;
      readonly kind: 'task';
      readonly type: string;
      readonly code: string;
    }
  /** The account is not what the plan was made for; the phase is planned again. */
  | { readonly visitId: VisitId; readonly application: string; readonly kind: 'replan'; readonly code: string };
