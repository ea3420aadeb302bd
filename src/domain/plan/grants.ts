import type { EmploymentState, PersonState } from '../ledger/types.js';
import type { ApplicationSlug, EmploymentId, Instant } from '../process/ids.js';
import type { CompiledPolicy, EntitlementGrant, RolePolicy, RuleContext } from '../policy/types.js';
import { mappingContext } from './context.js';
import type { Move } from '../migration/moves.js';
import type { ContextInput } from './context.js';
import type { Assignment, Reason } from './types.js';

export interface DesiredInput extends ContextInput {
  readonly policy: CompiledPolicy;
  readonly assignments: readonly Assignment[];
  /** The person's part in planned migrations, laid over what policy says. */
  readonly moves?: readonly Move[];
  /** The instant that `state` stands for. */
  readonly at: Instant;
}

export type Objection = 'rule-not-met' | 'cut-at-notice' | 'assignment-not-valid' | 'employment-not-active';

/** One grant, asked for one employment: does it hold, and if not, why not. The one place where access is decided. */
export interface GrantDecision {
  readonly application: ApplicationSlug;
  readonly entitlement?: string;
  readonly sensitive: boolean;
  readonly cutAtNotice: boolean;
  readonly employmentId?: EmploymentId;
  readonly holds: boolean;
  readonly objection?: Objection;
  readonly reason: Reason;
}

/** Employments that justify access: the active ones; a suspended one keeps its accounts, disabled. */
export function liveEmployments(state: PersonState): readonly EmploymentState[] {
  return state.employments.filter((employment) => employment.status === 'active' || employment.status === 'suspended');
}

/** The employment that speaks for the person among the live ones. */
export function speakerOf(state: PersonState): EmploymentState | undefined {
  const live = liveEmployments(state);
  return live.find((employment) => employment.employmentId === state.primary?.employmentId) ?? live[0];
}

/**
 * Every grant of the policy and of the assignments, decided for every live employment (edge case 44: what one employment loses, another may still
 * justify). Both desired state and "why" are made from this list. Throws PolicyEvaluationError. Pure.
 */
export function decideGrants(input: DesiredInput): readonly GrantDecision[] {
  const live = liveEmployments(input.state);
  const speaker = speakerOf(input.state);
  const roles = input.policy.roles.filter((role) => role.when !== undefined);
  const birthright = live.flatMap((employment) => {
    const context = mappingContext(input, speaker ?? employment, employment);
    return roles.flatMap((role) => birthrightDecisions(input, context, employment, role));
  });
  return [...birthright, ...input.assignments.flatMap((assignment) => assignmentDecisions(input, live, assignment))];
}

function birthrightDecisions(
  input: DesiredInput,
  context: RuleContext,
  employment: EmploymentState,
  role: RolePolicy,
): readonly GrantDecision[] {
  const met = input.policy.evaluate.roleHolds(role.slug, context);
  const objection = met ? noticeObjection(role, employment, input.at) : 'rule-not-met';
  const reason: Reason = {
    kind: 'birthright',
    rule: role.slug,
    factIds: [...employment.because],
    origin: 'birthright',
  };
  return role.grants.map((grant) => decision(grant, role.cutAtNotice, reason, employment.employmentId, objection));
}

function noticeObjection(role: RolePolicy, employment: EmploymentState, at: Instant): Objection | undefined {
  const noticed = employment.noticeAt !== undefined && employment.noticeAt <= at;
  return role.cutAtNotice && noticed ? 'cut-at-notice' : undefined;
}

function assignmentDecisions(
  input: DesiredInput,
  live: readonly EmploymentState[],
  assignment: Assignment,
): readonly GrantDecision[] {
  const role = input.policy.roles.find((candidate) => candidate.slug === assignment.role);
  const carriers = live.filter(
    (employment) => assignment.employmentId === undefined || assignment.employmentId === employment.employmentId,
  );
  const objection = assignmentObjection(input.at, assignment, carriers, role);
  const carrier = carriers.find((employment) => employment.status === 'active') ?? carriers[0];
  const reason: Reason = {
    kind: 'assignment',
    rule: assignment.assignmentId,
    factIds: carriers.flatMap((employment) => employment.because),
    origin: assignment.origin,
  };
  return grantsOf(input.policy, assignment, role).map((grant) =>
    decision(grant, role?.cutAtNotice ?? false, reason, carrier?.employmentId, objection),
  );
}

function assignmentObjection(
  at: Instant,
  assignment: Assignment,
  carriers: readonly EmploymentState[],
  role: RolePolicy | undefined,
): Objection | undefined {
  if (assignment.validFrom > at || (assignment.validUntil !== undefined && assignment.validUntil <= at)) {
    return 'assignment-not-valid';
  }
  if (carriers.length === 0) {
    return 'employment-not-active';
  }
  const allNoticed = role !== undefined && carriers.every((employment) => noticeObjection(role, employment, at));
  return allNoticed ? 'cut-at-notice' : undefined;
}

function grantsOf(
  policy: CompiledPolicy,
  assignment: Assignment,
  role: RolePolicy | undefined,
): readonly EntitlementGrant[] {
  if (role) {
    return role.grants;
  }
  const { application, entitlement } = assignment;
  if (application === undefined) {
    return [];
  }
  // Sensitive anywhere in the policy means sensitive by request too.
  const sensitive = policy.roles.some((candidate) =>
    candidate.grants.some(
      (grant) => grant.application === application && grant.entitlement === entitlement && grant.sensitive,
    ),
  );
  return [{ application, sensitive, ...(entitlement === undefined ? {} : { entitlement }) }];
}

function decision(
  grant: EntitlementGrant,
  cutAtNotice: boolean,
  reason: Reason,
  employmentId: EmploymentId | undefined,
  objection: Objection | undefined,
): GrantDecision {
  return {
    application: grant.application,
    sensitive: grant.sensitive,
    cutAtNotice,
    reason,
    holds: objection === undefined,
    ...(grant.entitlement === undefined ? {} : { entitlement: grant.entitlement }),
    ...(employmentId === undefined ? {} : { employmentId }),
    ...(objection === undefined ? {} : { objection }),
  };
}
