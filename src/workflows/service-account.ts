import type { ServiceAccountStep } from '../activities/service-accounts/step.js';
import { bookkeeping, lookUps } from './lib/activities.js';
import { executePhase } from './lib/execute-plan.js';
import { ProcessRun } from './lib/process-run.js';
import { waitUntil } from './lib/wait.js';
import type { ProcessInput, ProcessResult } from './messages.js';

/**
 * A service account that may not be needed any more. Its owners are asked; when all of them agree it is closed, and the secret left as it is; when nobody missed it
 * until the window ends, and one owner says so once more, it is deleted and proven gone. What comes next is decided anew each time from what is on record
 * (`domain/service-account`): a scream, an owner who leaves and a second thought count at once, whatever the process was waiting for.
 */
export async function serviceAccountWorkflow(input: ProcessInput): Promise<ProcessResult> {
  const run = new ProcessRun(input);
  return run.conduct(async () => {
    for (;;) {
      if (run.isAmended()) await run.open();
      const isDecided = run.decisionWatch();
      const next = await bookkeeping.serviceAccountStep(run.ref);
      run.expectApprovals(next.approvals);
      switch (next.step) {
        case 'find':
          await find(run, next);
          break;
        case 'await-voices':
          await run.nextDecision(isDecided);
          break;
        case 'close':
          // How it stands is read just before: that is what it is put back to.
          if (await find(run, next)) await executePhase(run, 'scream-test');
          break;
        case 'wait':
          await run.waitsFor('scream-test', next.until);
          await waitUntil(
            () => next.until,
            () => run.isAmended(),
            `nobody missed it until ${next.until}`,
          );
          break;
        case 'restore':
          await executePhase(run, 'restore');
          break;
        case 'remove':
          await executePhase(run, 'delete');
          break;
        case 'ask-operator':
          await askOperator(run, next, next.code);
          break;
        case 'end':
          return next.outcome;
      }
    }
  });
}

type OrphanCode = Extract<ServiceAccountStep, { step: 'ask-operator' }>['code'];

/** An account that is not there, is there twice, or is a person's, is an operator's matter. */
async function find(run: ProcessRun, next: ServiceAccountStep): Promise<boolean> {
  let isFound = false;
  await run.withOperator(async () => {
    const { finding } = await lookUps(next.application).findServiceAccount(run.ref);
    isFound = finding === 'found' || finding === 'by-hand';
    if (!isFound) await askOperator(run, next, 'account-not-found');
  }, next.application);
  return isFound;
}

/** Asks until somebody answers, or until something else makes the question a different one. */
async function askOperator(run: ProcessRun, next: ServiceAccountStep, code: OrphanCode): Promise<void> {
  const question = { kind: 'orphan', code, application: next.application } as const;
  const resolution = await run.askOperator(question, () => run.isAmended());
  if (resolution === undefined) return;
  await bookkeeping.heedOperator({ ...run.ref, round: next.round, code, resolution });
  if (code === 'scream-test-unproven' && resolution === 'retry') await executePhase(run, 'scream-test');
}
