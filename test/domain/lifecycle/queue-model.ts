import { REOPEN, nextSteps } from '../../../src/domain/lifecycle/next-step.js';
import type { NextSteps, ProcessRow, Step } from '../../../src/domain/lifecycle/next-step.js';
import type { Transition } from '../../../src/domain/ledger/types.js';
import { brand, processIdOf } from '../../../src/domain/process/ids.js';
import type { EmploymentId, Instant, PolicyVersion, TransitionId } from '../../../src/domain/process/ids.js';
import type { TransitionKind } from '../../../src/domain/process/kinds.js';

export const NOW = brand<Instant>('2026-06-15T12:00:00.000Z');
const DAY_MS = 86_400_000;

/** The instant `days` from the tests' now. */
export function at(days: number): Instant {
  return brand<Instant>(new Date(Date.parse(NOW) + days * DAY_MS).toISOString());
}

export interface Given extends Partial<Omit<Transition, 'kind' | 'effectiveAt'>> {
  readonly days?: number;
  readonly employment?: string;
}

/** A standing transition; its digest follows from what the queue looks at, unless given. */
export function transition(kind: TransitionKind, ordinal: number, given: Given = {}): Transition {
  const { days = -1, employment = 'emp-1', ...rest } = given;
  const status = given.status ?? 'standing';
  return {
    id: brand<TransitionId>(`${employment}/${kind}/${ordinal}`),
    employmentId: brand<EmploymentId>(employment),
    kind,
    ordinal,
    effectiveAt: at(days),
    movedFrom: [],
    changed: [],
    because: [],
    digest: `${kind}/${ordinal}/${status}/${days}`,
    ...rest,
    status,
  };
}

export const cancelled = (one: Transition): Transition => ({
  ...one,
  status: 'cancelled',
  digest: `${one.digest}/cancelled`,
});

/** A person's queue as the activity keeps it (src/activities/queue.ts): steps become rows, and rows may be pushed on by hand. */
export class Queue {
  rows: ProcessRow[] = [];
  now = NOW;
  transitions: readonly Transition[] = [];
  /** As in src/activities/queue.ts: days before the effective instant at which a process begins. */
  leadDays: Partial<Record<TransitionKind, number>> = { joiner: 3, rehire: 3 };

  /** Transitions that need no process, as a leave that is a short one. */
  readonly neverBegins = new Set<string>();
  readonly #kinds: TransitionKind[] = [];

  ask(): NextSteps {
    return nextSteps({
      transitions: this.transitions,
      processes: this.rows,
      now: this.now,
      beginsAt: (one) => {
        if (this.neverBegins.has(one.id)) return undefined;
        if (one.kind === 'leaver') return one.noticeAt ?? one.effectiveAt;
        return brand<Instant>(
          new Date(Date.parse(one.effectiveAt) - (this.leadDays[one.kind] ?? 0) * DAY_MS).toISOString(),
        );
      },
    });
  }

  /** Sets the ledger's word (sorted as the ledger sorts it), asks, and takes the steps. */
  advance(transitions: readonly Transition[] = this.transitions): readonly Step[] {
    this.transitions = [...transitions].sort((a, b) => (a.effectiveAt < b.effectiveAt ? -1 : 1));
    const { steps } = this.ask();
    for (const step of steps) this.take(step);
    return steps;
  }

  take(step: Step): void {
    switch (step.do) {
      case 'open':
        this.#kinds.push(step.kind);
        this.rows.push({
          ...this.#opened(step.transition, step.revision),
          processKind: step.processKind,
          digest: step.digest,
          state: 'running',
          effectiveAt: step.isRestoration ? this.now : step.transition.effectiveAt,
        });
        return;
      case 'coalesce':
        this.rows.push({ ...this.#opened(step.transition, step.revision), processKind: 'mover', state: 'superseded' });
        return;
      case 'amend':
        this.set(step.processId, { digest: step.transition.digest, effectiveAt: step.transition.effectiveAt });
        return;
      case 'note':
        this.set(step.processId, { digest: step.digest });
        return;
      case 'cancel':
        this.set(step.processId, { state: 'cancelled', digest: step.digest });
    }
  }

  #opened(one: Transition, revision: number): Omit<ProcessRow, 'processKind' | 'state'> {
    return {
      processId: processIdOf(one.id, revision),
      transitionId: one.id,
      revision,
      transitionKind: one.kind,
      isWaiting: false,
      digest: one.digest,
      effectiveAt: one.effectiveAt,
      policyVersion: brand<PolicyVersion>(1),
      hasActed: false,
    };
  }

  /** The kinds that processes were opened with, those of one kind. */
  steps(kind: TransitionKind): readonly TransitionKind[] {
    return this.#kinds.filter((one) => one === kind);
  }

  set(processId: string, change: Partial<ProcessRow>): void {
    this.rows = this.rows.map((row) => (row.processId === processId ? { ...row, ...change } : row));
  }

  /** The one row of a process; `emp-1/mover/1` means its latest revision. */
  row(id: string): ProcessRow {
    const found = this.rows
      .filter((row) => row.transitionId === id || row.processId === id)
      .sort((a, b) => b.revision - a.revision)[0];
    if (found === undefined) throw new Error(`no process for ${id}`);
    return found;
  }

  /** A running process ends as it usually does: a leaver goes into its tail, everything else completes. */
  finish(id: string, hasActed = true): void {
    const row = this.row(id);
    const state = row.transitionKind === 'leaver' && row.processKind === 'leaver' ? 'tail' : 'completed';
    this.set(row.processId, { state, hasActed });
  }

  /** A tail ends because its leaver is off, as the leaver workflow does (`reopened`). */
  reopen(id: string): void {
    this.set(this.row(id).processId, { state: 'superseded', digest: REOPEN });
  }
}

/** Steps in short: `open emp-1/mover/1 r1 mover`, `coalesce ... into ...`, `cancel ... (cut)`. */
export function told(steps: readonly Step[]): readonly string[] {
  return steps.map((step) => {
    switch (step.do) {
      case 'open':
        return `${step.cut ? 'cut' : 'open'} ${step.transition.id} r${step.revision} ${step.processKind}`;
      case 'coalesce':
        return `coalesce ${step.transition.id} into ${step.into}`;
      case 'amend':
      case 'note':
        return `${step.do} ${step.processId}`;
      case 'cancel':
        return `cancel ${step.processId} (${step.why})`;
    }
  });
}
