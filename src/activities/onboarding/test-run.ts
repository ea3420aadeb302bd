import type { ApplicationSlug, Instant } from '../../domain/process/ids.js';
import { subjectOf } from '../../onboarding/subject.js';
import { reportOf } from '../../onboarding/report.js';
import { testApplication } from '../../onboarding/test-application.js';
import { connectorChecks } from '../../policy/connector-checks.js';
import type { ActivityDeps } from '../deps.js';
import { TenureError } from '../lib/boundary.js';

export interface TestRef {
  readonly testId: string;
  readonly application: ApplicationSlug;
  readonly now: Instant;
}

/**
 * Tests one application of the policy in force from here, where its target is reachable, and stores the report. Reads only; safe to repeat: the same row is written
 * again.
 */
export async function runApplicationTest(
  deps: ActivityDeps,
  ref: TestRef,
  signal: AbortSignal,
): Promise<{ readonly ok: boolean }> {
  const policy = await deps.policies.active(deps.db);
  const application = policy?.applications.find((one) => one.slug === ref.application);
  const file = policy?.files.find((one) => one.path === application?.login.file);
  if (policy === undefined || file === undefined) throw new TenureError('PolicyViolation', 'no-such-application');
  const { registry } = deps.connectors;
  const report = await testApplication(subjectOf(file, policy.files, connectorChecks(registry)), {
    registry,
    deps: deps.connectors.connectorDeps,
    prepare: (config) => deps.connectors.prepare(config, signal),
    signal,
    progress: async (stage) => {
      await deps.db
        .updateTable('application_test')
        .set({ stage })
        .where('test_id', '=', ref.testId)
        .where('state', '=', 'running')
        .execute();
    },
  });
  await store(deps, ref, report);
  return { ok: report.ok };
}

/** Ends a test that could not be made: nobody serves the application's queue, or it did not come to its end. */
export async function endTest(deps: ActivityDeps, ref: TestRef & { readonly code: string }): Promise<void> {
  const message =
    ref.code === 'no-worker'
      ? `no worker serves the queue application-${ref.application}: start one near the target, or restart it after a new application was published`
      : 'the test did not come to its end';
  await store(
    deps,
    ref,
    reportOf(ref.application, new Set(), [{ check: 'configuration', severity: 'error', code: ref.code, message }]),
  );
}

async function store(deps: ActivityDeps, ref: TestRef, report: object): Promise<void> {
  await deps.db
    .updateTable('application_test')
    .set({ state: 'done', report: JSON.stringify(report), ended_at: ref.now })
    .where('test_id', '=', ref.testId)
    .where('state', '=', 'running')
    .execute();
}
