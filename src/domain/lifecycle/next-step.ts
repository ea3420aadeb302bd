import type { Instant, PolicyVersion, ProcessId, TransitionId } from '../process/ids.js';
import { PROCESS_OF } from '../process/kinds.js';
import type { ProcessKind, ProcessState, TransitionKind } from '../process/kinds.js';
import type { Transition } from '../ledger/types.js';

/** What the queue needs to know of a process row. */
export interface ProcessRow {
  readonly processId: ProcessId;
  readonly transitionId: TransitionId;
  readonly revision: number;
  readonly kind: TransitionKind;
  readonly processKind: ProcessKind;
  /** `running` holds the person's queue unless it only waits; `tail` and the ended ones do not. */
  readonly state: ProcessState;
  /** Waiting for a date, a grace period or an approval: others may pass. */
  readonly isWaiting: boolean;
  readonly digest: string;
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
      readonly cut: boolean;
    }
  /** The transition of a living process changed: it reads its row again. */
  | { readonly do: 'amend'; readonly processId: ProcessId; readonly transition: Transition }
  /** The transition is gone and the process has done nothing yet, or a cut takes its place. */
  | { readonly do: 'cancel'; readonly processId: ProcessId; readonly why: 'transition-cancelled' | 'cut' };

export interface NextSteps {
  readonly steps: readonly Step[];
  /** When to look again without being told; undefined when nothing is known to come. */
  readonly nextDueAt?: Instant;
}

export interface QueueInput {
  /** Sorted by instant, cuts first. */
  readonly transitions: readonly Transition[];
  readonly processes: readonly ProcessRow[];
  readonly now: Instant;
  /** The instant at which a transition's process should begin (lead time before a start, notice before an end). */
  readonly beginsAt: (transition: Transition) => Instant;
}

/**
 * Decides what a person's queue does now. Pure and level-triggered: the same ledger, rows and instant always give the same steps, and steps that
 * were taken are not given again (design D1–D3). One process at a time holds the queue; one that only waits lets others pass; a cut waits for nobody
 * and cancels the others behind it.
 */
export function nextSteps(input: QueueInput): NextSteps {
  const steps: Step[] = [];
  const latest = latestByTransition(input.processes);
  let isQueueHeld = input.processes.some((row) => row.state === 'running' && !row.isWaiting);
  let nextDueAt: Instant | undefined;
  let isCutOpening = false;

  for (const transition of input.transitions) {
    const row = latest.get(transition.id);
    if (row !== undefined && isAlive(row)) {
      const change = changeOf(row, transition);
      if (change !== undefined) steps.push(change);
      continue;
    }
    const open = openingOf(transition, row);
    if (open === undefined) continue;
    const beginsAt = input.beginsAt(transition);
    if (beginsAt > input.now) {
      if (nextDueAt === undefined || beginsAt < nextDueAt) nextDueAt = beginsAt;
      continue;
    }
    const cut = open.kind === 'leaver' && transition.status === 'standing' && transition.effectiveAt <= input.now;
    if (!cut && isQueueHeld) continue;
    steps.push({ ...open, transition, cut });
    isQueueHeld = true;
    isCutOpening ||= cut;
  }
  if (isCutOpening) steps.push(...cancelBehindCut(input.processes, steps));
  return nextDueAt === undefined ? { steps } : { steps, nextDueAt };
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

/** A living process hears of a change; one whose transition was cancelled before it acted simply ends. */
function changeOf(row: ProcessRow, transition: Transition): Step | undefined {
  if (row.digest === transition.digest) return undefined;
  if (transition.status === 'cancelled' && !row.hasActed && row.state === 'running')
    return { do: 'cancel', processId: row.processId, why: 'transition-cancelled' };
  return { do: 'amend', processId: row.processId, transition };
}

/**
 * A transition without a living process: open its first revision, or another one when its content changed since it was done.
 * A cancelled leaver that already cut is put right by the rehire process (access back as policy says now); a cancelled joiner is undone by its
 * `rescinded-hire` transition, and a cancelled mover by a mover back to what the ledger says.
 */
function openingOf(
  transition: Transition,
  row: ProcessRow | undefined,
): { do: 'open'; revision: number; processKind: ProcessKind; kind: TransitionKind } | undefined {
  const processKind = PROCESS_OF[transition.kind];
  if (row === undefined) {
    if (transition.status === 'cancelled') return undefined;
    return { do: 'open', revision: 1, processKind, kind: transition.kind };
  }
  if (row.digest === transition.digest) return undefined;
  const revision = row.revision + 1;
  if (transition.status === 'standing') return { do: 'open', revision, processKind, kind: transition.kind };
  if (!row.hasActed || transition.kind === 'joiner' || transition.kind === 'rehire') return undefined;
  if (transition.kind === 'leaver') return { do: 'open', revision, processKind: 'rehire', kind: 'rehire' };
  if (processKind === 'mover') return { do: 'open', revision, processKind, kind: transition.kind };
  return undefined;
}

function cancelBehindCut(rows: readonly ProcessRow[], opened: readonly Step[]): readonly Step[] {
  const reopened = new Set(opened.flatMap((step) => (step.do === 'open' ? [step.transition.id] : [])));
  return rows
    .filter((row) => row.state === 'running' && row.processKind !== 'leaver' && !reopened.has(row.transitionId))
    .map((row) => ({ do: 'cancel', processId: row.processId, why: 'cut' }) as const);
}
