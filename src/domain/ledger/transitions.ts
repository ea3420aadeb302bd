import type { FactId, Instant, TransitionId } from '../process/ids.js';
import type { TransitionKind } from '../process/kinds.js';
import { compare } from '../time/instants.js';
import { SPELL_KINDS, digestOf, implied } from './derive.js';
import type { Implied } from './derive.js';
import { compareStrength, isFactOf, resolveSlots } from './slots.js';
import type { ContentFact, FactOf, Slot } from './slots.js';
import { buildTimeline, standingOf } from './timeline.js';
import type { Standing } from './timeline.js';
import type { Fact, Transition } from './types.js';

/** What takes access away goes first among transitions of one instant. */
const CUTS_FIRST: Readonly<Record<TransitionKind, number>> = {
  leaver: 0,
  'rescinded-hire': 1,
  'leave-start': 2,
  conversion: 3,
  mover: 4,
  'name-change': 5,
  'leave-end': 6,
  joiner: 7,
  rehire: 8,
  migration: 9,
};

/**
 * All transitions of one person, derived from the ledger as it is now: sorted by effective instant, then cuts first, then id. What the ledger once
 * implied and no longer does is there as `cancelled`; an id that is missing altogether is to be read as cancelled, too.
 * Pure: depends on the set of facts only, so it is safe to derive anew after every fact and compare digests.
 */
export function deriveTransitions(facts: readonly Fact[]): Transition[] {
  const slots = resolveSlots(facts);
  const slotOf = new Map(slots.flatMap((slot) => slot.facts.map((fact) => [fact.factId, slot] as const)));
  const present = new Map(implied(buildTimeline(standingOf(slots))).map((one) => [one.id, one]));
  const moved = new Map<TransitionId, Instant[]>();
  const cancelled = new Map<TransitionId, Implied>();
  for (const reading of formerReadings(slots)) {
    for (const former of implied(buildTimeline(reading.standing))) {
      if (former.status === 'cancelled') continue;
      const now = present.get(former.id);
      if (now === undefined) cancelled.set(former.id, asCancelled(former));
      else if (reading.dates && isSameMoved(now, former, slotOf))
        moved.set(now.id, [...(moved.get(now.id) ?? []), former.effectiveAt]);
    }
  }
  return [...present.values(), ...cancelled.values()]
    .map((one) => ({
      ...one,
      movedFrom: [...new Set(moved.get(one.id) ?? [])],
      because: withDeciders(one.because, slotOf),
    }))
    .sort(
      (a, b) => compare(a.effectiveAt, b.effectiveAt) || CUTS_FIRST[a.kind] - CUTS_FIRST[b.kind] || compare(a.id, b.id),
    );
}

function asCancelled(one: Implied): Implied {
  const cancelled: Implied = { ...one, status: 'cancelled' };
  return { ...cancelled, digest: digestOf(cancelled, null) };
}

/** An ordinal by place says nothing about sameness; there the two must rest on one slot. */
function isSameMoved(now: Implied, former: Implied, slotOf: ReadonlyMap<FactId, Slot>): boolean {
  if (now.effectiveAt === former.effectiveAt) return false;
  if (SPELL_KINDS.has(now.kind)) return true;
  const slots = new Set(now.because.map((id) => slotOf.get(id)));
  return former.because.some((id) => slots.has(slotOf.get(id)));
}

/** The facts a transition rests on, and those that withdrew or replaced them. */
function withDeciders(because: readonly FactId[], slotOf: ReadonlyMap<FactId, Slot>): FactId[] {
  const deciders = because.map((id) => slotOf.get(id)?.winner.factId).filter((id) => id !== undefined);
  return [...new Set([...because, ...deciders])].sort(compare);
}

interface Reading {
  readonly standing: readonly Standing[];
  /** Whether a differing date in this reading is an earlier date of the same transition. */
  readonly dates: boolean;
  readonly version: number;
}

/**
 * The ledger as it read, or could have read, before one of its facts was known, weakest version first: the latest one is what a cancelled
 * transition is shown with, and the order of the dates that it moved from.
 */
function formerReadings(slots: readonly Slot[]): Reading[] {
  const readings = [...withoutLaterEnds(slots), ...withSuperseded(slots), ...withoutNeighbours(slots)];
  // Array.prototype.sort is stable: contract ends stay in their order where versions say nothing.
  return readings.sort((a, b) => a.version - b.version);
}

/** A slot read by one of its weaker facts. */
function withSuperseded(slots: readonly Slot[]): Reading[] {
  return slots.flatMap((slot) =>
    [...slot.facts].reverse().flatMap((fact): Reading[] => {
      const isWithdrawal = fact.statement.kind === 'withdraw';
      if (isWithdrawal ? slot.withdrawn : fact === slot.content && !slot.withdrawn) return [];
      const read: Slot = isWithdrawal
        ? { ...slot, withdrawn: true }
        : { ...slot, content: fact as ContentFact, withdrawn: false };
      const others = slots.filter((other) => other !== slot);
      return [{ standing: standingOf([...others, read]), dates: true, version: fact.sourceVersion }];
    }),
  );
}

/** An employment's end before each extension, and before each of the ends that were stated on top of the contract's. */
function withoutLaterEnds(slots: readonly Slot[]): Reading[] {
  const standing = slots.filter((slot) => !slot.withdrawn);
  return employmentsOf(standing).flatMap((employmentId) => {
    const own = standing.filter((slot) => slot.employmentId === employmentId);
    const endings = own.filter(isEnding).sort((a, b) => byEnding(a.content as EndingFact, b.content as EndingFact));
    return endings.map((_, kept): Reading => {
      const dropped = new Set(endings.slice(kept));
      const version = endings[kept - 1]?.winner.sourceVersion ?? 1;
      return { standing: standingOf(slots.filter((slot) => !dropped.has(slot))), dates: true, version };
    });
  });
}

type EndingFact = FactOf<'change'> | FactOf<'end'>;

function isEnding(slot: Slot): boolean {
  const fact = slot.content;
  if (fact === undefined) return false;
  return (
    isFactOf(fact, 'end') ||
    (isFactOf(fact, 'change') && (fact.statement.endOn !== undefined || fact.statement.worker !== undefined))
  );
}

function byEnding(a: EndingFact, b: EndingFact): number {
  if (isFactOf(a, 'change') && isFactOf(b, 'change'))
    return compare(a.statement.effectiveOn, b.statement.effectiveOn) || compareStrength(a, b);
  if (isFactOf(a, 'end') && isFactOf(b, 'end'))
    return compare(b.statement.lastWorkingDay, a.statement.lastWorkingDay) || compareStrength(a, b);
  return isFactOf(a, 'change') ? -1 : 1;
}

/** What an employment implies alone, and a spell without the one that follows it without a gap: a transfer cancels a leaver. */
function withoutNeighbours(slots: readonly Slot[]): Reading[] {
  const hires = slots.filter((slot) => !slot.withdrawn && slot.content?.statement.kind === 'hire');
  const employments = employmentsOf(hires);
  const absent =
    employments.length < 2 ? [] : employments.map((id) => slots.filter((slot) => slot.employmentId !== id));
  const later = employments.flatMap((id) =>
    hires
      .filter((slot) => slot.employmentId === id)
      .sort((a, b) => compareHires(a, b))
      .slice(1)
      .map((dropped) => slots.filter((slot) => slot !== dropped)),
  );
  return [...absent, ...later].map((kept) => ({ standing: standingOf(kept), dates: false, version: 0 }));
}

function compareHires(a: Slot, b: Slot): number {
  const [left, right] = [a.content as FactOf<'hire'>, b.content as FactOf<'hire'>];
  return compare(left.statement.startOn, right.statement.startOn) || compareStrength(left, right);
}

function employmentsOf(slots: readonly Slot[]): Slot['employmentId'][] {
  return [...new Set(slots.map((slot) => slot.employmentId))].sort(compare);
}
