import { ActivityFailure, TimeoutFailure } from '@temporalio/workflow';
import { applicationTests, bookkeeping } from './lib/activities.js';
import { rethrowIfCancelled } from './lib/fail.js';
import { now } from './lib/wait.js';
import type { ApplicationTestInput } from './messages.js';

/** Tests one application on its own queue. However it ends, its row says so; the findings are in Postgres alone. */
export async function applicationTestWorkflow(input: ApplicationTestInput): Promise<{ ok: boolean }> {
  const ref = { ...input, now: now() };
  try {
    return await applicationTests(input.application).runApplicationTest(ref);
  } catch (error) {
    rethrowIfCancelled(error);
    await bookkeeping.endTest({ ...ref, now: now(), code: isUnserved(error) ? 'no-worker' : 'test-failed' });
    return { ok: false };
  }
}

/** Nobody took the activity from its queue. */
function isUnserved(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof TimeoutFailure &&
    error.cause.timeoutType === 'SCHEDULE_TO_START'
  );
}
