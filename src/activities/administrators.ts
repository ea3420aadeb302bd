import type { AccountRef, Connector, OperationContext } from '../connectors/connector.js';
import type { PlannedVisit } from '../domain/plan/types.js';
import type { ApplicationPolicy } from '../domain/policy/types.js';
import type { ApplicationSlug, IdentityId, Instant, ProcessId } from '../domain/process/ids.js';
import { worksHere } from '../planning/approver.js';
import { applicationOf } from './connector-pool.js';
import type { ActivityDeps } from './deps.js';
import { pinnedPolicy } from './pinned-policy.js';
import { readingContext, withConnector } from './open-connector.js';

export interface AdministratorsInput {
  readonly identityId: IdentityId;
  readonly processId: ProcessId;
  readonly application: ApplicationSlug;
  readonly now: Instant;
}

/** `none`: the leaver administers nothing here. `unknown`: the target cannot say who else does, which never counts as somebody. */
export type Successors = 'none' | 'others' | 'last' | 'unknown';

const TIMEOUT_MS = 20_000;

/**
 * Whether anybody but the leaver is left who administers an application: members of its administrative entitlements, read from the group's side, whose account is
 * enabled and who are not leaving themselves as far as Tenure knows. Reads only; safe to repeat; raises the connector's failures.
 */
export async function lookForSuccessors(
  deps: ActivityDeps,
  input: AdministratorsInput,
  signal: AbortSignal,
): Promise<{ readonly successors: Successors }> {
  const policy = await pinnedPolicy(deps, deps.db, input.processId);
  const application = applicationOf(policy, input.application);
  if (application === undefined) return { successors: 'none' };
  const own = await ownMemberships(deps, input);
  const key = `${input.processId}/administrators/${input.application}`;
  const successors = await withConnector(deps, { application, policy, signal }, (connector) =>
    read(deps, {
      input,
      application,
      connector,
      own,
      ctx: readingContext(deps, { key, signal, timeoutMs: TIMEOUT_MS }),
    }),
  );
  return { successors };
}

interface Look {
  readonly input: AdministratorsInput;
  readonly application: ApplicationPolicy;
  readonly connector: Connector;
  readonly own: { readonly nativeIds: ReadonlySet<string>; readonly entitlements: ReadonlySet<string> };
  readonly ctx: OperationContext;
}

async function read(deps: ActivityDeps, look: Look): Promise<Successors> {
  const { application, connector, own } = look;
  const isTold = application.administrators.some((name) => own.entitlements.has(name));
  if (connector.listMembers === undefined) return isTold ? 'unknown' : 'none';
  let found: Successors = 'none';
  for (const name of application.administrators) {
    const { members, isComplete } = await membersOf(look, name);
    if (!own.entitlements.has(name) && !members.some((ref) => own.nativeIds.has(ref.nativeId))) continue;
    const others = members.filter((ref) => !own.nativeIds.has(ref.nativeId));
    if (await someStands(deps, look, others)) found = 'others';
    else return isComplete ? 'last' : 'unknown';
  }
  return found;
}

async function membersOf(
  { application, connector, ctx }: Look,
  name: string,
): Promise<{ readonly members: readonly AccountRef[]; readonly isComplete: boolean }> {
  const members: AccountRef[] = [];
  let cursor: string | undefined;
  for (;;) {
    const page = await connector.listMembers?.({ application: application.slug, name }, cursor, ctx);
    if (page === undefined) return { members, isComplete: false };
    members.push(...page.items);
    if (page.next === undefined) return { members, isComplete: page.complete };
    cursor = page.next;
  }
}

/** One who works here, or whom Tenure does not know, with an account that is enabled. */
async function someStands(deps: ActivityDeps, look: Look, members: readonly AccountRef[]): Promise<boolean> {
  for (const ref of members) {
    const linked = await deps.db
      .selectFrom('account')
      .select('identity_id')
      .where('application', '=', look.application.slug)
      .where('native_id', '=', ref.nativeId)
      .where('unlinked_at', 'is', null)
      .executeTakeFirst();
    if (linked !== undefined && !(await worksHere(deps.db, deps.keys, linked.identity_id, look.input.now))) continue;
    if ((await look.connector.get(ref, look.ctx))?.status === 'enabled') return true;
  }
  return false;
}

/** What the leaver's account is, and holds or held before this leaver took it away. */
async function ownMemberships(deps: ActivityDeps, input: AdministratorsInput): Promise<Look['own']> {
  const accounts = await deps.db
    .selectFrom('account')
    .select(['native_id', 'entitlements'])
    .where('identity_id', '=', input.identityId)
    .where('application', '=', input.application)
    .execute();
  const visits = await deps.db
    .selectFrom('visit')
    .select('body')
    .where('process_id', '=', input.processId)
    .where('application', '=', input.application)
    .where('phase', 'in', ['notice', 'deprovision'])
    .execute();
  const entitlements = new Set(accounts.flatMap((row) => row.entitlements));
  for (const { body } of visits) {
    const visit = await deps.keys.decryptFor(deps.db, input.identityId, 'visit', body);
    for (const name of removedBy(visit as unknown as PlannedVisit)) entitlements.add(name);
  }
  return { nativeIds: new Set(accounts.map((row) => row.native_id)), entitlements };
}

function removedBy(visit: PlannedVisit | undefined): readonly string[] {
  const steps = (visit?.operations ?? []).flatMap((one) => one.steps ?? [one]);
  return steps.flatMap((one) =>
    one.kind === 'remove-entitlement' && one.entitlement !== undefined ? [one.entitlement] : [],
  );
}
