import { bookkeeping, probes } from './lib/activities.js';
import { rethrowIfCancelled } from './lib/fail.js';
import { now } from './lib/wait.js';

/** Asks every target of the policy how it is, each on its application's queue; started by a schedule. One row per application holds the answer. */
export async function applicationHealthWorkflow(): Promise<{ probed: number; failed: number }> {
  const { applications } = await bookkeeping.listProbed({});
  const answers = await Promise.all(
    applications.map(async (application) => {
      try {
        return (await probes(application).probeHealth({ application, now: now() })).ok;
      } catch (error) {
        rethrowIfCancelled(error);
        await bookkeeping.noteUnserved({ application, now: now() });
        return false;
      }
    }),
  );
  return { probed: answers.length, failed: answers.filter((ok) => !ok).length };
}
