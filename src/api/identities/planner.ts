import type { Queryable } from '../../db/database.js';
import type { KeyRing } from '../../db/keys.js';
import type { Fact } from '../../domain/ledger/types.js';
import { why } from '../../domain/plan/why.js';
import type { Explanation } from '../../domain/plan/why.js';
import type { ApplicationSlug, IdentityId, Instant } from '../../domain/process/ids.js';
import { loadActual } from '../../planning/accounts.js';
import { loadNames } from '../../planning/names.js';
import { personOf } from '../../planning/person.js';
import { desiredInput } from '../../planning/plan-service.js';
import type { PolicyStore } from '../../planning/policy-store.js';

export interface PlannerInput {
  readonly identityId: IdentityId;
  readonly facts: readonly Fact[];
  readonly now: Instant;
}

/** The questions that the API asks the plan engine; none of them writes anything. */
export interface Planner {
  /** What would be done from now on if these were the person's facts; undefined while no policy was published. */
  preview(input: PlannerInput): Promise<object | undefined>;
  /** Why each application is desired or held, or not; undefined while no policy was published. */
  explain(input: PlannerInput, application?: ApplicationSlug): Promise<readonly Explanation[] | undefined>;
}

/** Made from the same functions as execution, so that it cannot tell another story (design D4). */
export function createPlanner(deps: {
  readonly db: Queryable;
  readonly keys: KeyRing;
  readonly policies: PolicyStore;
  readonly preview: Planner['preview'];
}): Planner {
  return {
    preview: deps.preview,
    async explain({ identityId, facts, now }, application) {
      const { db, keys } = deps;
      const policy = await deps.policies.active(db);
      if (policy === undefined) return undefined;
      const names = await loadNames(db, identityId);
      const actual = await loadActual(db, identityId, undefined);
      const person = personOf(identityId, facts);
      const input = await desiredInput(db, keys, { person, policy, names, desiredAt: now });
      const approvals = await approvalsOf(db, identityId);
      const slugs = application === undefined ? policy.applications.map((one) => one.slug) : [application];
      return slugs.map((slug) => why({ ...input, actual, approvals }, slug));
    },
  };
}

/** The newest word on each sensitive entitlement. */
async function approvalsOf(
  db: Queryable,
  identityId: IdentityId,
): Promise<ReadonlyMap<string, 'approved' | 'denied' | 'pending'>> {
  const rows = await db
    .selectFrom('approval')
    .select(['entitlement_key', 'status'])
    .where('identity_id', '=', identityId)
    .orderBy('requested_at')
    .execute();
  return new Map(
    rows.map(({ entitlement_key, status }) => [
      entitlement_key,
      status === 'approved' || status === 'pending' ? status : 'denied',
    ]),
  );
}
