import type { Instant } from '../process/ids.js';
import { DateError, earlierOf, isZone, parseInstant, parseLocalDate } from '../time/instants.js';
import { explainChange } from './explain.js';
import type { Change } from './explain.js';
import { contentHash, isFactOf, resolveSlots } from './slots.js';
import type { Slot } from './slots.js';
import { buildTimeline, standingOf } from './timeline.js';
import type { Fact, Statement } from './types.js';

/** Why a fact is refused. Codes only: values stay out of messages and logs. */
export type RejectionCode =
  | 'invalid-date'
  | 'unknown-zone'
  | 'contractor-end-missing'
  | 'contract-end-before-start'
  | 'withdraws-nothing'
  | 'unknown-employment'
  | 'hire-repeated'
  | 'return-without-leave'
  | 'contract-already-ended';

/** What a fact changes that lies in the past: at once, and with what was open meanwhile. */
export interface ChangeSummary {
  /** The earliest instant whose state is other than was thought. */
  readonly from: Instant;
  readonly changes: readonly Change[];
}

export interface Classification {
  readonly outcome: 'accepted' | 'duplicate' | 'superseded' | 'rejected';
  readonly reason?: RejectionCode;
  /** A rejection that facts yet to come can lift: keep the record and classify it again after every accepted fact of the person. */
  readonly retry?: boolean;
  readonly retroactive?: ChangeSummary;
}

/** Rejections that depend on what else is known. The others are wrong by themselves. */
const LIFTABLE: ReadonlySet<RejectionCode> = new Set<RejectionCode>([
  'unknown-employment',
  'hire-repeated',
  'return-without-leave',
  'contract-already-ended',
]);

/**
 * Decides what becomes of an incoming fact, given the person's accepted ones. `accepted` and `superseded` facts are written; a `superseded` one
 * has no effect now, but may have when a stronger one is withdrawn. The incoming `recordedAt` is the present of the retroactive summary and
 * decides nothing else. Pure, so asking twice is safe; a fact that is already there is a `duplicate`.
 */
export function classify(facts: readonly Fact[], incoming: Fact): Classification {
  const fault = faultOf(incoming);
  if (fault !== undefined) return rejected(fault);
  if (isDuplicate(facts, incoming)) return { outcome: 'duplicate' };
  const after = [...facts, incoming];
  const slots = resolveSlots(after);
  const slot = slots.find((one) => one.facts.some((fact) => fact.factId === incoming.factId));
  if (slot !== undefined && !decides(slot, incoming)) return { outcome: 'superseded' };
  const conflict = conflictOf(slots, incoming);
  if (conflict !== undefined) return rejected(conflict);
  const changes = explainChange(facts, after, incoming.recordedAt);
  // A rescinded hire is due at once, which says nothing about the past: the joiner that it removes does.
  const past = changes.filter(
    (change) => change.transition !== 'rescinded-hire' && firstInstantOf(change) < incoming.recordedAt,
  );
  if (past.length === 0) return { outcome: 'accepted' };
  return { outcome: 'accepted', retroactive: { from: past.map(firstInstantOf).reduce(earlierOf), changes: past } };
}

function rejected(reason: RejectionCode): Classification {
  return { outcome: 'rejected', reason, retry: LIFTABLE.has(reason) };
}

/** The same event and version with the same content, or the same content under another id that is at least as strong. */
function isDuplicate(facts: readonly Fact[], incoming: Fact): boolean {
  const hash = contentHash(incoming.statement);
  return facts.some(
    (fact) =>
      fact.source === incoming.source &&
      fact.employmentId === incoming.employmentId &&
      fact.corrects === incoming.corrects &&
      contentHash(fact.statement) === hash &&
      (fact.sourceEventId === incoming.sourceEventId
        ? fact.sourceVersion === incoming.sourceVersion
        : fact.sourceVersion >= incoming.sourceVersion && incoming.statement.kind !== 'withdraw'),
  );
}

function decides(slot: Slot, incoming: Fact): boolean {
  return slot.winner.factId === incoming.factId;
}

function faultOf(incoming: Fact): RejectionCode | undefined {
  const { statement } = incoming;
  try {
    for (const date of datesOf(statement)) parseLocalDate(date);
    if (statement.kind === 'end' && statement.at !== undefined && parseInstant(statement.at) !== statement.at)
      return 'invalid-date';
  } catch (error) {
    if (error instanceof DateError) return 'invalid-date';
    throw error;
  }
  if (
    (statement.kind === 'hire' || statement.kind === 'change') &&
    statement.zone !== undefined &&
    !isZone(statement.zone)
  ) {
    return 'unknown-zone';
  }
  if (statement.kind === 'withdraw' && incoming.corrects === undefined) return 'withdraws-nothing';
  if (statement.kind !== 'hire') return undefined;
  if (statement.endOn === undefined) return statement.worker === 'contractor' ? 'contractor-end-missing' : undefined;
  return statement.endOn < statement.startOn ? 'contract-end-before-start' : undefined;
}

function datesOf(statement: Statement): string[] {
  const dates: (string | null | undefined)[] = [];
  if (statement.kind === 'hire') dates.push(statement.startOn, statement.endOn);
  if (statement.kind === 'change') dates.push(statement.effectiveOn, statement.endOn);
  if (statement.kind === 'end') dates.push(statement.lastWorkingDay, statement.noticeOn);
  if (statement.kind === 'leave') dates.push(statement.startOn, statement.expectedEndOn);
  if (statement.kind === 'return') dates.push(statement.on);
  return dates.filter((date) => date !== undefined && date !== null);
}

/** What only the ledger can say. Looked at with the incoming fact in place, so that the order of arrival does not matter in the end. */
function conflictOf(slots: readonly Slot[], incoming: Fact): RejectionCode | undefined {
  const { statement, employmentId } = incoming;
  if (statement.kind === 'withdraw') return undefined;
  const known = slots.some(
    (slot) => slot.content?.statement.kind === 'hire' && slot.content.employmentId === employmentId,
  );
  if (!known) return 'unknown-employment';
  const timeline = buildTimeline(standingOf(slots));
  const spells = timeline.spells.filter((spell) => spell.employmentId === employmentId);
  if (statement.kind === 'hire') {
    const merged = spells.some((spell) => isMergedIn(spell.hire.factId, spell.changes, incoming));
    return incoming.corrects === undefined && merged ? 'hire-repeated' : undefined;
  }
  if (statement.kind === 'return') {
    const leaves = slots.flatMap((slot) => (slot.content === undefined || slot.withdrawn ? [] : [slot.content]));
    const begun = leaves.some(
      (fact) => fact.employmentId === employmentId && isFactOf(fact, 'leave') && fact.statement.startOn <= statement.on,
    );
    return begun ? undefined : 'return-without-leave';
  }
  if (spells.some((spell) => spell.tooLate.includes(incoming.factId))) return 'contract-already-ended';
  return undefined;
}

/** The incoming hire restates a running spell, or makes another hire restate its own. */
function isMergedIn(hire: Fact['factId'], changes: readonly { readonly fact: Fact }[], incoming: Fact): boolean {
  const hires = changes.filter((change) => change.fact.statement.kind === 'hire').map((change) => change.fact.factId);
  return hires.length > 0 && (hire === incoming.factId || hires.includes(incoming.factId));
}

function firstInstantOf(change: Change): Instant {
  const instants = [change.from, change.to].filter((instant) => instant !== undefined);
  return instants.reduce(earlierOf);
}
