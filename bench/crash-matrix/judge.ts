import type { Cell, LeaverKind } from './cells.js';
import { APPLICATION_OF, KINDS } from './cells.js';

/**
 * What a target of the matrix has done for one person: counted there, past Tenure and its tables. `isVisible` is whether anybody could tell: where the target is
 * the same afterwards (an account disabled twice, the same secret set twice) a repeat is none. What a target does anew each time it is asked is always visible:
 * `check-in` makes a new secret and locks out whoever holds the last one, `transfer-ownership` gives the heir another receipt, `set-forwarding` writes to the delegate.
 */
export interface Effect {
  readonly person: string;
  readonly application: string;
  readonly operation: string;
  readonly isVisible: boolean;
}

export const VERDICTS = ['ok', 'lost', 'duplicate', 'unfinished', 'not-held'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Judged {
  readonly verdict: Verdict;
  /** Operations of the leaver with no visible effect, and with more than one. */
  readonly lost: readonly LeaverKind[];
  readonly duplicate: readonly LeaverKind[];
  /** Writes that changed nothing any more. */
  readonly repeats: number;
}

/**
 * Counts every operation of a cell's leaver, not only the one that was hit: each must have had exactly one visible effect. A process that did not end is
 * `unfinished`, a kill that did not find its operation `not-held`; neither counts as well. Pure.
 */
export function judge(
  effects: readonly Effect[],
  person: string,
  run: { readonly wasHeld: boolean; readonly isFinished: boolean },
): Judged {
  const own = effects.filter((effect) => effect.person === person);
  const count = (kind: LeaverKind): number =>
    own.filter((one) => one.operation === kind && one.application === APPLICATION_OF[kind] && one.isVisible).length;
  const lost = KINDS.filter((kind) => count(kind) === 0);
  const duplicate = KINDS.filter((kind) => count(kind) > 1);
  const isKind = (operation: string): boolean => KINDS.some((kind) => kind === operation);
  const repeats = own.filter((one) => !one.isVisible && isKind(one.operation)).length;
  return { verdict: verdictOf(run, lost, duplicate), lost, duplicate, repeats };
}

function verdictOf(
  run: { readonly wasHeld: boolean; readonly isFinished: boolean },
  lost: readonly LeaverKind[],
  duplicate: readonly LeaverKind[],
): Verdict {
  if (duplicate.length > 0) return 'duplicate';
  if (!run.wasHeld) return 'not-held';
  if (!run.isFinished) return 'unfinished';
  return lost.length > 0 ? 'lost' : 'ok';
}

export type JudgedCell = Cell & Judged;
