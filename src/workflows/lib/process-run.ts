import {
  CancellationScope,
  TemporalFailure,
  allHandlersFinished,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ProcessSchedule } from '../../activities/process.js';
import type { PendingApproval } from '../../activities/phase.js';
import type { TaskRequest } from '../../activities/decisions.js';
import { identityWorkflowId } from '../../domain/process/ids.js';
import type { Instant, VisitId } from '../../domain/process/ids.js';
import type { Phase } from '../../domain/process/kinds.js';
import { LEGAL_HOLD } from '../../domain/process/outcome.js';
import {
  amendedSignal,
  decideApprovalSignal,
  decideApprovalUpdate,
  processAdvancedSignal,
  progressQuery,
  resolveTaskUpdate,
  stopTailSignal,
} from '../messages.js';
import type { ApprovalDecision, ProcessInput, ProcessResult, Progress, TaskResolution } from '../messages.js';
import { bookkeeping } from './activities.js';
import { reasonOf, refuse } from './fail.js';
import { quietly } from './quietly.js';
import { BLOCKED_ON, DUE_AT, PHASE } from './search-attributes.js';
import { Saga } from './saga.js';
import { now, waitUntil } from './wait.js';

export type BlockedOn =
  'date' | 'grace-period' | 'approval' | 'operator-task' | 'retention' | 'scream-test' | typeof LEGAL_HOLD;

interface Approval extends PendingApproval {
  /** `deciding`: taken, and on its way into the approval's row; a second decision is refused from here on. */
  status: 'pending' | 'deciding' | 'approved' | 'denied' | 'expired';
}

type Question = Omit<TaskRequest, 'identityId' | 'processId' | 'now'>;

interface Task {
  readonly taskId: string;
  resolution: TaskResolution['resolution'] | undefined;
  isTaken: boolean;
  /** Nobody waits for its resolution. */
  readonly isIncident?: true;
}

/**
 * What every lifecycle process shares: its schedule, the decisions it waits for, and what operators see of it. Handlers are registered in the constructor,
 * before anything is awaited, so that no message meets a workflow that is not ready.
 */
export class ProcessRun {
  readonly saga = new Saga();
  readonly #approvals: Approval[] = [];
  readonly #tasks: Task[] = [];
  #schedule: ProcessSchedule | undefined;
  #amendments = 0;
  /** How many amendments had been heard of when the schedule was last read. */
  #amendmentsRead = 0;
  #decisions = 0;
  #isTailStopped = false;
  #phase: Progress['phase'] = 'opening';
  #waiting: { readonly for: BlockedOn; readonly until?: Instant } | undefined;

  constructor(readonly input: ProcessInput) {
    setHandler(decideApprovalUpdate, (decision) => this.#decide(decision), {
      validator: (decision: ApprovalDecision) => {
        this.#checkDecision(decision);
      },
      description: 'A decision on an approval that this process waits for',
    });
    setHandler(decideApprovalSignal, async (decision) => {
      if (this.#objectionTo(decision) !== undefined) return;
      try {
        await this.#decide(decision);
      } catch (error) {
        if (isCancellation(error) || reasonOf(error).type !== 'NotYourDecision') throw error;
      }
    });
    setHandler(resolveTaskUpdate, (resolution) => this.#resolve(resolution), {
      validator: (resolution: TaskResolution) => {
        this.#checkResolution(resolution);
      },
      description: 'What an operator decided about a task of this process',
    });
    setHandler(amendedSignal, () => {
      this.#amendments += 1;
    });
    setHandler(stopTailSignal, () => {
      this.#isTailStopped = true;
    });
    setHandler(progressQuery, () => this.#progress());
  }

  get ref() {
    return { identityId: this.input.identityId, processId: this.input.processId, now: now() };
  }

  get schedule(): ProcessSchedule {
    if (this.#schedule === undefined) throw refuse('Unexpected', 'the process was not opened');
    return this.#schedule;
  }

  /** Reads the schedule; marks the row as begun. */
  async open(): Promise<void> {
    const heard = this.#amendments;
    this.#schedule = await bookkeeping.openProcess(this.ref);
    this.#amendmentsRead = heard;
  }

  /** Whether the ledger no longer implies what this process carries out. */
  get isCancelled(): boolean {
    return this.schedule.status !== 'standing';
  }

  /**
   * Runs the process from opening to its row's end. When it fails or is cancelled, what nobody uses yet is compensated first; the row of a cancelled one was
   * closed by whoever cancelled it.
   */
  async conduct(process: () => Promise<string>): Promise<ProcessResult> {
    try {
      const outcome = await this.#untilItHolds(process);
      if (outcome === 'transition-cancelled') await this.saga.compensate();
      return await this.#end(outcome);
    } catch (error) {
      const residue = await this.saga.compensate();
      // Whoever closed the row is about to cancel us: the same as being cancelled.
      if (!isCancellation(error) && reasonOf(error).type !== 'EventSuperseded') throw error;
      this.#show('ended');
      await CancellationScope.nonCancellable(() => bookkeeping.markStopped(this.ref));
      return {
        outcome: residue.length === 0 ? 'cancelled' : 'cancelled-with-residue',
        proven: 0,
        open: residue.length,
      };
    }
  }

  /**
   * Every process plans from what is so now, so one that failed where nobody expected it may begin again: after a person looked, never by itself. It would else
   * leave a row behind that holds the person's queue for ever.
   */
  async #untilItHolds(process: () => Promise<string>): Promise<string> {
    for (;;) {
      try {
        await this.open();
        return this.isCancelled ? 'transition-cancelled' : await process();
      } catch (error) {
        const { type, code } = reasonOf(error);
        // A plain error is a mistake of ours: the workflow task fails, alerts, and goes on when it is mended (style.md P6).
        if (!(error instanceof TemporalFailure) || isCancellation(error) || type === 'EventSuperseded') throw error;
        log.error('a process cannot go on', { type, code });
        if ((await this.askOperator({ kind: 'process', code: `${type}/${code}` })) !== 'retry')
          return 'left-to-operator';
      }
    }
  }

  /** Says in the row, in Temporal UI and to the person's queue that this process waits, and lets others pass. */
  async waitsFor(reason: BlockedOn, until?: Instant, state?: 'tail'): Promise<void> {
    this.#waiting = until === undefined ? { for: reason } : { for: reason, until };
    const mark = state === undefined ? {} : { state };
    await bookkeeping.markProcess({ ...this.ref, ...mark, blockedOn: reason, dueAt: until ?? null });
    upsertSearchAttributes([
      { key: BLOCKED_ON, value: reason },
      ...(until === undefined ? [] : [{ key: DUE_AT, value: new Date(until) }]),
    ]);
    this.#show('waiting');
    await this.tellQueue();
  }

  /** The process works on a phase again. */
  works(phase: Phase): void {
    this.#waiting = undefined;
    upsertSearchAttributes([
      { key: PHASE, value: phase },
      { key: BLOCKED_ON, value: null },
    ]);
    this.#show(phase);
  }

  /** Wakes the person's identity workflow; one that has completed has nothing to do for us. */
  async tellQueue(news: { readonly isEnding?: boolean } = {}): Promise<void> {
    // A service account is nobody's queue.
    if (this.input.processKind === 'service-account') return;
    const queue = getExternalWorkflowHandle(identityWorkflowId(this.input.identityId));
    await quietly(queue.signal(processAdvancedSignal, { processId: this.input.processId, ...news }));
  }

  /**
   * Waits for an instant of the schedule. `amended`: the ledger says something else now, read the schedule again with `open`; `stopped`: a rehire ends the
   * tail. An instant that has come is `due` without waiting.
   */
  async untilDue(
    instantOf: (schedule: ProcessSchedule) => Instant,
    reason: BlockedOn,
    state?: 'tail',
  ): Promise<'due' | 'stopped' | 'amended'> {
    const until = instantOf(this.schedule);
    // Also what was amended while a phase was carried out: the old instant must never fire (edge case 4).
    if (this.isAmended()) return 'amended';
    if (until <= now() && state === undefined) return 'due';
    await this.waitsFor(reason, until, state);
    const woken = (): boolean => this.isAmended() || this.#isTailStopped;
    const result = await waitUntil(() => until, woken, `${reason} ${until}`);
    if (this.#isTailStopped) return 'stopped';
    return result === 'due' ? 'due' : 'amended';
  }

  /**
   * Waits for as long as a legal hold is on the person: what destroys does not begin. Ends early, with the hold still on, when a rehire stops the tail, when the
   * ledger takes the end back, or at `until`.
   */
  async whileHeld(state?: 'tail', until?: Instant): Promise<void> {
    const mayGoOn = (): boolean => !this.#isHeldBack || this.#isTailStopped || this.isCancelled;
    if (mayGoOn()) return;
    while (!mayGoOn()) {
      if (this.#waiting?.for !== LEGAL_HOLD) await this.waitsFor(LEGAL_HOLD, undefined, state);
      const isWoken = (): boolean => mayGoOn() || this.isAmended();
      if (until === undefined) await condition(isWoken);
      else if ((await waitUntil(() => until, isWoken, `${LEGAL_HOLD} ${until}`)) === 'due') return;
      if (this.isAmended()) await this.open();
    }
    if (this.#waiting?.for !== LEGAL_HOLD) return;
    this.#waiting = undefined;
    await bookkeeping.markProcess({ ...this.ref, blockedOn: null, dueAt: null });
    upsertSearchAttributes([{ key: BLOCKED_ON, value: null }]);
  }

  get #isHeldBack(): boolean {
    return this.schedule.isHeld === true;
  }

  /** Whether a rehire wants this process' tail to end. */
  isTailStopped(): boolean {
    return this.#isTailStopped;
  }

  /** Whether the process was amended since its schedule was read: read it again with `open`. */
  isAmended(): boolean {
    return this.#amendments > this.#amendmentsRead;
  }

  /** Adds the approvals that a plan asks for; known ones stay as they are. */
  expectApprovals(approvals: readonly PendingApproval[]): void {
    for (const approval of approvals) {
      if (this.#approvals.some((one) => one.approvalId === approval.approvalId)) continue;
      this.#approvals.push({ ...approval, status: 'pending' });
    }
  }

  /** Tells whether an approval was decided (or expired) since the watch was made; make it before the plan that is to know of the decisions. */
  decisionWatch(): () => boolean {
    const seen = this.#decisions;
    return () => this.#decisions > seen;
  }

  /** Waits until an approval was decided or the next one expires (an expired one is denied); `none` when nothing is pending or new. */
  async nextDecision(isDecided: () => boolean): Promise<'decided' | 'none' | 'amended'> {
    if (isDecided()) return 'decided';
    const pending = this.#pending();
    if (pending.length === 0) return 'none';
    const expiry = pending.map((approval) => approval.expiresAt).sort()[0] ?? now();
    await this.waitsFor('approval', expiry);
    const isWoken = (): boolean => this.isAmended() || isDecided();
    const result = await waitUntil(() => expiry, isWoken, `approval expires ${expiry}`);
    if (result === 'due') await this.#expire();
    return isDecided() ? 'decided' : 'amended';
  }

  /** Says again that it waits for decisions, after work beside them made the row look busy: others may pass. */
  async waitsForDecisionsAgain(): Promise<void> {
    const expiry = this.#pending()
      .map((approval) => approval.expiresAt)
      .sort()[0];
    if (expiry !== undefined) await this.waitsFor('approval', expiry);
  }

  /** Opens an operator task and waits for the operator's word, for as long as it takes. The rest of the process goes on. */
  async askOperator(request: Question): Promise<TaskResolution['resolution']>;
  /** The same until nobody has to answer any more; undefined then. */
  async askOperator(request: Question, isOver: () => boolean): Promise<TaskResolution['resolution'] | undefined>;
  async askOperator(request: Question, isOver?: () => boolean): Promise<TaskResolution['resolution'] | undefined> {
    const { taskId } = await bookkeeping.openTask({ ...this.ref, ...request });
    const task: Task = { taskId, resolution: undefined, isTaken: false };
    this.#tasks.push(task);
    await this.waitsFor('operator-task');
    await condition(() => task.resolution !== undefined || (isOver?.() === true && !task.isTaken));
    this.#tasks.splice(this.#tasks.indexOf(task), 1);
    return task.resolution ?? (isOver === undefined ? 'skip' : undefined);
  }

  /** Takes back the open question about a visit that needs no answer any more. */
  async takeBack(visitId: VisitId): Promise<void> {
    await bookkeeping.withdrawTask({ ...this.ref, visitId });
  }

  /** Opens a task that nothing waits for: somebody has to find out what happened, or see to something. */
  async raiseIncident(
    kind: 'came-back' | 'last-administrator' | 'contract-end',
    code: string,
    application?: string,
  ): Promise<void> {
    const where = application === undefined ? {} : { application };
    const { taskId } = await bookkeeping.openTask({ ...this.ref, kind, code, ...where });
    if (!this.#tasks.some((one) => one.taskId === taskId))
      this.#tasks.push({ taskId, resolution: undefined, isTaken: false, isIncident: true });
  }

  /** Begins a cut at this process' own instant: raises the generation and cancels the person's other processes behind it. */
  async enterCut(): Promise<void> {
    const { cancel } = await bookkeeping.enterCut(this.ref);
    await Promise.all(cancel.map((workflowId) => quietly(getExternalWorkflowHandle(workflowId).cancel())));
  }

  /** Runs a step; what Temporal must not repeat becomes an operator task, and is tried again or left out on the operator's word. */
  async withOperator(step: () => Promise<unknown>, application?: string): Promise<void> {
    for (;;) {
      try {
        await step();
        return;
      } catch (error) {
        if (isCancellation(error)) throw error;
        const { code } = reasonOf(error);
        const where = application === undefined ? {} : { application };
        if ((await this.askOperator({ kind: 'visit', code, ...where })) !== 'retry') return;
      }
    }
  }

  async #end(outcome: string): Promise<ProcessResult> {
    const isCancelled = outcome === 'transition-cancelled';
    const isSuperseded = outcome === 'rehired' || outcome === 'reopened';
    const state = isCancelled ? 'cancelled' : isSuperseded ? 'superseded' : 'completed';
    // What a leaver has taken at notice, or cancelled at its cut, is given back by a process of its own.
    const reopen = outcome === 'reopened' || (isCancelled && this.input.processKind === 'leaver');
    const amendments = this.schedule.amendments;
    const counts = await bookkeeping.endProcess({ ...this.ref, state, outcome, reopen, amendments });
    this.#show('ended');
    await this.tellQueue({ isEnding: true });
    await condition(allHandlersFinished);
    return { outcome, ...counts };
  }

  #pending(): readonly Approval[] {
    return this.#approvals.filter((approval) => approval.status === 'pending' || approval.status === 'deciding');
  }

  async #expire(): Promise<void> {
    for (const approval of this.#approvals.filter((one) => one.status === 'pending' && one.expiresAt <= now())) {
      approval.status = 'expired';
      await bookkeeping.recordApproval({ ...this.ref, approvalId: approval.approvalId, status: 'expired' });
      this.#decisions += 1;
    }
  }

  #objectionTo(decision: ApprovalDecision): ReturnType<typeof refuse> | undefined {
    const approval = this.#approvals.find((one) => one.approvalId === decision.approvalId);
    if (approval === undefined) return refuse('NotFound', 'no such approval in this process');
    if (approval.status === 'expired' || (approval.status === 'pending' && approval.expiresAt <= now()))
      return refuse('DeadlinePassed', 'the approval has expired');
    if (approval.status !== 'pending') return refuse('AlreadyDecided', 'the approval is decided');
    if (decision.decidedBy === this.input.identityId)
      return refuse('NotYourDecision', 'nobody decides about their own access');
    return undefined;
  }

  #checkDecision(decision: ApprovalDecision): void {
    const objection = this.#objectionTo(decision);
    if (objection !== undefined) throw objection;
  }

  async #decide(decision: ApprovalDecision): Promise<{ status: 'approved' | 'denied' }> {
    const approval = this.#approvals.find((one) => one.approvalId === decision.approvalId);
    if (approval === undefined || approval.status !== 'pending')
      throw refuse('AlreadyDecided', 'the approval is decided');
    approval.status = 'deciding';
    const status = decision.verdict;
    try {
      await bookkeeping.recordApproval({
        ...this.ref,
        approvalId: decision.approvalId,
        decisionId: decision.decisionId,
        decidedBy: decision.decidedBy,
        status,
      });
    } catch (error) {
      if (isCancellation(error) || reasonOf(error).type !== 'NotYourDecision') throw error;
      // Whom it is addressed to is known to the database alone: that changes while we wait.
      approval.status = 'pending';
      throw refuse('NotYourDecision', 'the approval is addressed to another person');
    }
    approval.status = status;
    this.#decisions += 1;
    return { status };
  }

  #checkResolution(resolution: TaskResolution): void {
    const task = this.#tasks.find((one) => one.taskId === resolution.taskId);
    if (task === undefined) throw refuse('NotFound', 'no such open task in this process');
    if (task.isTaken) throw refuse('AlreadyDecided', 'the task is resolved');
  }

  async #resolve(resolution: TaskResolution): Promise<{ status: 'resolved' }> {
    // Two steps that ask the same question wait for one task.
    const tasks = this.#tasks.filter((one) => one.taskId === resolution.taskId);
    for (const task of tasks) task.isTaken = true;
    try {
      await bookkeeping.recordResolution({ ...this.ref, ...resolution });
    } catch (error) {
      for (const task of tasks) task.isTaken = false;
      throw error;
    }
    for (const task of tasks) {
      task.resolution = resolution.resolution;
      if (task.isIncident === true) this.#tasks.splice(this.#tasks.indexOf(task), 1);
    }
    return { status: 'resolved' };
  }

  #progress(): Progress {
    return {
      phase: this.#phase,
      openTasks: this.#tasks.length,
      openApprovals: this.#pending().length,
      ...(this.#waiting === undefined ? {} : { waitingFor: this.#waiting.for }),
      ...(this.#waiting?.until === undefined ? {} : { until: this.#waiting.until }),
    };
  }

  #show(phase: Progress['phase']): void {
    this.#phase = phase;
    const waiting =
      this.#waiting === undefined
        ? ''
        : `\n- waits for **${this.#waiting.for}**${this.#waiting.until === undefined ? '' : ` until ${this.#waiting.until}`}`;
    setCurrentDetails(
      `**${this.input.kind}** · phase **${phase}**${waiting}\n- open operator tasks: ${this.#tasks.length}\n- open approvals: ${this.#pending().length}`,
    );
  }
}
