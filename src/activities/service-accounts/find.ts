import { randomUUID } from 'node:crypto';
import { brand } from '../../domain/process/ids.js';
import type { AccountId, ApplicationSlug, IdentityId, Instant, ProcessId } from '../../domain/process/ids.js';
import type { ObservedAccount } from '../../connectors/connector.js';
import { applicationOf } from '../connector-pool.js';
import type { ActivityDeps } from '../deps.js';
import { TenureError } from '../lib/boundary.js';
import { readingContext, withConnector } from '../open-connector.js';
import { BY_HAND } from '../visit/by-hand.js';
import type { VisitWrites } from '../visit/writes.js';

const CALL_TIMEOUT_MS = 30_000;

/** `somebodys`: the account is linked to a person. `by-hand`: nothing can look there, so hands will. */
export type Finding = 'found' | 'by-hand' | 'not-found' | 'ambiguous' | 'somebodys';

/**
 * Looks for a service account at its target by its login, links it to its own identity and notes how it stands: whether it is open counts for as long as nothing was
 * done to it. Read-only at the target; raises the connector's failure. Safe to repeat.
 */
export async function findServiceAccount(
  deps: ActivityDeps,
  ref: { readonly identityId: IdentityId; readonly processId: ProcessId; readonly now: Instant },
  signal: AbortSignal,
): Promise<{ readonly finding: Finding }> {
  const row = await deps.db
    .selectFrom('service_account')
    .innerJoin('process', 'process.process_id', 'service_account.process_id')
    .select(['service_account.application', 'service_account.login', 'process.policy_version'])
    .where('service_account.identity_id', '=', ref.identityId)
    .executeTakeFirstOrThrow();
  const policy = await deps.policies.get(deps.db, row.policy_version);
  const application = applicationOf(policy, row.application);
  if (application === undefined) throw new TenureError('NotFound', 'application-not-in-policy');
  if (application.mode === 'manual') {
    const known = { nativeId: `${BY_HAND}${ref.identityId}`, login: row.login, status: 'unknown' as const };
    return { finding: (await link(deps, ref, row.application, known)) ? 'by-hand' : 'somebodys' };
  }
  const found = await withConnector(deps, { application, policy, signal }, (connector) =>
    connector.find(
      { attribute: 'login', value: row.login },
      readingContext(deps, { key: `${ref.processId}/find`, signal, timeoutMs: CALL_TIMEOUT_MS }),
    ),
  );
  const [one, other] = found;
  if (one === undefined) return { finding: 'not-found' };
  if (other !== undefined) return { finding: 'ambiguous' };
  const isOurs = await link(deps, ref, row.application, seen(one));
  return { finding: isOurs ? 'found' : 'somebodys' };
}

type Seen = Pick<ObservedAccount, 'login' | 'status'> & {
  readonly nativeId: string;
  readonly attributes?: ObservedAccount['attributes'];
  readonly entitlements?: readonly string[];
};

function seen({ ref, login, status, entitlements }: ObservedAccount): Seen {
  return { nativeId: ref.nativeId, login, status, entitlements: entitlements ?? [] };
}

/** False when the account is somebody's. */
async function link(
  deps: ActivityDeps,
  ref: { readonly identityId: IdentityId; readonly processId: ProcessId; readonly now: Instant },
  application: ApplicationSlug,
  found: Seen,
): Promise<boolean> {
  const account: Parameters<VisitWrites['link']>[0] = {
    account_id: brand<AccountId>(randomUUID()),
    identity_id: ref.identityId,
    application,
    native_id: found.nativeId,
    login: found.login,
    status: found.status,
    attributes: {},
    entitlements: [...(found.entitlements ?? [])],
    created_by_process: null,
    closed_by_tenure: false,
    observed_at: ref.now,
  };
  if ((await deps.visitWrites.link(account)) === undefined) return false;
  await deps.db
    .updateTable('service_account')
    .set({ was_enabled: found.status === 'enabled' || found.status === 'unknown' })
    .where('identity_id', '=', ref.identityId)
    .where((none) =>
      none.not(
        none.exists(
          none
            .selectFrom('visit')
            .select('visit_id')
            .where('process_id', '=', ref.processId)
            .where('phase', '=', 'scream-test')
            .where((eb) => eb.or([eb('first_write_at', 'is not', null), eb('outcome', 'is not', null)])),
        ),
      ),
    )
    .execute();
  return true;
}
