import { CancellationScope, condition, isCancellation, log, patched, sleep, uuid4 } from '@temporalio/workflow';
import type { PlanId } from '../../domain/process/ids.js';
import { CUTTING_PHASES } from '../../domain/process/kinds.js';
import type { Phase } from '../../domain/process/kinds.js';
import { HELD_BACK, LEGAL_HOLD } from '../../domain/process/outcome.js';
import type { VisitOutcome } from '../../domain/process/outcome.js';
import type { PlannedPhase, TaskResolution } from '../messages.js';
import { bookkeeping, singleVisits, sweeps } from './activities.js';
import { reasonOf } from './fail.js';
import type { ProcessRun } from './process-run.js';
import { now } from './wait.js';

/** How often a phase is planned anew because an account was not what the plan was made for, before a person is asked. */
const REPLANS = 3;

/** A cut that a target does not take is a person's question after this long: with the sweep before it, within a minute. */
const ESCALATE_AFTER_MS = 30_000;

/** Plans a phase and carries it out until every visit of it is settled, by the target or by a person. */
export async function executePhase(run: ProcessRun, phase: Phase): Promise<void> {
  const started = await startPhase(run, phase);
  await started.settled;
}

export interface StartedPhase {
  /** Resolves when every visit is settled. */
  readonly settled: Promise<void>;
  /** A cut: applications where an account may stand that Tenure has not seen. */
  readonly unseen: readonly string[];
}

/**
 * Plans a phase and runs its first sweep. What went well is done when this returns; visits in trouble go on in `settled`, and nothing else has to wait for
 * them (design D6).
 */
export async function startPhase(run: ProcessRun, phase: Phase): Promise<StartedPhase> {
  const { execution, unseen } = await planned(run, phase);
  await execution.sweep();
  const settled = execution.finish().then((isStale) => (isStale ? again(run, phase) : undefined));
  // Whoever started several phases hears of a failure when they come to wait for it, not as a rejection that nobody took.
  settled.catch(() => undefined);
  return { settled, unseen };
}

async function planned(run: ProcessRun, phase: Phase) {
  const plan = await planUntilItHolds(run, phase);
  run.works(phase);
  run.expectApprovals(plan.approvals);
  return { execution: new PlanExecution(run, phase, plan), unseen: plan.unseen };
}

/** A plan that policy cannot be computed for is an operator's: nothing is carried out without it, and it is never left out. */
async function planUntilItHolds(run: ProcessRun, phase: Phase) {
  for (let repin = false; ; repin = true) {
    try {
      const input = { ...run.ref, phase, planId: uuid4() as PlanId };
      return await bookkeeping.planPhase(repin ? { ...input, repin } : input);
    } catch (error) {
      if (isCancellation(error) || reasonOf(error).type !== 'PolicyViolation') throw error;
      await run.askOperator({ kind: 'process', code: reasonOf(error).code });
    }
  }
}

export interface PhaseBeside {
  isDone(): boolean;
  /** An account was not what the plan was made for: what is done is done, and the phase has to be planned again. */
  isStale(): boolean;
  /** What it failed with, if it did; undefined while it runs. */
  failure(): unknown;
  /** Ends what is left of it and waits until its writes have stopped. */
  stop(): Promise<void>;
}

/** Plans a phase and carries it out beside whatever comes next, which must not wait for a target in trouble or for a person. */
export async function phaseBeside(run: ProcessRun, phase: Phase): Promise<PhaseBeside> {
  const { execution } = await planned(run, phase);
  const scope = new CancellationScope();
  let isDone = false;
  let isStale = false;
  let failure: unknown;
  const ended = scope
    .run(async () => {
      await execution.sweep();
      isStale = await execution.finish();
    })
    .catch((error: unknown) => {
      if (isCancellation(error)) return;
      log.warn('a phase beside did not end well', { phase, ...reasonOf(error) });
      failure = error;
    })
    .then(() => {
      isDone = true;
    });
  return {
    isDone: () => isDone,
    isStale: () => isStale,
    failure: () => failure,
    stop: () => {
      scope.cancel();
      return ended;
    },
  };
}

async function again(run: ProcessRun, phase: Phase): Promise<void> {
  for (let turn = 1; turn <= REPLANS; turn += 1) {
    const { execution } = await planned(run, phase);
    await execution.sweep();
    if (!(await execution.finish())) return;
  }
  await run.askOperator({ kind: 'visit', code: 'plan-keeps-changing' });
}

type Later = Extract<VisitOutcome, { kind: 'later' }>;
type Resolution = TaskResolution['resolution'];
type Visit = PlannedPhase['visits'][number];

/** The visits of one plan: swept together, followed one by one when in trouble, in the order of their dependencies. */
class PlanExecution {
  readonly #open: Map<string, Visit>;
  readonly #followed = new Set<string>();
  readonly #isCut: boolean;
  #isStale = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(
    readonly run: ProcessRun,
    readonly phase: Phase,
    readonly plan: PlannedPhase,
  ) {
    this.#open = new Map(plan.visits.map((visit) => [visit.visitId, visit]));
    this.#isCut = CUTTING_PHASES.has(phase);
  }

  /** Sweeps what is open, not in trouble and not behind something in trouble. */
  async sweep(): Promise<void> {
    const ready = this.#ready();
    if (ready.length === 0) return;
    const summary = `${this.phase}: ${ready.map((visit) => visit.application).join(', ')}`;
    const outcomes = await sweeps(this.#isCut, summary).runSweep({
      planId: this.plan.planId,
      visitIds: ready.map((visit) => visit.visitId),
      now: now(),
    });
    for (const outcome of outcomes) this.#note(outcome);
  }

  /** Goes on until nothing is open; true when the phase has to be planned again. */
  async finish(): Promise<boolean> {
    for (;;) {
      await condition(() => this.#failure !== undefined || this.#open.size === 0 || this.#ready().length > 0);
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#open.size === 0) return this.#isStale;
      await this.sweep();
    }
  }

  #ready(): readonly Visit[] {
    const reachable = new Map([...this.#open].filter(([id]) => !this.#followed.has(id)));
    const inTrouble = new Set([...this.#followed].map((id) => this.#open.get(id)?.application));
    // A visit behind one in trouble waits; one behind a visit of the same sweep is ordered there.
    const isFree = (visit: Visit): boolean => !visit.dependsOn.some((slug) => inTrouble.has(slug));
    let free = [...reachable.values()].filter(isFree);
    for (;;) {
      const applications = new Set(free.map((visit) => visit.application));
      const waiting = new Set([...this.#open.values()].map((visit) => visit.application));
      const next = free.filter((visit) =>
        visit.dependsOn.every((slug) => applications.has(slug) || !waiting.has(slug)),
      );
      if (next.length === free.length) return next;
      free = next;
    }
  }

  #note(outcome: VisitOutcome): void {
    switch (outcome.kind) {
      case 'settled':
        this.#open.delete(outcome.visitId);
        return;
      case 'replan':
        this.#isStale = true;
        this.#open.delete(outcome.visitId);
        return;
      case 'later':
      case 'task':
        this.#followed.add(outcome.visitId);
        this.#follow(outcome).catch((error: unknown) => {
          this.#failure = { error };
        });
        return;
      case 'blocked':
    }
  }

  /** A visit in trouble: alone with Temporal's retries while the target may come back, then with an operator, until it is settled. */
  async #follow(trouble: VisitOutcome): Promise<void> {
    let outcome = trouble;
    while (outcome.kind === 'later' || outcome.kind === 'task') {
      // Cuts that began before there was an escalation go on without it.
      if (outcome.kind === 'task') outcome = await this.#ask(outcome);
      else if (this.#isCut && patched('cut-escalation')) outcome = await this.#aloneAndAsked(outcome);
      else outcome = await this.#alone(outcome);
    }
    this.#note(outcome);
    this.#followed.delete(outcome.visitId);
  }

  /**
   * A cut asks a person soon, and goes on trying while nobody has answered: whichever comes first settles the visit, and a question that the target has answered
   * itself is taken back.
   */
  async #aloneAndAsked(trouble: Later): Promise<VisitOutcome> {
    const id = { visitId: trouble.visitId, application: trouble.application };
    const waiting = new CancellationScope();
    const trying = new CancellationScope();
    let isOver = false;
    let isAsked = false;
    let resolution: Resolution | undefined;
    const asked = waiting
      .run(() => sleep(ESCALATE_AFTER_MS, { summary: `${trouble.application} does not answer: ask a person` }))
      // A question is written whole or not at all: it is taken back below.
      .then(() =>
        CancellationScope.nonCancellable(async () => {
          isAsked = true;
          resolution = await this.run.askOperator({ kind: 'visit', code: trouble.code, ...id }, () => isOver);
          trying.cancel();
        }),
      )
      .catch((error: unknown) => {
        if (!isCancellation(error)) throw error;
      });
    const failed = asked.then(() => new Promise<never>(() => undefined));
    try {
      return await Promise.race([trying.run(() => this.#untilAnswered(trouble)), failed]);
    } catch (error) {
      if (resolution === undefined || !isCancellation(error)) throw error;
      return afterWord(id, resolution);
    } finally {
      isOver = true;
      waiting.cancel();
      await asked.catch(() => undefined);
      if (isAsked && resolution === undefined)
        await CancellationScope.nonCancellable(() => this.run.takeBack(trouble.visitId));
    }
  }

  /** Tries for as long as it takes: patience ends with a person who is asked already. */
  async #untilAnswered(trouble: Later): Promise<VisitOutcome> {
    let outcome: VisitOutcome = trouble;
    while (outcome.kind === 'later') {
      const next: VisitOutcome = await this.#alone(outcome);
      const isDown = next.kind === 'task' && next.type === 'TargetUnavailable';
      outcome = isDown ? { ...trouble, kind: 'later', code: next.code, retryAfterMs: 0 } : next;
    }
    return outcome;
  }

  async #alone(outcome: Extract<VisitOutcome, { kind: 'later' }>): Promise<VisitOutcome> {
    const id = { visitId: outcome.visitId, application: outcome.application };
    const patienceMs = this.run.schedule.visitPatienceMs;
    if (outcome.code === LEGAL_HOLD) {
      // Set a moment ago: the schedule that was read may not know it yet.
      await this.run.open();
      await this.run.whileHeld();
    }
    // The target's own word (Retry-After) holds for the first try alone as for all later ones; its queue gets no task before.
    // What we hold back ourselves waits for as long as it takes.
    const waitMs = HELD_BACK.has(outcome.code) ? outcome.retryAfterMs : Math.min(outcome.retryAfterMs, patienceMs);
    if (waitMs > 0) await sleep(waitMs, { summary: `${outcome.application} again: ${outcome.code}` });
    try {
      const visits = singleVisits(outcome, patienceMs, this.#isCut);
      return await visits.runSingleVisit({ visitId: outcome.visitId, now: now(), after: outcome.code });
    } catch (error) {
      if (isCancellation(error)) throw error;
      return { ...id, kind: 'task', ...reasonOf(error) };
    }
  }

  async #ask(outcome: Extract<VisitOutcome, { kind: 'task' }>): Promise<VisitOutcome> {
    const id = { visitId: outcome.visitId, application: outcome.application };
    const resolution = await this.run.askOperator({
      kind: outcome.type === 'CapabilityMissing' ? 'manual' : 'visit',
      code: outcome.code,
      ...id,
    });
    return afterWord(id, resolution);
  }
}

/** What a visit becomes by an operator's word. */
function afterWord(id: Pick<VisitOutcome, 'visitId' | 'application'>, resolution: Resolution): VisitOutcome {
  switch (resolution) {
    case 'retry':
      return { ...id, kind: 'later', code: 'retry', retryAfterMs: 0 };
    case 'skip':
      return { ...id, kind: 'settled', outcome: 'skipped' };
    case 'done-by-hand':
      return { ...id, kind: 'settled', outcome: 'by-hand' };
  }
}
