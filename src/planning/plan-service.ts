import type { Queryable } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import { desiredAccounts } from '../domain/plan/desired.js';
import type { DesiredInput } from '../domain/plan/grants.js';
import type { ManagerInput } from '../domain/plan/context.js';
import type { HandoverInput } from '../domain/plan/handover.js';
import { absenceAt } from '../domain/lifecycle/leave.js';
import { planPhase } from '../domain/plan/plan.js';
import type { ActualAccount, DesiredAccount, Plan } from '../domain/plan/types.js';
import { keptByMoves } from '../domain/migration/moves.js';
import type { Move } from '../domain/migration/moves.js';
import { restored } from '../domain/migration/snapshot.js';
import type { PersonState } from '../domain/ledger/types.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import type { ApplicationSlug, Instant, ProcessId } from '../domain/process/ids.js';
import { moveIdOf } from '../domain/process/kinds.js';
import type { OperationKind, Phase, ProcessSubject } from '../domain/process/kinds.js';
import { handoverInput } from './heir.js';
import { managerIdentity } from './manager.js';
import { loadMove, loadMoves, loadSnapshot } from './moves.js';
import type { Person } from './person.js';

/** What a configured target can do, in the planner's words. */
export type CapabilityMap = ReadonlyMap<ApplicationSlug, readonly OperationKind[]>;

export interface PhaseRequest {
  readonly person: Person;
  readonly policy: CompiledPolicy;
  readonly phase: Phase;
  readonly kind: ProcessSubject;
  readonly processId?: ProcessId;
  readonly names: { readonly userName: string; readonly mail: string };
  readonly capabilities: CapabilityMap;
  readonly approvals: ReadonlyMap<string, 'approved' | 'denied' | 'pending'>;
  readonly now: Instant;
  /** The instant the plan is for: a provision phase looks ahead to the start, every other one at now. */
  readonly desiredAt: Instant;
  /** Observed accounts; without them they are read from the database. */
  readonly actual: readonly ActualAccount[];
  /** Applications of earlier policies where the person still has an account. */
  readonly former?: readonly ApplicationPolicy[];
  /** The person's parts in open migrations; without them they are read from the database. */
  readonly moves?: readonly Move[];
  /** Facts behind the transition: the reason for what is taken away. */
  readonly because?: readonly string[];
}

/**
 * The plan of one phase: desired(t) − actual. The one function behind execution, preview and "why" (design D4); it writes nothing.
 */
export async function computePhase(db: Queryable, keys: KeyRing, request: PhaseRequest): Promise<Plan> {
  const input = await desiredInput(db, keys, request);
  const { desired, actual } = await asMoved(db, keys, request, {
    desired: desiredAccounts(input),
    moves: input.moves ?? [],
  });
  const handover: HandoverInput | undefined =
    request.phase === 'handover' || request.phase === 'suspend'
      ? await handoverInput(db, keys, request.person, request.desiredAt)
      : undefined;
  const { person, policy } = request;
  const absence = absenceAt(person.stateAt(request.desiredAt), person.transitions, policy.lifecycle.leave);
  return planPhase({
    policy,
    absence,
    phase: request.phase,
    kind: request.kind,
    desired,
    actual,
    approvals: request.approvals,
    capabilities: request.capabilities,
    now: request.now,
    desiredAt: request.desiredAt,
    ...(request.former === undefined ? {} : { former: request.former }),
    ...(request.because === undefined ? {} : { because: request.because }),
    ...(handover === undefined ? {} : { handover }),
  });
}

/** Phases that make accounts what policy says; what takes access away because somebody ends sees every account. */
const SHAPING: ReadonlySet<Phase> = new Set<Phase>(['provision', 'activate', 'grant', 'revoke']);

/**
 * Planned migrations at work: a process of a move is about the accounts of its step alone, and what else shapes a person's accounts leaves those alone that a move
 * keeps for itself (the closed old account that a roll-back would open again as it was).
 */
async function asMoved(
  db: Queryable,
  keys: KeyRing,
  { processId, phase, kind, person, actual }: PhaseRequest,
  { desired, moves }: { readonly desired: readonly DesiredAccount[]; readonly moves: readonly Move[] },
): Promise<{ readonly desired: readonly DesiredAccount[]; readonly actual: readonly ActualAccount[] }> {
  const move = kind === 'migration' ? await loadMove(db, moveIdOf(processId ?? '')) : undefined;
  if (move === undefined) {
    if (!SHAPING.has(phase)) return { desired, actual };
    const kept = keptByMoves(moves);
    return { desired, actual: actual.filter((one) => !kept.has(one.application)) };
  }
  const { from_application: from, to_application: to } = move;
  const at = (...slugs: ApplicationSlug[]) => ({
    desired: desired.filter((one) => slugs.includes(one.application)),
    actual: actual.filter((one) => slugs.includes(one.application)),
  });
  if (phase !== 'withdraw') return at(phase === 'coexist' ? to : from);
  const before = await loadSnapshot(db, keys, move);
  const both = at(from, to);
  if (before === undefined) return both;
  const wanted = desired.find((one) => one.application === from);
  const facts = person.facts.length;
  return { ...both, desired: restored({ from, to }, before, { actual: both.actual, wanted, facts }) };
}

/** What the grant rules see of a person at an instant. */
export async function desiredInput(
  db: Queryable,
  keys: KeyRing,
  request: Pick<PhaseRequest, 'person' | 'policy' | 'names' | 'desiredAt' | 'moves'>,
): Promise<DesiredInput> {
  const state = request.person.stateAt(request.desiredAt);
  const manager = await managerOf(db, keys, request.person, state);
  return {
    policy: request.policy,
    identityId: request.person.identityId,
    state,
    account: request.names,
    assignments: [],
    moves: request.moves ?? (await loadMoves(db, request.person.identityId)),
    at: request.desiredAt,
    ...(manager === undefined ? {} : { manager }),
  };
}

/** The manager as far as known now: HR's person key resolves when it is used, so a manager may appear later (edge case 14). */
async function managerOf(
  db: Queryable,
  keys: KeyRing,
  person: Person,
  state: PersonState,
): Promise<ManagerInput | undefined> {
  const managerId = await managerIdentity(db, keys, person, state);
  if (managerId === undefined) return undefined;
  const profile = await db
    .selectFrom('identity_profile')
    .select(['display_name', 'user_name', 'mail'])
    .where('identity_id', '=', managerId)
    .executeTakeFirst();
  if (profile === undefined) return undefined;
  const accounts = await db
    .selectFrom('account')
    .select(['application', 'native_id'])
    .where('identity_id', '=', managerId)
    .where('unlinked_at', 'is', null)
    .execute();
  return {
    displayName: profile.display_name,
    userName: profile.user_name ?? '',
    mail: profile.mail ?? '',
    nativeIds: new Map(accounts.map((account) => [account.application, account.native_id])),
  };
}
