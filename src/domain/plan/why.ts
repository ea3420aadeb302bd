import type { ApplicationSlug } from '../process/ids.js';
import { desiredAccounts } from './desired.js';
import { decideGrants } from './grants.js';
import type { DesiredInput, GrantDecision, Objection } from './grants.js';
import { approvalKey } from './operations.js';
import type { ApprovalState } from './plan.js';
import type { ActualAccount, Reason } from './types.js';

export interface WhyInput extends DesiredInput {
  /** Linked accounts as last observed, to tell what is held without being desired. */
  readonly actual?: readonly ActualAccount[];
  readonly approvals?: ReadonlyMap<string, ApprovalState>;
}

export interface ObjectionNote {
  readonly objection: Objection | 'approval-denied' | 'approval-pending' | 'no-employment' | 'no-grant';
  /** Role slug, assignment id or approval key. */
  readonly rule: string;
  readonly factIds: readonly string[];
}

export interface Explained {
  /** Absent: the account itself. */
  readonly entitlement?: string;
  readonly desired: boolean;
  readonly held: boolean;
  readonly for: readonly Reason[];
  readonly against: readonly ObjectionNote[];
}

export interface Explanation {
  readonly application: ApplicationSlug;
  readonly account: Explained;
  /** Every entitlement that policy knows here, an assignment names, or the account holds; by name. */
  readonly entitlements: readonly Explained[];
}

/**
 * Why a person has, or does not have, an account and its entitlements in one application. Made from the same decisions as execution
 * (`decideGrants`, `desiredAccounts`), so it cannot tell another story. Throws PolicyEvaluationError. Pure.
 */
export function why(input: WhyInput, application: ApplicationSlug): Explanation {
  const decisions = decideGrants(input).filter((one) => one.application === application);
  const desired = desiredAccounts(input).find((one) => one.application === application);
  const accounts = (input.actual ?? []).filter((one) => one.application === application);
  const held = new Set(accounts.flatMap((account) => account.entitlements));
  const wanted = new Map((desired?.entitlements ?? []).map((one) => [one.name, one]));
  const names = new Set([...wanted.keys(), ...held, ...knownEntitlements(input, application, decisions)]);
  const accountGate = desired?.sensitive === true ? gate(input, approvalKey(application)) : [];
  return {
    application,
    account: {
      desired: desired !== undefined && !isDenied(accountGate),
      held: accounts.length > 0,
      for: desired?.reasons ?? [],
      against: [...objections(input, decisions), ...accountGate],
    },
    entitlements: [...names].sort().map((name) => {
      const found = wanted.get(name);
      const own = found?.sensitive === true ? gate(input, approvalKey(application, name)) : [];
      return {
        entitlement: name,
        desired: found !== undefined && !isDenied(own) && !isDenied(accountGate),
        held: held.has(name),
        for: found?.reasons ?? [],
        against: [
          ...objections(
            input,
            decisions.filter((one) => one.entitlement === name),
          ),
          ...own,
          ...accountGate,
        ],
      };
    }),
  };
}

function knownEntitlements(
  input: WhyInput,
  application: ApplicationSlug,
  decisions: readonly GrantDecision[],
): readonly string[] {
  const grants = input.policy.roles.flatMap((role) => role.grants).filter((one) => one.application === application);
  return [...grants, ...decisions].flatMap((one) => one.entitlement ?? []);
}

function objections(input: WhyInput, decisions: readonly GrantDecision[]): readonly ObjectionNote[] {
  const noted = decisions.flatMap(({ objection, reason }) =>
    objection === undefined ? [] : [{ objection, rule: reason.rule, factIds: reason.factIds }],
  );
  if (decisions.length > 0) {
    return noted;
  }
  const nobody = !input.state.employments.some((one) => one.status === 'active' || one.status === 'suspended');
  return [{ objection: nobody ? 'no-employment' : 'no-grant', rule: '', factIds: [] }];
}

function gate(input: WhyInput, key: string): readonly ObjectionNote[] {
  const state = input.approvals?.get(key) ?? 'pending';
  return state === 'approved'
    ? []
    : [{ objection: state === 'denied' ? 'approval-denied' : 'approval-pending', rule: key, factIds: [] }];
}

function isDenied(notes: readonly ObjectionNote[]): boolean {
  return notes.some((note) => note.objection === 'approval-denied');
}
