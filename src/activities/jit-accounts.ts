import { randomUUID } from 'node:crypto';
import type { Queryable } from '../db/database.js';
import { mappingContext } from '../domain/plan/context.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import { brand } from '../domain/process/ids.js';
import type { AccountId, ApplicationSlug, IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import type { Connector, ObservedAccount } from '../connectors/connector.js';
import { loadNames } from '../planning/names.js';
import { loadPerson } from '../planning/person.js';
import { applicationOf } from './connector-pool.js';
import type { ActivityDeps } from './deps.js';
import { pinnedPolicy } from './pinned-policy.js';
import { TenureError } from './lib/boundary.js';
import { readingContext, withConnector } from './open-connector.js';

interface Ref {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly now: Instant;
}

const TIMEOUT_MS = 10_000;

/** Applications whose accounts the first sign-in makes, behind Tenure's back, and where none of this person is linked: a cut has to look there. */
export async function unseenApplications(
  db: Queryable,
  identityId: IdentityId,
  policy: CompiledPolicy,
): Promise<readonly ApplicationSlug[]> {
  const jit = policy.applications.filter((application) => application.mode === 'jit');
  if (jit.length === 0) return [];
  const linked = await db
    .selectFrom('account')
    .select('application')
    .where('identity_id', '=', identityId)
    .where('unlinked_at', 'is', null)
    .execute();
  const known = new Set(linked.map((row) => row.application));
  return jit.map((application) => application.slug).filter((slug) => !known.has(slug));
}

/**
 * Looks for the account that a first sign-in may have made at one application, by the login that policy gives and by the strong keys, and links it, so that the
 * next plan of the cut finds it (seed: deprovisioning complexity of JIT). Read-only at the target; safe to repeat; raises the connector's failure.
 */
export async function linkJitAccount(
  deps: ActivityDeps,
  input: Ref & { readonly application: string },
  signal: AbortSignal,
): Promise<{ readonly linked: number }> {
  const policy = await pinnedPolicy(deps, deps.db, input.processId);
  const application = applicationOf(policy, brand<ApplicationSlug>(input.application));
  if (application === undefined) return { linked: 0 };
  const keys = await searchKeys(deps, policy, application, input);
  const found = await withConnector(deps, { application, policy, signal }, (connector) =>
    searched(deps, connector, keys, { key: `${input.processId}/jit/${application.slug}`, signal }),
  );
  if (found.size > 1) throw new TenureError('AccountCollision', 'two-candidates');
  const [account] = found.values();
  return { linked: account === undefined ? 0 : await link(deps.db, input, application, account) };
}

type SearchKey = { readonly attribute: string; readonly value: string };

/** The accounts that have one of these keys, by native id; a key that the target cannot search by is left out. */
async function searched(
  deps: ActivityDeps,
  connector: Connector,
  keys: readonly SearchKey[],
  call: { readonly key: string; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, ObservedAccount>> {
  const findBy = connector.capabilities().objectClasses.account.findBy;
  const found = new Map<string, ObservedAccount>();
  for (const key of keys) {
    if (key.attribute !== 'login' && !findBy.includes(key.attribute) && !findBy.includes('*')) continue;
    const accounts = await connector.find(key, readingContext(deps, { ...call, timeoutMs: TIMEOUT_MS }));
    for (const account of accounts) found.set(account.ref.nativeId, account);
  }
  return found;
}

async function searchKeys(
  deps: ActivityDeps,
  policy: CompiledPolicy,
  application: ApplicationPolicy,
  input: Ref,
): Promise<readonly SearchKey[]> {
  const person = await loadPerson(deps.db, deps.keys, input.identityId);
  const state = person.stateAt(input.now);
  const speaker = state.primary;
  const account = await loadNames(deps.db, input.identityId);
  if (speaker === undefined || account.userName === '') return [];
  const context = mappingContext({ identityId: input.identityId, state, account }, speaker, speaker);
  const attributes = policy.evaluate.attributes(application.slug, context);
  const strong = application.correlation.strong.flatMap((attribute) => {
    const value = attributes[attribute];
    return typeof value === 'string' && value !== '' ? [{ attribute, value }] : [];
  });
  return [{ attribute: 'login', value: policy.evaluate.login(application.slug, context) }, ...strong];
}

async function link(
  db: Queryable,
  input: Ref,
  application: ApplicationPolicy,
  account: ObservedAccount,
): Promise<number> {
  const row = await db
    .insertInto('account')
    .values({
      account_id: brand<AccountId>(randomUUID()),
      identity_id: input.identityId,
      application: application.slug,
      native_id: account.ref.nativeId,
      login: account.login,
      status: account.status,
      attributes: JSON.stringify(account.attributes),
      entitlements: [...(account.entitlements ?? [])],
      secret: null,
      created_by_process: null,
      observed_at: input.now,
      unlinked_at: null,
    })
    .onConflict((conflict) =>
      conflict.columns(['application', 'native_id']).where('unlinked_at', 'is', null).doNothing(),
    )
    .returning('account_id')
    .executeTakeFirst();
  return row === undefined ? 0 : 1;
}
