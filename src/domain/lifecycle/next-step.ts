import type { EmploymentId, Instant, PolicyVersion, ProcessId, TransitionId } from '../process/ids.js';
import { PROCESS_OF } from '../process/kinds.js';
import type { ProcessKind, ProcessState, TransitionKind } from '../process/kinds.js';
import type { Transition } from '../ledger/types.js';

/** What the queue needs to know of a process row. */
export interface ProcessRow {
  readonly processId: ProcessId;
  readonly transitionId: TransitionId;
  readonly revision: number;
  /** The kind in the transition's id; a restoration of a leaver has the process kind rehire. */
  readonly transitionKind: TransitionKind;
  readonly processKind: ProcessKind;
  /** `running` holds the person's queue unless it only waits; `tail` and the ended ones do not. */
  readonly state: ProcessState;
  /** Waiting for a date, a grace period or an approval: others may pass. */
  readonly isWaiting: boolean;
  readonly digest: string;
  /** As the row has it: when it takes effect, amended with its transition. */
  readonly effectiveAt: Instant;
  readonly policyVersion: PolicyVersion;
  /** Whether it has written anything at a target yet. */
  readonly hasActed: boolean;
}

export type Step =
  /** Open a process: `revision` counts up when a done transition changed. `cut` starts at once and raises the generation. */
  | {
      readonly do: 'open';
      readonly transition: Transition;
      readonly revision: number;
      readonly processKind: ProcessKind;
      readonly kind: TransitionKind;
      /** What the row will answer to. */
      readonly digest: string;
      readonly cut: boolean;
      /** Puts right what an earlier revision did, so it takes effect now, whenever the transition is dated. */
      readonly isRestoration: boolean;
    }
  /** Due, but carried out by another process that opens now; it gets a finished row of its own. */
  | { readonly do: 'coalesce'; readonly transition: Transition; readonly revision: number; readonly into: TransitionId }
  /** The transition of a living process changed: it reads its row again. */
  | { readonly do: 'amend'; readonly processId: ProcessId; readonly transition: Transition }
  /** A done process whose transition is gone, with nothing to undo here: its row says so, and should the transition stand again, that is a change. */
  | { readonly do: 'note'; readonly processId: ProcessId; readonly digest: string }
  /** The transition is gone and the process has done nothing yet, or a cut takes its place. */
  | {
      readonly do: 'cancel';
      readonly processId: ProcessId;
      /** `overtaken`: a newer word on the same leave takes its place. */
      readonly why: 'transition-cancelled' | 'cut' | 'overtaken';
      /** What the row has answered to from now on. */
      readonly digest: string;
    };

export interface NextSteps {
  readonly steps: readonly Step[];
  /** When to look again without being told; undefined when nothing is known to come. */
  readonly nextDueAt?: Instant;
  /** Something is due and waits for the process that holds the queue. */
  readonly isBlocked: boolean;
}

export interface QueueInput {
  /** Sorted by instant, cuts first. */
  readonly transitions: readonly Transition[];
  readonly processes: readonly ProcessRow[];
  readonly now: Instant;
  /** The instant at which a transition's process should begin (lead time before a start, notice before an end); undefined: it needs none. */
  readonly beginsAt: (transition: Transition) => Instant | undefined;
}

/**
 * Decides what a person's queue does now. Pure and level-triggered: the same ledger, rows and instant always give the same steps, and steps that
 * were taken are not given again (design D1–D3). One process at a time holds the queue; one that only waits lets others pass; a cut waits for nobody
 * and cancels the others behind it.
 */
export function nextSteps(input: QueueInput): NextSteps {
  const latest = latestByTransition(input.processes);
  const changes: Step[] = [];
  const due: Opening[] = [];
  let nextDueAt: Instant | undefined;

  for (const transition of [...input.transitions, ...vanished(input)]) {
    const row = latest.get(transition.id);
    if (row !== undefined && isAlive(row) && !isRestoration(row)) {
      const change = changeOf(row, transition, input.now);
      if (change !== undefined) changes.push(change);
      continue;
    }
    const opening = openingOf(transition, row, input.now);
    if (opening === undefined) {
      if (row !== undefined && isUnnoted(row, transition))
        changes.push({ do: 'note', processId: row.processId, digest: transition.digest });
      continue;
    }
    const beginsAt = opening.isRestoration ? input.now : input.beginsAt(transition);
    if (beginsAt === undefined) continue;
    if (beginsAt > input.now) {
      if (nextDueAt === undefined || beginsAt < nextDueAt) nextDueAt = beginsAt;
      continue;
    }
    const cut = opening.kind === 'leaver' && transition.status === 'standing' && transition.effectiveAt <= input.now;
    due.push({
      do: 'open',
      revision: opening.revision,
      processKind: opening.processKind,
      kind: opening.kind,
      digest: opening.digest,
      isRestoration: opening.isRestoration,
      transition,
      cut,
    });
  }
  const opened = openings(due, { ...input, processes: afterChanges(input.processes, changes) });
  const steps = [...changes, ...opened];
  const isBlocked = opened.filter((step) => step.do !== 'cancel').length < due.length;
  return nextDueAt === undefined ? { steps, isBlocked } : { steps, isBlocked, nextDueAt };
}

/** The rows as this very look leaves them: what it cancels holds nobody up (nobody would look again for the sake of it), what it amends answers for the new word. */
function afterChanges(rows: readonly ProcessRow[], changes: readonly Step[]): readonly ProcessRow[] {
  const ended = new Set(changes.flatMap((step) => (step.do === 'cancel' ? [step.processId] : [])));
  const amended = new Map(
    changes.flatMap((step) => (step.do === 'amend' ? [[step.processId, step.transition] as const] : [])),
  );
  return rows
    .filter((row) => !ended.has(row.processId))
    .map((row) => {
      const { digest, effectiveAt } = amended.get(row.processId) ?? row;
      return { ...row, digest, effectiveAt };
    });
}

type Opening = Extract<Step, { do: 'open' }>;

/** What a cut answers for and an undo stops. */
const YIELDING = new Set<ProcessKind>(['joiner', 'mover', 'rehire', 'leave']);

/**
 * Which of the due transitions open a process. Cuts always do, and take in whatever came due before them and never ran; else the first one does when
 * the queue is free, and takes in the movers behind it: plans are made from the state now, so one process carries all of them out (edge case 52).
 */
function openings(due: readonly Opening[], input: QueueInput): readonly Step[] {
  const lastCut = due.findLastIndex((opening) => opening.cut);
  if (lastCut >= 0) {
    const cuts = due.filter((opening) => opening.cut);
    const into = cuts.at(-1)?.transition.id;
    // What gives access, or closes it for a while, is answered for by the cut; the undo of a rescinded hire has work of its own.
    const swallowed = due.slice(0, lastCut).filter((opening) => YIELDING.has(opening.processKind));
    return [...cuts, ...swallowed.map((opening) => coalesced(opening, into)), ...cancelBehindCut(input, cuts)];
  }
  const holders = input.processes.filter((row) => row.state === 'running' && !row.isWaiting);
  // An undo takes access away: it waits for a cut, but not for whoever gives, whose target may be down for days. It stops them when it begins.
  const undo = due.find((opening) => opening.kind === 'rescinded-hire');
  if (holders.some((row) => undo === undefined || !YIELDING.has(row.processKind))) return [];
  const [first, ...rest] = undo === undefined ? due : [undo];
  if (first === undefined) return [];
  if (first.processKind === 'leave') return [first, ...overtaken(input.processes)];
  // Neither a person nor a move to another application carries out what a mover does.
  const takesNobodyIn = first.processKind === 'operator' || first.processKind === 'migration';
  const movers = takesNobodyIn ? [] : rest.filter((opening) => opening.processKind === 'mover');
  return [first, ...movers.map((opening) => coalesced(opening, first.transition.id))];
}

/** What still waits for a target or a person on an older word about a leave is left to the newer one. */
function overtaken(rows: readonly ProcessRow[]): readonly Step[] {
  return rows
    .filter((row) => row.state === 'running' && row.processKind === 'leave')
    .map((row) => ({ do: 'cancel', processId: row.processId, why: 'overtaken', digest: row.digest }));
}

function coalesced(opening: Opening, into: TransitionId | undefined): Step {
  return {
    do: 'coalesce',
    transition: opening.transition,
    revision: opening.revision,
    into: into ?? opening.transition.id,
  };
}

function latestByTransition(rows: readonly ProcessRow[]): Map<TransitionId, ProcessRow> {
  const latest = new Map<TransitionId, ProcessRow>();
  for (const row of rows) {
    const known = latest.get(row.transitionId);
    if (known === undefined || known.revision < row.revision) latest.set(row.transitionId, row);
  }
  return latest;
}

function isAlive(row: ProcessRow): boolean {
  return row.state === 'running' || row.state === 'tail';
}

/**
 * A living process hears of a change; one whose transition was cancelled before it acted simply ends. A cut that has begun goes on all the same: it has
 * cancelled others behind it, and what it took is put right by a restoration when it is over.
 */
function changeOf(row: ProcessRow, transition: Transition, now: Instant): Step | undefined {
  if (row.digest === transition.digest) return undefined;
  const hasBegunCut = row.transitionKind === 'leaver' && row.effectiveAt <= now;
  if (transition.status === 'cancelled' && !row.hasActed && row.state === 'running' && !hasBegunCut)
    return { do: 'cancel', processId: row.processId, why: 'transition-cancelled', digest: transition.digest };
  return { do: 'amend', processId: row.processId, transition };
}

interface Opens {
  readonly revision: number;
  readonly processKind: ProcessKind;
  readonly kind: TransitionKind;
  readonly digest: string;
  /** Gives access back at once, whenever the transition itself is dated. */
  readonly isRestoration: boolean;
}

/**
 * A transition without a living process: open its first revision, or another one when its content changed since it was done. A leaver that was carried out and
 * was then cancelled, or moved into the future, is put right by a rehire process (access back as policy says now), a mover by a mover back to what the ledger
 * says, a leave's start by its end and the other way round; all may come due again later. A cancelled joiner is undone by its `rescinded-hire` transition.
 */
function openingOf(transition: Transition, row: ProcessRow | undefined, now: Instant): Opens | undefined {
  const processKind = PROCESS_OF[transition.kind];
  const isStanding = transition.status === 'standing';
  const again = { revision: (row?.revision ?? 0) + 1, digest: transition.digest, isRestoration: false };
  const anew = isStanding ? { ...again, processKind, kind: transition.kind } : undefined;
  if (row === undefined) return anew;
  if (row.digest === transition.digest) return undefined;
  const isOff = !isStanding || transition.effectiveAt > now;
  if (isRestoration(row) || !isOff || !wasCarriedOut(row)) return anew;
  const restoration = { ...again, digest: restored(transition), isRestoration: true };
  if (row.transitionKind === 'leaver') return { ...restoration, processKind: 'rehire', kind: 'rehire' };
  if (processKind === 'leave')
    return { ...restoration, processKind, kind: transition.kind === 'leave-start' ? 'leave-end' : 'leave-start' };
  return processKind === 'mover' ? { ...restoration, processKind, kind: transition.kind } : anew;
}

/** Whether a row's transition had effects: its own, those of the process that took it in, or, for a leaver, those on the processes it cancelled. */
function wasCarriedOut(row: ProcessRow): boolean {
  const isDoneLeaver = row.processKind === 'leaver' && row.state !== 'cancelled';
  return row.hasActed || isDoneLeaver || row.state === 'superseded' || row.digest === REOPEN;
}

/** The digest of a row that no longer answers for its transition: it is looked at again. */
export const REOPEN = 'reopen';
const RESTORED = 'restored:';

function restored(transition: Transition): string {
  return `${RESTORED}${transition.digest}`;
}

function isRestoration(row: ProcessRow): boolean {
  return row.digest.startsWith(RESTORED);
}

function isUnnoted(row: ProcessRow, transition: Transition): boolean {
  return transition.status === 'cancelled' && row.digest !== transition.digest && !isRestoration(row) && !isAlive(row);
}

/** Transitions that a row answers for and the ledger no longer implies at all: the same as cancelled. */
function vanished(input: QueueInput): readonly Transition[] {
  const known = new Set(input.transitions.map((transition) => transition.id));
  const gone = [...latestByTransition(input.processes).values()].filter((row) => !known.has(row.transitionId));
  return gone.map((row) => ({
    id: row.transitionId,
    employmentId: row.transitionId.split('/')[0] as EmploymentId,
    kind: row.transitionKind,
    ordinal: 0,
    effectiveAt: input.now,
    status: 'cancelled',
    movedFrom: [],
    changed: [],
    because: [],
    digest: 'vanished',
  }));
}

/**
 * A cut answers for what came before it; what a later transition is about (a rehire being prepared) is taken up again when the cutting is done (edge case 41), and so
 * is the move of somebody who still works here.
 */
function cancelBehindCut(input: QueueInput, cuts: readonly Opening[]): readonly Step[] {
  const last = cuts.at(-1)?.transition.effectiveAt ?? input.now;
  const standing = new Set(input.transitions.filter((one) => one.status === 'standing').map((one) => one.id));
  return input.processes
    .filter((row) => row.state === 'running' && row.processKind !== 'leaver')
    .map((row) => {
      const goesOn = row.effectiveAt > last || row.processKind === 'migration';
      const digest = goesOn && standing.has(row.transitionId) ? REOPEN : row.digest;
      return { do: 'cancel', processId: row.processId, why: 'cut', digest } as const;
    });
}
