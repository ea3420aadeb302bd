import type { Instant, TransitionId } from '../process/ids.js';
import type { TransitionKind } from '../process/kinds.js';
import { compare, earlierOf } from '../time/instants.js';
import { attributeDifferences } from './derive.js';
import { stateAt } from './state.js';
import { deriveTransitions } from './transitions.js';
import type { Fact, Transition } from './types.js';

export type ChangeKind = 'added' | 'removed' | 'moved' | 'changed';

/** What new facts do to one transition. Carries names of attributes, never their values. */
export interface Change {
  readonly kind: ChangeKind;
  readonly transitionId: TransitionId;
  readonly transition: TransitionKind;
  /** Effective instant before; absent for what was added. */
  readonly from?: Instant;
  /** Effective instant after; absent for what was removed. */
  readonly to?: Instant;
  /** Names of what differs at the transition's instant, sorted. */
  readonly attributes: readonly string[];
  /** For a backdated end: the time in which access was open though it should not have been (edge case 5). */
  readonly exposure?: { readonly from: Instant; readonly until: Instant };
}

/**
 * What the ledger `after` implies that the ledger `before` did not, and the reverse: one entry per transition that differs, by instant.
 * `now` only closes an exposure window. Pure.
 */
export function explainChange(before: readonly Fact[], after: readonly Fact[], now: Instant): Change[] {
  const [was, is] = [standing(before), standing(after)];
  const ids = [...new Set([...was.keys(), ...is.keys()])];
  return ids
    .flatMap((id): Change[] => {
      const [old, current] = [was.get(id), is.get(id)];
      const known = current ?? old;
      const kind = changeKind(old, current);
      if (known === undefined || kind === undefined) return [];
      const exposure = current?.kind === 'leaver' ? exposureOf(current.effectiveAt, was, now) : undefined;
      return [
        {
          kind,
          transitionId: id,
          transition: known.kind,
          ...(old === undefined ? {} : { from: old.effectiveAt }),
          ...(current === undefined ? {} : { to: current.effectiveAt }),
          attributes: namesOf(kind, known, before, after),
          ...(exposure === undefined ? {} : { exposure }),
        },
      ];
    })
    .sort((a, b) => compare(firstOf(a), firstOf(b)) || compare(a.transitionId, b.transitionId));
}

function standing(facts: readonly Fact[]): Map<TransitionId, Transition> {
  return new Map(
    deriveTransitions(facts)
      .filter((one) => one.status === 'standing')
      .map((one) => [one.id, one]),
  );
}

function changeKind(old: Transition | undefined, current: Transition | undefined): ChangeKind | undefined {
  if (old === undefined) return 'added';
  if (current === undefined) return 'removed';
  if (old.effectiveAt !== current.effectiveAt) return 'moved';
  return old.digest === current.digest ? undefined : 'changed';
}

/** From the end that should have been to the cut that was due before these facts, or to now when none was. */
function exposureOf(endsAt: Instant, was: ReadonlyMap<TransitionId, Transition>, now: Instant): Change['exposure'] {
  const cuts = [...was.values()]
    .filter((one) => one.kind === 'leaver' && one.effectiveAt >= endsAt)
    .map((one) => one.effectiveAt);
  const until = [...cuts, now].reduce(earlierOf);
  return endsAt < until ? { from: endsAt, until } : undefined;
}

function namesOf(kind: ChangeKind, known: Transition, before: readonly Fact[], after: readonly Fact[]): string[] {
  if (kind !== 'changed') return [...known.changed];
  const [old, current] = [stateAt(before, known.effectiveAt).primary, stateAt(after, known.effectiveAt).primary];
  const names = [...known.changed, ...attributeDifferences(old?.attributes ?? {}, current?.attributes ?? {})];
  if (old?.manager !== current?.manager) names.push('manager');
  if (old?.worker !== current?.worker) names.push('worker');
  return [...new Set(names)].sort(compare);
}

function firstOf(change: Change): Instant {
  const [from, to] = [change.from ?? change.to, change.to ?? change.from] as [Instant, Instant];
  return earlierOf(from, to);
}
