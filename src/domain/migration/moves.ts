import type { Transition } from '../ledger/types.js';
import type { DesiredAccount } from '../plan/types.js';
import type { LifecyclePolicy } from '../policy/types.js';
import { brand } from '../process/ids.js';
import type { ApplicationSlug, EmploymentId, Instant, LocalDate, TransitionId, ZoneId } from '../process/ids.js';
import { MOVE_STEPS } from '../process/kinds.js';
import type { MoveStep } from '../process/kinds.js';
import { addDays, compare, laterOf, startOfWorkDay } from '../time/instants.js';

/**
 * Where a person's move from one application to another stands. `left`: the person ended before the move did, and both accounts are a leaver's.
 */
export const MOVE_STATES = ['planned', 'coexisting', 'cut-over', 'retired', 'rolled-back', 'left'] as const;
export type MoveState = (typeof MOVE_STATES)[number];

/** A move as desired state sees it. Whoever joined after the plan was made stands where the plan puts joiners. */
export interface Move {
  readonly from: ApplicationSlug;
  readonly to: ApplicationSlug;
  readonly state: Exclude<MoveState, 'left'>;
  /** The person has an account at `to` that is no work of this move, or one that policy gave besides. */
  readonly keepsTo: boolean;
}

/** Which of the two accounts a move wants: both between the release and the cut-over, never none. Pure. */
export function wantedOf({ state, keepsTo }: Pick<Move, 'state' | 'keepsTo'>): { from: boolean; to: boolean } {
  switch (state) {
    case 'planned':
    case 'rolled-back':
      return { from: true, to: keepsTo };
    case 'coexisting':
      return { from: true, to: true };
    case 'cut-over':
    case 'retired':
      return { from: false, to: true };
  }
}

/**
 * Desired accounts with a person's moves laid over them. A move takes one of two accounts away only while policy gives the other one, open as well, so it
 * leaves nobody without access whom policy gives some. Pure; laid over twice it changes nothing more.
 */
export function withMoves(desired: readonly DesiredAccount[], moves: readonly Move[]): readonly DesiredAccount[] {
  return moves.reduce((accounts, move) => {
    const wanted = wantedOf(move);
    const from = accounts.find((one) => one.application === move.from);
    const to = accounts.find((one) => one.application === move.to);
    const dropped = !wanted.from && stands(to, from) ? from : !wanted.to && stands(from, to) ? to : undefined;
    return dropped === undefined ? accounts : accounts.filter((one) => one !== dropped);
  }, desired);
}

function stands(kept: DesiredAccount | undefined, dropped: DesiredAccount | undefined): boolean {
  return kept !== undefined && (kept.enabled || dropped?.enabled !== true);
}

/** Applications whose account belongs to a move alone: what else happens to the person leaves it as it is. Pure. */
export function keptByMoves(moves: readonly Move[]): ReadonlySet<ApplicationSlug> {
  return new Set(
    moves.flatMap((move) => {
      const wanted = wantedOf(move);
      return [...(wanted.from ? [] : [move.from]), ...(wanted.to ? [] : [move.to])];
    }),
  );
}

/** A move as the person's queue sees it. */
export interface MoveCourse {
  readonly moveId: string;
  readonly state: MoveState;
  /** Counts resumptions and roll-backs: each one is carried out anew. */
  readonly attempt: number;
  readonly releasedAt: Instant | null;
  /** When the account at the new application was last proven to stand. */
  readonly provenAt: Instant | null;
  readonly retiredAt: Instant | null;
  readonly rolledBackAt: Instant | null;
  readonly failedStep: MoveStep | null;
  readonly wave: {
    readonly isHalted: boolean;
    readonly cutOverOn: LocalDate | null;
    /** An operator's word, which comes before the date. */
    readonly cutOverAt: Instant | null;
  };
}

/**
 * The transition of each step that a move implies now, as the ledger implies the others: the person's queue opens a process for each at its instant. The
 * cut-over date begins at midnight in the person's zone. Pure; the same course gives the same transitions.
 */
export function moveTransitions(
  course: MoveCourse,
  zone: ZoneId,
  lifecycle: Pick<LifecyclePolicy, 'archiveAfterDays' | 'deleteAfterDays'>,
): readonly Transition[] {
  const at = (step: MoveStep, effectiveAt: Instant | null): readonly Transition[] =>
    effectiveAt === null ? [] : [transitionOf(course, step, effectiveAt)];
  switch (course.state) {
    case 'planned':
    case 'left':
      return [];
    case 'coexisting':
      return [
        ...at('coexist', course.releasedAt),
        ...at('retire', mayRetire(course) ? cutOverInstant(course, zone) : null),
      ];
    case 'cut-over':
      return at('retire', cutOverInstant(course, zone));
    case 'retired': {
      const { retiredAt } = course;
      const after = (days: number): Instant | null => (retiredAt === null ? null : addDays(retiredAt, days));
      return [
        ...at('retire', cutOverInstant(course, zone)),
        ...at('archive', after(lifecycle.archiveAfterDays)),
        ...at('delete', after(lifecycle.deleteAfterDays)),
      ];
    }
    case 'rolled-back':
      return at('withdraw', course.rolledBackAt);
  }
}

/** A cut-over that failed has its process still: it ends by itself. */
function mayRetire({ provenAt, failedStep, wave }: MoveCourse): boolean {
  return failedStep === 'retire' || (provenAt !== null && failedStep === null && !wave.isHalted);
}

function cutOverInstant({ wave, provenAt }: MoveCourse, zone: ZoneId): Instant | null {
  const at = wave.cutOverAt ?? (wave.cutOverOn === null ? null : startOfWorkDay(wave.cutOverOn, zone));
  return at === null || provenAt === null ? at : laterOf(at, provenAt);
}

function transitionOf({ moveId, attempt }: MoveCourse, step: MoveStep, effectiveAt: Instant): Transition {
  const ordinal = MOVE_STEPS.indexOf(step) + 1;
  return {
    id: brand<TransitionId>(`${moveId}/migration/${ordinal}`),
    employmentId: brand<EmploymentId>(moveId),
    kind: 'migration',
    ordinal,
    effectiveAt,
    status: 'standing',
    movedFrom: [],
    changed: [],
    because: [],
    digest: `${step}/${attempt}`,
  };
}

/** A person's transitions with those of the moves among them, in the order that the queue wants. Pure. */
export function inQueueOrder(ledger: readonly Transition[], moves: readonly Transition[]): readonly Transition[] {
  // Array.prototype.sort is stable: what the ledger says comes first among transitions of one instant, and a cut before all.
  return [...ledger, ...moves].sort((a, b) => compare(a.effectiveAt, b.effectiveAt));
}

/** Whether so many failures stop a wave; what is under way ends by itself, the others stay where they are. Pure. */
export function haltsWave(failed: number, size: number, atMostPercent: number): boolean {
  return failed > 0 && failed * 100 > size * atMostPercent;
}

/**
 * How many people each wave takes. Percentages are cumulative shares of all, and a last wave takes who is left; a size cuts everybody into waves of that many.
 * Pure; no wave is empty.
 */
export function waveSizes(
  people: number,
  cut: { readonly size: number } | { readonly percentages: readonly number[] },
): readonly number[] {
  const ends =
    'size' in cut
      ? Array.from({ length: Math.ceil(people / cut.size) }, (_, index) => (index + 1) * cut.size)
      : cut.percentages.map((percent) => Math.ceil((people * percent) / 100));
  const bounds = [...new Set([...ends.map((end) => Math.min(end, people)), people])].sort((a, b) => a - b);
  return bounds.map((end, index) => end - (bounds[index - 1] ?? 0)).filter((size) => size > 0);
}
