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

/** Ends of visits that did nothing because something newer took their place. */
export const NOT_CARRIED_OUT: ReadonlySet<string> = new Set<SettledOutcome>(['superseded', 'stopped']);

/** Code of what waits because of a legal hold on the person. */
export const LEGAL_HOLD = 'legal-hold';

/**
 * Codes of visits that we hold back ourselves: they wait for as long as it takes, and nobody is asked for them. Whatever else is `later` is the target's doing.
 */
export const HELD_BACK: ReadonlySet<string> = new Set(['maintenance', 'quarantine', 'rate', 'other-site', LEGAL_HOLD]);

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
      /** Where it goes on, when not on its application's own queue: at the site that reaches the target. */
      readonly queue?: string;
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
