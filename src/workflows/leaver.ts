import { condition, patched } from '@temporalio/workflow';
import type { ProcessSchedule } from '../activities/process.js';
import type { Instant, VisitId } from '../domain/process/ids.js';
import { bookkeeping } from './lib/activities.js';
import { ContractWarnings } from './lib/contract-warnings.js';
import { cutAccess, cutLostWrites, outlastOlderWrites } from './lib/cut-access.js';
import { handOnDuties } from './lib/duties.js';
import { executePhase, phaseBeside } from './lib/execute-plan.js';
import type { PhaseBeside } from './lib/execute-plan.js';
import { LeaverReports } from './lib/leaver-reports.js';
import { ProcessRun } from './lib/process-run.js';
import { Looks } from './lib/stays-dead.js';
import { now, waitUntil } from './lib/wait.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * Someone ends. What notice costs goes when notice is given; at the end of the last working day (or at once) every access is cut and proven, then what is
 * left is archived and deleted in its time. Goes forward only: nothing here is ever undone because a later step failed (design D6).
 */
export async function leaverWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    if (input.kind === 'rescinded-hire') return undoHire(run);
    if (run.schedule.effectiveAt > now()) {
      if (!(await serveNotice(run))) return 'transition-cancelled';
      await run.enterCut();
    }
    const { lost, handover } = await cutAccess(run);
    // Leavers that were cut before made no report by themselves.
    const reports = patched('leaver-report') ? new LeaverReports(run) : undefined;
    reports?.begin('access-ended');
    let isRetained = true;
    if (handover !== undefined) reports?.beginAfter(handover, () => !isRetained);
    try {
      const outcome = await retain(run, lost, handover);
      if (outcome === 'deleted') reports?.begin('deleted');
      return outcome;
    } finally {
      isRetained = false;
      // Somebody who is back keeps what is still theirs.
      await handover?.stop();
      await reports?.ended();
    }
  });
}

/**
 * What notice costs goes when notice is given, the rest when access ends; a date that moves is waited for anew, and before a contract's end its sponsor is warned.
 * False when the end was withdrawn (edge case 4). The end waits for nobody: whatever notice still has in trouble then (a target that is down, a person who was
 * asked) is left to the cut.
 */
async function serveNotice(run: ProcessRun): Promise<boolean> {
  // Weeks before the cut there is still time to find somebody. Beside notice; a cut looks again.
  if (patched('duties-at-notice')) void handOnDuties(run).catch(() => undefined);
  const warnings = new ContractWarnings(run);
  const effectiveAt = (): Instant => run.schedule.effectiveAt;
  let notice: PhaseBeside | undefined;
  for (;;) {
    if (notice === undefined && isNoticeGiven(run)) {
      const begun = await phaseBeside(run, 'notice');
      notice = begun;
      await waitUntil(effectiveAt, () => begun.isDone() || run.isAmended(), 'notice is carried out');
    }
    await warnings.giveDue();
    const next = [effectiveAt(), warnings.nextAt(), notice === undefined ? run.schedule.noticeAt : undefined]
      .filter((instant) => instant !== undefined)
      .sort()[0];
    if ((await run.untilDue(() => next ?? effectiveAt(), 'date')) === 'amended') {
      await run.open();
      if (!run.isCancelled) continue;
      await notice?.stop();
      return false;
    }
    if (effectiveAt() <= now()) break;
  }
  void notice?.stop();
  return true;
}

/** Leavers that began before contracts had warnings began with their notice. */
function isNoticeGiven({ schedule }: ProcessRun): boolean {
  const { warnings, noticeAt } = schedule;
  return warnings === undefined || (noticeAt !== undefined && noticeAt <= now());
}

/** Of leavers that were cut before there were looks at everything: a write that was never answered may land long after. */
const LATE_LOOKS_MS = [60_000, 15 * 60_000, 24 * 3_600_000];

/**
 * Retention: out of the person's queue, stopped by a rehire, ended when the leaver's own transition is withdrawn or moved ahead. What is still being handed over
 * goes on beside it, and nothing is deleted before that is through.
 */
async function retain(run: ProcessRun, lost: readonly VisitId[], handover: PhaseBeside | undefined): Promise<string> {
  const looks = patched('stays-dead') ? new Looks(run, lost) : undefined;
  const cutAt = Date.now();
  for (const afterMs of looks !== undefined || lost.length === 0 ? [] : LATE_LOOKS_MS) {
    const look = await untilRetained(run, () => new Date(cutAt + afterMs).toISOString() as Instant);
    if (look !== 'due') return look;
    await cutLostWrites(run, lost);
  }
  const early = await keepDead(run, looks, (schedule) => schedule.archiveAt);
  if (early !== 'due') return early;
  const archive = await untilMayDestroy(run, looks, (schedule) => schedule.archiveAt);
  if (archive !== 'due') return archive;
  const archived = await putAway(run, 'archive');
  if (archived !== 'done') return archived;
  const late = await keepDead(run, looks, (schedule) => schedule.deleteAt);
  if (late !== 'due') return late;
  const removal = await untilMayDestroy(run, looks, (schedule) => schedule.deleteAt);
  if (removal !== 'due') return removal;
  const handedOver = await endOf(run, handover);
  if (handedOver !== 'done') return handedOver;
  const free = await whileHeld(run, looks);
  if (free !== 'free') return free;
  const deleted = await putAway(run, 'delete');
  if (deleted !== 'done') return deleted;
  await bookkeeping.releaseNames(run.ref);
  return 'deleted';
}

/** A look that falls due this shortly after the accounts are gone is made before that. */
const NEAR_MS = 3_600_000;

/** Looks whether what was cut stays dead, up to an instant of the schedule; what lives again is cut again, once a look. */
async function keepDead(
  run: ProcessRun,
  looks: Looks | undefined,
  instantOf: (schedule: ProcessSchedule) => Instant,
): Promise<'due' | 'rehired' | 'reopened'> {
  for (;;) {
    const at = looks?.nextAt();
    const end = instantOf(run.schedule);
    if (looks === undefined || at === undefined || Date.parse(at) > Date.parse(end) + NEAR_MS) return 'due';
    const waited = await untilRetained(run, () => (at < end ? at : end));
    if (waited !== 'due') return waited;
    const looked = await lookAgain(run, looks);
    if (looked !== 'done') return looked;
  }
}

/** One look; what lives again is cut again. */
async function lookAgain(run: ProcessRun, looks: Looks): Promise<'done' | 'rehired' | 'reopened'> {
  if (!(await looks.look()).isAlive) return 'done';
  for (const phase of ['cut', 'deprovision'] as const) {
    const ended = await putAway(run, phase);
    if (ended !== 'done') return ended;
  }
  return 'done';
}

/** Archives or deletes, or cuts what came back. Ended by a rehire or a withdrawal before it is through: nobody who comes back waits for a target in trouble. */
async function putAway(
  run: ProcessRun,
  phase: 'cut' | 'deprovision' | 'archive' | 'delete',
): Promise<'done' | 'rehired' | 'reopened'> {
  const work = await phaseBeside(run, phase);
  const ended = await endOf(run, work);
  if (ended !== 'done') await work.stop();
  return ended;
}

/** Waits for work beside, for as long as nobody comes back. */
async function endOf(run: ProcessRun, work: PhaseBeside | undefined): Promise<'done' | 'rehired' | 'reopened'> {
  if (work === undefined) return 'done';
  for (;;) {
    await condition(() => work.isDone() || run.isTailStopped() || run.isAmended());
    if (work.failure() !== undefined) throw work.failure();
    if (work.isDone()) return 'done';
    if (!run.isTailStopped()) await run.open();
    if (!run.isTailStopped() && !run.isCancelled) continue;
    return run.isTailStopped() ? 'rehired' : 'reopened';
  }
}

async function untilRetained(
  run: ProcessRun,
  instantOf: (schedule: ProcessSchedule) => Instant,
): Promise<'due' | 'rehired' | 'reopened'> {
  for (;;) {
    const result = await run.untilDue(instantOf, 'retention', 'tail');
    if (result === 'due') return 'due';
    if (result === 'stopped') return 'rehired';
    await run.open();
    if (run.isCancelled) return 'reopened';
  }
}

/** As `untilRetained`, and for as long as a legal hold is on the person: only the later of the two lets what destroys begin. */
async function untilMayDestroy(
  run: ProcessRun,
  looks: Looks | undefined,
  instantOf: (schedule: ProcessSchedule) => Instant,
): Promise<'due' | 'rehired' | 'reopened'> {
  for (;;) {
    const due = await untilRetained(run, instantOf);
    if (due !== 'due' || run.schedule.isHeld !== true) return due;
    const free = await whileHeld(run, looks);
    if (free !== 'free') return free;
    // The date may have moved meanwhile.
    if (instantOf(run.schedule) <= now()) return 'due';
  }
}

/** For as long as a hold is on the person. The looks go on: a hold forbids to destroy, and an account that comes back is no less open for it. */
async function whileHeld(run: ProcessRun, looks?: Looks): Promise<'free' | 'rehired' | 'reopened'> {
  for (;;) {
    const due =
      looks !== undefined && run.schedule.isHeld === true && patched('held-looks') ? looks.nextAt() : undefined;
    await run.whileHeld('tail', due);
    if (run.schedule.isHeld !== true) return 'free';
    if (run.isTailStopped()) return 'rehired';
    if (run.isCancelled || looks === undefined) return 'reopened';
    const looked = await lookAgain(run, looks);
    if (looked !== 'done') return looked;
  }
}

/** The exact undo of a joiner whose hire was rescinded: what it made is gone, what was there before is closed, the name stays blocked (edge case 9). */
async function undoHire(run: ProcessRun): Promise<string> {
  await run.enterCut();
  const older = await bookkeeping.olderWrites(run.ref);
  if (run.schedule.isHeld === true) {
    // Closed and proven at once; what the hire had made is destroyed when it may be.
    await executePhase(run, 'cut');
    await executePhase(run, 'deprovision');
    const free = await whileHeld(run);
    if (free !== 'free') return free;
  }
  await executePhase(run, 'undo');
  await outlastOlderWrites(run, [...older.live, ...older.unclear], ['undo']);
  await bookkeeping.releaseNames(run.ref);
  return 'undone';
}
