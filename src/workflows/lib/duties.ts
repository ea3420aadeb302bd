import { getExternalWorkflowHandle, isCancellation } from '@temporalio/workflow';
import type { ApplicationSlug } from '../../domain/process/ids.js';
import { bookkeeping, duties, successors } from './activities.js';
import { amendedSignal } from '../messages.js';
import { quietly } from './quietly.js';
import type { ProcessRun } from './process-run.js';

/**
 * Hands on what waits for a leaver's decision, and tells an operator where nobody is left who administers. Runs beside notice and cut, which never wait for it; costs
 * one look in our own database where there is nothing.
 */
export async function handOnDuties(run: ProcessRun): Promise<void> {
  const { approvals, administered, isLastAdminOfTenure, serviceAccounts } = await bookkeeping.dutiesOf(run.ref);
  if (isLastAdminOfTenure) await run.raiseIncident('last-administrator', 'last-administrator');
  await Promise.all([
    approvals > 0 ? duties.handOnApprovals(run.ref) : undefined,
    (serviceAccounts ?? 0) > 0 ? handOnServiceAccounts(run) : undefined,
    ...administered.map((application) => askForSuccessor(run, application)),
  ]);
}

/** The processes that ask about them look again: whoever has left has no voice any more. */
async function handOnServiceAccounts(run: ProcessRun): Promise<void> {
  const { tell } = await duties.handOnServiceAccounts(run.ref);
  await Promise.all(tell.map((workflowId) => quietly(getExternalWorkflowHandle(workflowId).signal(amendedSignal))));
}

/** Somebody else must be able to administer an application: nobody there, and nobody whom the target could tell, is an operator's question. */
async function askForSuccessor(run: ProcessRun, application: ApplicationSlug): Promise<void> {
  const found = await whoElse(run, application);
  if (found === 'last') await run.raiseIncident('last-administrator', 'last-administrator', application);
  if (found === 'unknown') await run.raiseIncident('last-administrator', 'administrators-unknown', application);
}

async function whoElse(run: ProcessRun, application: ApplicationSlug) {
  try {
    const look = successors(application, run.schedule.visitPatienceMs);
    return (await look.lookForSuccessors({ ...run.ref, application })).successors;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return 'unknown';
  }
}
