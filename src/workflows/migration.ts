import { CancellationScope } from '@temporalio/workflow';
import { moveStepOf } from '../domain/process/kinds.js';
import type { MoveStep } from '../domain/process/kinds.js';
import type { Instant } from '../domain/process/ids.js';
import { bookkeeping, moves, wakers } from './lib/activities.js';
import { settleApprovals } from './lib/approvals.js';
import { executePhase, phaseBeside } from './lib/execute-plan.js';
import { ProcessRun } from './lib/process-run.js';
import { now, waitUntil } from './lib/wait.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * One step of a person's move from one application to another: the new account beside the old one, the old one closed when the new one stands, what is left of it
 * put away in its time, or both as they were before. A step that is not through in the migration's patience has failed and leaves the move where it is. However it
 * ends, it makes room for the next move of its wave.
 */
export async function migrationWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  const step = moveStepOf(input.processId);
  const result = await run.conduct(async () => {
    if (step === 'archive' || step === 'delete') {
      await executePhase(run, step);
      return step === 'archive' ? 'archived' : 'deleted';
    }
    const begun = await moves(step).beginMove({ ...run.ref, step });
    const code = begun.code ?? (await carryOut(run, step));
    if (code === 'amended') return 'transition-cancelled';
    const ended = code === 'settled' ? {} : { code };
    const { outcome } = await moves(step).endMove({ ...run.ref, step, ...ended });
    return outcome;
  });
  if (step === 'coexist') await CancellationScope.nonCancellable(() => makeRoom(run));
  return result;
}

type Ended = 'settled' | 'not-settled' | 'amended';

/** An amendment that leaves the step standing (another generation), and an account that was found at the target, are planned anew. */
async function carryOut(run: ProcessRun, step: Exclude<MoveStep, 'archive' | 'delete'>): Promise<Ended> {
  const patienceMs = run.schedule.movePatienceMs ?? 0;
  // A roll-back has no end but its own: nobody is left between two accounts.
  const until = step === 'withdraw' ? FAR : (new Date(Date.now() + patienceMs).toISOString() as Instant);
  for (;;) {
    const isDecided = run.decisionWatch();
    const ended = await patiently(run, step, until);
    if (ended === 'stale') continue;
    const isThrough = ended === 'settled' && (await settleApprovals(run, step, isDecided)) === 'settled';
    if (isThrough || ended === 'not-settled') return ended;
    await run.open();
    if (run.isCancelled) return 'amended';
  }
}

async function patiently(run: ProcessRun, step: MoveStep, until: Instant): Promise<Ended | 'stale'> {
  const work = await phaseBeside(run, step);
  const isOver = (): boolean => work.isDone() || run.isAmended();
  const waited = await waitUntil(() => until, isOver, `${step} is carried out`);
  if (work.failure() !== undefined) throw work.failure();
  if (run.isAmended() || !work.isDone()) await work.stop();
  if (run.isAmended()) return 'amended';
  if (work.isDone() && waited === 'woken') return work.isStale() ? 'stale' : 'settled';
  return 'not-settled';
}

const FAR = '9999-12-31T00:00:00.000Z' as Instant;

async function makeRoom(run: ProcessRun): Promise<void> {
  const { identityIds } = await bookkeeping.makeRoom({ processId: run.input.processId, now: now() });
  if (identityIds.length > 0) await wakers.wakeIdentities({ identityIds });
}
