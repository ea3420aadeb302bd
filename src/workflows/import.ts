import { patched, sleep } from '@temporalio/workflow';
import { bookkeeping, imports, listings } from './lib/activities.js';
import { reasonOf, rethrowIfCancelled } from './lib/fail.js';
import { now } from './lib/wait.js';
import type { ImportInput } from './messages.js';

/** How long what was staged may be looked at. MAINTENANCE: docs/onboarding.md; the API's `expiresAt`. */
const KEPT = '1 day';

/**
 * Takes over the accounts that a target has: lists them into Postgres, decides to whom each belongs, begins to ask about the service accounts among those that are
 * nobody's and, when asked to, links the sure ones. Four activities
 * however large the target is, each of which goes on where it stopped. What was staged is deleted after a day. A target that is away for too long ends the import
 * with its code; nothing is half done, and another import begins anew.
 */
export async function importWorkflow(input: ImportInput): Promise<{ outcome: string }> {
  const ref = () => ({ importId: input.importId, now: now() });
  const outcome = await run(input, ref);
  await bookkeeping.endImport({ ...ref(), ...(outcome === 'done' ? {} : { code: outcome }) });
  await sleep(KEPT);
  await bookkeeping.dropStaged(ref());
  return { outcome };
}

async function run(input: ImportInput, ref: () => Parameters<typeof imports.linkImport>[0]): Promise<string> {
  try {
    await listings(input.application).stageAccounts(ref());
    await imports.correlateImport(ref());
    // Imports from before there was anything to discover end without it.
    if (patched('service-accounts')) await imports.discoverServiceAccounts(ref());
    if (input.links) await imports.linkImport(ref());
    return 'done';
  } catch (error) {
    rethrowIfCancelled(error);
    return reasonOf(error).code;
  }
}
