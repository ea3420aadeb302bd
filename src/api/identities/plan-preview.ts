import type { ConnectorRegistry } from '../../connectors/registry.js';
import type { Queryable } from '../../db/database.js';
import type { KeyRing } from '../../db/keys.js';
import type { Transition } from '../../domain/ledger/types.js';
import { candidates, mailAddress } from '../../domain/naming/user-name.js';
import { mergePreview } from '../../domain/plan/describe.js';
import { simulatePlan } from '../../domain/plan/simulate.js';
import type { ActualAccount, Plan } from '../../domain/plan/types.js';
import type { CompiledPolicy } from '../../domain/policy/types.js';
import type { Instant } from '../../domain/process/ids.js';
import type { Phase } from '../../domain/process/kinds.js';
import { addDays, compare, laterOf } from '../../domain/time/instants.js';
import { loadActual } from '../../planning/accounts.js';
import { loadNames } from '../../planning/names.js';
import { personOf } from '../../planning/person.js';
import type { Person } from '../../planning/person.js';
import { computePhase } from '../../planning/plan-service.js';
import type { PolicyStore } from '../../planning/policy-store.js';
import { capabilitiesOf } from './capabilities.js';
import type { Planner, PlannerInput } from './planner.js';

/** One transition that is due or to come, and what it would do, phase by phase. */
export interface TransitionPreview {
  readonly transitionId: string;
  readonly kind: Transition['kind'];
  readonly effectiveAt: Instant;
  readonly preview: ReturnType<typeof mergePreview>;
  /** The plans in full, with attribute differences. */
  readonly plans: readonly Plan[];
}

/**
 * The preview of a person: every transition that no process has answered to yet, in order, each phase planned on what the one before leaves. The same
 * functions as in execution; nothing is reserved, written or sent.
 */
export function createPreview(deps: {
  readonly db: Queryable;
  readonly keys: KeyRing;
  readonly policies: PolicyStore;
  readonly registry: ConnectorRegistry;
}): Planner['preview'] {
  return async (input) => {
    const policy = await deps.policies.active(deps.db);
    if (policy === undefined) return undefined;
    const person = personOf(input.identityId, input.facts);
    const transitions = await unanswered(deps.db, person);
    const names = await namesOf(deps.db, person, policy, input);
    const capabilities = await capabilitiesOf(deps.registry, policy);
    let actual: readonly ActualAccount[] = await loadActual(deps.db, input.identityId, undefined);
    const previews: TransitionPreview[] = [];
    for (const transition of transitions) {
      const plans: Plan[] = [];
      for (const { phase, at } of phasesOf(transition, policy)) {
        const now = laterOf(at, input.now);
        const plan = await computePhase(deps.db, deps.keys, {
          person,
          policy,
          phase,
          kind: transition.kind,
          names,
          capabilities,
          approvals: new Map(),
          now,
          desiredAt: phase === 'provision' ? laterOf(transition.effectiveAt, now) : now,
          actual,
        });
        actual = simulatePlan(actual, plan);
        plans.push(plan);
      }
      const { id, kind, effectiveAt } = transition;
      previews.push({ transitionId: id, kind, effectiveAt, preview: mergePreview(plans), plans });
    }
    return {
      identityId: input.identityId,
      computedAt: input.now,
      policyVersion: policy.version,
      transitions: previews,
    };
  };
}

/** Standing transitions whose newest process answered to something else, or to nothing; what is over is over. */
async function unanswered(db: Queryable, person: Person): Promise<readonly Transition[]> {
  const rows = await db
    .selectFrom('process')
    .select(['transition_id', 'digest', 'state'])
    .where('identity_id', '=', person.identityId)
    .orderBy('revision')
    .execute();
  const newest = new Map(rows.map((row) => [row.transition_id, row]));
  return person.transitions
    .filter((one) => one.status === 'standing')
    .filter((one) => {
      const row = newest.get(one.id);
      return row === undefined || row.digest !== one.digest || row.state === 'running';
    })
    .sort((a, b) => compare(a.effectiveAt, b.effectiveAt));
}

function phasesOf(transition: Transition, policy: CompiledPolicy): readonly { phase: Phase; at: Instant }[] {
  const { lifecycle } = policy;
  const at = transition.effectiveAt;
  switch (transition.kind) {
    case 'joiner':
    case 'rehire':
      return [
        { phase: 'provision', at: addDays(at, -lifecycle.leadTimeDays) },
        { phase: 'activate', at },
      ];
    case 'mover':
    case 'name-change':
    case 'conversion':
      return [
        { phase: 'grant', at },
        { phase: 'revoke', at: addDays(at, lifecycle.moverGraceDays) },
      ];
    case 'leaver':
      return [
        ...(transition.noticeAt === undefined ? [] : [{ phase: 'notice' as const, at: transition.noticeAt }]),
        { phase: 'cut', at },
        { phase: 'deprovision', at },
        { phase: 'handover', at },
        { phase: 'archive', at: addDays(at, lifecycle.archiveAfterDays) },
        { phase: 'delete', at: addDays(at, lifecycle.deleteAfterDays) },
      ];
    case 'rescinded-hire':
      return [{ phase: 'undo', at }];
    case 'leave-start':
    case 'leave-end':
    case 'migration':
      return [];
  }
}

/** The names a person holds; for one who holds none yet the first free candidates, which are not reserved by asking. */
async function namesOf(
  db: Queryable,
  person: Person,
  policy: CompiledPolicy,
  input: PlannerInput,
): Promise<{ readonly userName: string; readonly mail: string }> {
  const held = await loadNames(db, input.identityId);
  if (held.userName !== '') return held;
  const start = person.transitions.find((one) => one.kind === 'joiner' || one.kind === 'rehire')?.effectiveAt;
  const state = person.stateAt(start === undefined ? input.now : laterOf(start, input.now));
  if (state.primary === undefined) return held;
  const wanted = candidates(state.primary.attributes, policy);
  const taken = await db
    .selectFrom('name_reservation')
    .select('name')
    .where('scope', '=', 'user-name')
    .where('folded', 'in', [...wanted.map((name) => name.toLowerCase()), ''])
    .execute();
  const userName = wanted.find((name) => !taken.some((row) => row.name.toLowerCase() === name.toLowerCase())) ?? '';
  return { userName, mail: userName === '' ? '' : mailAddress(userName, policy) };
}
