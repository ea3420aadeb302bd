import { Context, getClient } from '@temporalio/activity';
import { lookForSuccessors } from './administrators.js';
import type { AdministratorsInput } from './administrators.js';
import { recordApproval, recordResolution, openTask, withdrawTask } from './decisions.js';
import type { ApprovalRecord, TaskRecord, TaskRequest } from './decisions.js';
import { warnSponsor } from './contract-end.js';
import type { WarningInput } from './contract-end.js';
import type { ActivityDeps } from './deps.js';
import { dutiesOf, handOnApprovals } from './duties.js';
import { listDue, wakeIdentities } from './due.js';
import type { DueQuery } from './due.js';
import { linkJitAccount } from './jit-accounts.js';
import { endSuspensions } from './leave.js';
import { guarded } from './lib/boundary.js';
import { releaseNames, reserveNames } from './names.js';
import { correlateImport } from './onboarding/correlate-import.js';
import { dropStaged, endImport } from './onboarding/end-import.js';
import { listProbed, noteUnserved, probeHealth } from './onboarding/health.js';
import type { HealthRef } from './onboarding/health.js';
import type { ImportRef } from './onboarding/import-run.js';
import { linkImport } from './onboarding/link-import.js';
import { stageAccounts } from './onboarding/stage-accounts.js';
import { endTest, runApplicationTest } from './onboarding/test-run.js';
import type { TestRef } from './onboarding/test-run.js';
import { olderWrites, recoverLostWrites } from './older-writes.js';
import { fixRevokeScope, planPhaseActivity } from './phase.js';
import type { PhaseInput } from './phase.js';
import { endProcess, enterCut, markProcess, markStopped, openProcess } from './process.js';
import type { ProcessEnd, ProcessMark } from './process.js';
import { beginMove, endMove, makeRoom } from './moves.js';
import type { MoveAnswer, MoveRef } from './moves.js';
import { advanceQueue } from './queue.js';
import type { QueueLook } from './queue.js';
import { discoverServiceAccounts } from './service-accounts/discover.js';
import { handOnServiceAccounts } from './service-accounts/hand-on.js';
import { findServiceAccount } from './service-accounts/find.js';
import { heedOperator, serviceAccountStep } from './service-accounts/step.js';
import type { OperatorWord } from './service-accounts/step.js';
import { lookAtCut } from './stays-dead.js';
import type { LookInput } from './stays-dead.js';
import { recordReport } from './report.js';
import type { ReportInput } from './report.js';
import { runSingleVisit, runSweep } from './sweep.js';
import type { Beat, Elapsed, SingleVisitInput, SweepInput } from './sweep.js';
import type { IdentityId, Instant, ProcessId, VisitId } from '../domain/process/ids.js';

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

/**
 * Every activity of Tenure, bound to its dependencies. Bookkeeping (our own database, at most two seconds) is run as local activities; `runSweep`,
 * `runSingleVisit` and `recoverLostWrites` reach targets and are regular ones. Whatever one throws leaves as a classified failure without personal values.
 */
export function createActivities(deps: ActivityDeps) {
  const unexpected = (error: unknown): void => {
    const name = error instanceof Error ? error.name : 'unknown';
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    const frames =
      error instanceof Error
        ? (error.stack ?? '').split('\n').filter((line) => line.trimStart().startsWith('at '))
        : [];
    deps.logger.error(
      { errorName: name, code, frames: frames.slice(0, 8) },
      'activity failed in a way nobody expected',
    );
  };
  const bind = <I, R>(run: (input: I) => Promise<R>): ((input: I) => Promise<R>) => guarded(run, unexpected);
  return {
    advanceQueue: bind((input: QueueLook) => advanceQueue(deps, input)),
    openProcess: bind((input: Ref) => openProcess(deps, input)),
    markProcess: bind((input: ProcessMark) => markProcess(deps, input)),
    enterCut: bind((input: Ref) => enterCut(deps, input)),
    endProcess: bind((input: ProcessEnd) => endProcess(deps, input)),
    markStopped: bind((input: Ref) => markStopped(deps, input)),
    reserveNames: bind((input: Ref & { readonly renames: boolean }) => reserveNames(deps, input)),
    releaseNames: bind((input: Ref) => releaseNames(deps, input)),
    planPhase: bind((input: PhaseInput) => planPhaseActivity(deps, input)),
    fixRevokeScope: bind((input: Ref) => fixRevokeScope(deps, input)),
    warnSponsor: bind((input: WarningInput) => warnSponsor(deps, input)),
    endSuspensions: bind((input: Ref) => endSuspensions(deps, input)),
    recordApproval: bind((input: ApprovalRecord) => recordApproval(deps, input)),
    openTask: bind((input: TaskRequest) => openTask(deps, input)),
    withdrawTask: bind((input: Ref & { readonly visitId: VisitId }) => withdrawTask(deps, input)),
    recordResolution: bind((input: TaskRecord) => recordResolution(deps, input)),
    olderWrites: bind((input: Ref & { readonly of?: readonly VisitId[] }) => olderWrites(deps, input)),
    recoverLostWrites: bind((input: Ref & { readonly visitIds: readonly VisitId[] }) =>
      beating((beat) => recoverLostWrites(deps, input, beat.signal)),
    ),
    linkJitAccount: bind((input: Ref & { readonly application: string }) =>
      beating((beat) => linkJitAccount(deps, input, beat.signal)),
    ),
    lookAtCut: bind((input: LookInput) => beating((beat) => lookAtCut(deps, input, beat.signal))),
    dutiesOf: bind((input: Ref) => dutiesOf(deps, input)),
    lookForSuccessors: bind((input: AdministratorsInput) =>
      beating((beat) => lookForSuccessors(deps, input, beat.signal)),
    ),
    handOnServiceAccounts: bind((input: Ref) => handOnServiceAccounts(deps, input)),
    discoverServiceAccounts: bind((input: ImportRef) =>
      beating((beat) => discoverServiceAccounts(deps, getClient(), input, beat)),
    ),
    handOnApprovals: bind((input: Ref) => handOnApprovals(deps, input)),
    beginMove: bind((input: MoveRef) => beating((beat) => beginMove(deps, input, beat.signal))),
    endMove: bind((input: MoveRef & MoveAnswer) => beating((beat) => endMove(deps, input, beat.signal))),
    makeRoom: bind((input: Pick<MoveRef, 'processId' | 'now'>) => makeRoom(deps, input)),
    recordReport: bind((input: ReportInput) => recordReport(deps, input)),
    listDue: bind((input: DueQuery) => listDue(deps, input)),
    wakeIdentities: bind((input: { readonly identityIds: readonly IdentityId[] }) =>
      wakeIdentities(getClient(), input),
    ),
    runSweep: bind((input: SweepInput) => beating((beat) => runSweep(deps, input, beat))),
    runSingleVisit: bind((input: SingleVisitInput) => beating((beat) => runSingleVisit(deps, input, beat))),
    runApplicationTest: bind((input: TestRef) => beating((beat) => runApplicationTest(deps, input, beat.signal))),
    endTest: bind((input: TestRef & { readonly code: string }) => endTest(deps, input)),
    stageAccounts: bind((input: ImportRef) => beating((beat) => stageAccounts(deps, input, beat))),
    correlateImport: bind((input: ImportRef) => beating((beat) => correlateImport(deps, input, beat))),
    linkImport: bind((input: ImportRef) => beating((beat) => linkImport(deps, input, beat))),
    endImport: bind((input: ImportRef & { readonly code?: string }) => endImport(deps, input)),
    dropStaged: bind((input: ImportRef) => dropStaged(deps, input)),
    listProbed: bind((_input: Record<string, never>) => listProbed(deps)),
    probeHealth: bind((input: HealthRef) => beating((beat) => probeHealth(deps, input, beat.signal))),
    serviceAccountStep: bind((input: Ref) => serviceAccountStep(deps, input)),
    heedOperator: bind((input: OperatorWord) => heedOperator(deps, input)),
    findServiceAccount: bind((input: Ref) => beating((beat) => findServiceAccount(deps, input, beat.signal))),
    noteUnserved: bind((input: HealthRef) => noteUnserved(deps, input)),
  };
}

export type Activities = ReturnType<typeof createActivities>;

const BEAT_MS = 3_000;

/** Runs an activity that reaches targets with a steady heartbeat, so that a killed worker is noticed within seconds and a cancellation is heard. */
async function beating<R>(run: (beat: Beat & Elapsed) => Promise<R>): Promise<R> {
  const context = Context.current();
  const { scheduledTimestampMs, currentAttemptScheduledTimestampMs } = context.info;
  const triedBeforeMs = Math.max(0, currentAttemptScheduledTimestampMs - scheduledTimestampMs);
  // Skipped time runs ahead of this machine's clock: then nothing is known of the queue, and nothing was waited.
  const queuedMs = Math.max(0, Date.now() - currentAttemptScheduledTimestampMs);
  const timer = setInterval(() => {
    context.heartbeat();
  }, BEAT_MS);
  try {
    return await run({
      signal: context.cancellationSignal,
      heartbeat: (detail) => {
        context.heartbeat(detail);
      },
      sinceScheduledMs: triedBeforeMs + queuedMs,
    });
  } finally {
    clearInterval(timer);
  }
}
