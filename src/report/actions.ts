import { deadlineState } from '../domain/plan/deadlines.js';
import type { Operation } from '../domain/plan/types.js';
import type { Instant } from '../domain/process/ids.js';
import type { OperationKind, Tier, Verdict } from '../domain/process/kinds.js';
import { NOT_CARRIED_OUT } from '../domain/process/outcome.js';
import type { ReportAction } from './types.js';

export interface EvidenceFacts {
  readonly operationKey: string;
  readonly check: string;
  readonly road: string;
  readonly verdict: Verdict;
  readonly code: string | null;
  readonly seenHash: string;
  readonly residual: string | null;
  readonly residualUntil: Instant | null;
  readonly at: Instant;
}

export interface VisitFacts {
  readonly application: string;
  readonly login: string | null;
  readonly phase: string;
  readonly tier: Tier | null;
  readonly plannedAt: Instant;
  readonly outcome: string | null;
  /** What the visit was planned to do; empty for a person who was erased. */
  readonly operations: readonly Operation[];
  readonly evidence: readonly EvidenceFacts[];
}

/**
 * The actions of a leaver: one per operation, whatever number of times it was planned (a cut is repeated when an older write may have come behind it). The
 * deadline is the first one that was set, the proof the first that held to the last look. Pure.
 */
export function actionsOf(visits: readonly VisitFacts[], now: Instant): readonly ReportAction[] {
  const rounds = new Map<string, [Round, ...Round[]]>();
  for (const visit of visits.filter((one) => !NOT_CARRIED_OUT.has(one.outcome ?? ''))) {
    for (const operation of visit.operations) {
      const key = `${visit.phase} ${operation.key}`;
      const round = { visit, operation };
      const known = rounds.get(key);
      if (known === undefined) rounds.set(key, [round]);
      else known.push(round);
    }
  }
  return [...rounds.values()].map((one) => actionOf(one, now));
}

interface Round {
  readonly visit: VisitFacts;
  readonly operation: Operation;
}

function actionOf(rounds: readonly [Round, ...Round[]], now: Instant): ReportAction {
  const [{ visit, operation }] = rounds;
  const evidence = rounds
    .flatMap((round) => evidenceOf(round))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const state = stateOf(rounds, evidence);
  const provenAt = state === 'proven' || state === 'attested' ? provenSince(evidence) : undefined;
  return {
    application: visit.application,
    login: visit.login,
    tier: visit.tier,
    phase: visit.phase,
    operation: wordOf(operation),
    entitlement: operation.entitlement ?? null,
    plannedAt: visit.plannedAt,
    deadlineAt: operation.deadlineAt ?? null,
    deadline: deadlineOf(operation, state, provenAt, now),
    state,
    provenAt: provenAt ?? null,
    checks: evidence.map(({ at, check, road, verdict, code, seenHash }) => ({
      at,
      check,
      road,
      verdict,
      code,
      seenHash,
    })),
  };
}

/** What a person was asked for is named after what it was, not after who did it. */
function wordOf({ kind, steps = [] }: Operation): string {
  const kinds: readonly OperationKind[] = steps.length === 0 ? [kind] : steps.map((step) => step.kind);
  return [...new Set(kinds)].join(', ');
}

/** An account that the target no longer has is proof for everything that was planned there. */
function evidenceOf({ visit, operation }: Round): readonly EvidenceFacts[] {
  const isAbsence = (one: EvidenceFacts): boolean =>
    one.check === 'absence' && !visit.operations.some((other) => other.key === one.operationKey);
  return visit.evidence.filter((one) => one.operationKey === operation.key || isAbsence(one));
}

function stateOf(rounds: readonly [Round, ...Round[]], evidence: readonly EvidenceFacts[]): ReportAction['state'] {
  const last = rounds.at(-1)?.visit.outcome ?? null;
  if (last === 'skipped') return 'skipped';
  const latest = new Map(evidence.map((one) => [one.check, one.verdict]));
  // A person's word stands for whatever the target could not show.
  if (latest.get('attested') === 'proven') return 'attested';
  const verdicts = [...latest.values()];
  for (const verdict of ['refuted', 'pending', 'unprovable'] as const) if (verdicts.includes(verdict)) return verdict;
  return verdicts.length > 0 ? 'proven' : 'open';
}

/** When the last of the checks began to hold without being refuted again. */
function provenSince(evidence: readonly EvidenceFacts[]): Instant | undefined {
  const since = new Map<string, Instant | undefined>();
  for (const { check, verdict, at } of evidence) {
    since.set(check, verdict === 'proven' ? (since.get(check) ?? at) : undefined);
  }
  return [...since.values()]
    .filter((at) => at !== undefined)
    .sort()
    .at(-1);
}

function deadlineOf(
  { deadlineAt }: Operation,
  state: ReportAction['state'],
  provenAt: Instant | undefined,
  now: Instant,
): ReportAction['deadline'] {
  if (deadlineAt === undefined) return 'none';
  return state === 'unprovable' ? 'unproven' : deadlineState(deadlineAt, provenAt, now);
}
