import type { ApplicationPolicy, MappingContext } from '../policy/types.js';
import { withMoves } from '../migration/moves.js';
import type { ApplicationSlug } from '../process/ids.js';
import { contextAt, mappingContext } from './context.js';
import { decideGrants, liveEmployments, speakerOf } from './grants.js';
import type { DesiredInput, GrantDecision } from './grants.js';
import type { DesiredAccount, DesiredEntitlement, Reason } from './types.js';

/**
 * What a person's accounts should be at `input.at`: the union over all live employments and assignments, each account and entitlement with the
 * rules and facts that justify it. An application that nothing justifies is absent. Attribute names absent from `attributes` are left alone at the
 * target, null clears. Moves to another application are laid over. In the policy's order of applications. Throws PolicyEvaluationError. Pure: the same input gives the same accounts.
 */
export function desiredAccounts(input: DesiredInput): readonly DesiredAccount[] {
  const speaker = speakerOf(input.state);
  if (!speaker) {
    return [];
  }
  const held = new Map<ApplicationSlug, GrantDecision[]>();
  for (const grant of decideGrants(input).filter((one) => one.holds)) {
    held.set(grant.application, [...(held.get(grant.application) ?? []), grant]);
  }
  const context = mappingContext(input, speaker, speaker);
  const given = input.policy.applications.flatMap((application) => {
    const grants = held.get(application.slug);
    const seen = contextAt(context, input, speaker, application.slug);
    return grants === undefined ? [] : [desiredAccount(input, application, seen, grants)];
  });
  return withMoves(given, input.moves ?? []);
}

function desiredAccount(
  input: DesiredInput,
  application: ApplicationPolicy,
  context: MappingContext,
  grants: readonly GrantDecision[],
): DesiredAccount {
  const active = liveEmployments(input.state).filter((employment) => employment.status === 'active');
  // An assignment that names no employment is carried by whichever one is active.
  const enabled = grants.some(
    (grant) => grant.employmentId === undefined || active.some((one) => one.employmentId === grant.employmentId),
  );
  return {
    application: application.slug,
    mode: application.mode,
    login: input.policy.evaluate.login(application.slug, context),
    enabled,
    attributes: input.policy.evaluate.attributes(application.slug, context),
    entitlements: entitlementsOf(grants),
    reasons: reasonsOf(grants),
    sensitive: grants.every((grant) => grant.sensitive && grant.entitlement === undefined),
  };
}

function entitlementsOf(grants: readonly GrantDecision[]): readonly DesiredEntitlement[] {
  const names = [...new Set(grants.flatMap((grant) => grant.entitlement ?? []))].sort();
  return names.map((name) => {
    const justifying = grants.filter((grant) => grant.entitlement === name);
    return {
      name,
      // The highest risk rule wins (edge case 44).
      sensitive: justifying.some((grant) => grant.sensitive),
      cutAtNotice: justifying.some((grant) => grant.cutAtNotice),
      reasons: reasonsOf(justifying),
    };
  });
}

function reasonsOf(grants: readonly GrantDecision[]): readonly Reason[] {
  const seen = new Set<string>();
  return grants
    .map((grant) => grant.reason)
    .filter((reason) => {
      const key = `${reason.kind}/${reason.rule}/${reason.factIds.join(',')}`;
      const isNew = !seen.has(key);
      seen.add(key);
      return isNew;
    });
}
