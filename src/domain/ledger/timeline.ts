import { brand } from '../process/ids.js';
import type { EmploymentId, FactId, Instant, LocalDate, ZoneId } from '../process/ids.js';
import { LATEST, addDays, compare, laterOf, startOfWorkDay } from '../time/instants.js';
import { compareStrength, isFactOf } from './slots.js';
import type { ContentFact, FactOf, Slot } from './slots.js';
import { contractEnd, contractEndAt, effectiveOn, pauseDate, strongestEnd, suspensionsOf } from './spell-parts.js';
import type { ChangeFact, PauseFact, SpellEnd, Suspension } from './spell-parts.js';

/** A hire, or something that restates parts of it from an instant on. */
export interface DatedChange {
  readonly at: Instant;
  readonly fact: ChangeFact;
}

/** One stretch of work under one employment: from a hire to its end. A later hire of the same employment begins the next one. */
export interface Spell {
  readonly employmentId: EmploymentId;
  readonly ordinal: number;
  readonly hire: FactOf<'hire'>;
  readonly changes: readonly DatedChange[];
  readonly startOn: LocalDate;
  readonly startsAt: Instant;
  /** Withdrawn, or ended before it began. */
  readonly rescinded: boolean;
  readonly end?: SpellEnd;
  /** Where the contract ends by the newest word, whatever else ends the employment. */
  readonly contractEndsAt?: Instant;
  /** LATEST when open-ended; reaches to the successor's start when a transfer would leave a gap between two zones. */
  readonly accessEndsAt: Instant;
  readonly suspensions: readonly Suspension[];
  /** Changes of the contract's end that came too late to extend it. */
  readonly tooLate: readonly FactId[];
}

/** All spells of a person, and the do-not-rehire words. */
export interface Timeline {
  readonly spells: readonly Spell[];
  readonly doNotRehire: readonly { readonly at: Instant; readonly factId: FactId }[];
}

/** What the ledger says once every slot is decided. A withdrawn hire stays, as a spell that never was. */
export interface Standing {
  readonly fact: ContentFact;
  readonly withdrawn: boolean;
}

interface Statements {
  readonly changes: readonly FactOf<'change'>[];
  readonly ends: readonly FactOf<'end'>[];
  readonly pauses: readonly PauseFact[];
}

export function standingOf(slots: readonly Slot[]): Standing[] {
  return slots.flatMap((slot) =>
    slot.content !== undefined && (!slot.withdrawn || slot.content.statement.kind === 'hire')
      ? [{ fact: slot.content, withdrawn: slot.withdrawn }]
      : [],
  );
}

/** Folds what stands into spells. Depends on the set only, never on its order. */
export function buildTimeline(standing: readonly Standing[]): Timeline {
  const byEmployment = new Map<EmploymentId, Standing[]>();
  for (const one of standing) {
    const id = one.fact.employmentId;
    byEmployment.set(id, [...(byEmployment.get(id) ?? []), one]);
  }
  const spells = [...byEmployment.keys()].sort(compare).flatMap((id) => spellsOf(id, byEmployment.get(id) ?? []));
  const bridged = spells.map((spell) => bridge(spell, spells));
  const doNotRehire = standing
    .map(({ fact }) => fact)
    .filter((fact) => isFactOf(fact, 'end'))
    .filter((fact) => fact.statement.doNotRehire === true)
    .map((fact) => ({ at: flaggedAt(fact, spells), factId: fact.factId }))
    .sort((a, b) => compare(a.at, b.at) || compare(a.factId, b.factId));
  return { spells: bridged, doNotRehire };
}

/** In force: not rescinded, begun and not ended. */
export function runsAt(spell: Spell, at: Instant): boolean {
  return !spell.rescinded && spell.startsAt <= at && at < spell.accessEndsAt;
}

/** Flagged from the start of the last working day (or the immediate instant), so that no zone lets a rehire slip in before the flag. */
function flaggedAt(end: FactOf<'end'>, spells: readonly Spell[]): Instant {
  const own = spells.filter((spell) => spell.employmentId === end.employmentId);
  const spell = own.findLast((one) => one.startOn <= end.statement.lastWorkingDay) ?? own[0];
  const zone = spell?.hire.statement.zone ?? brand<ZoneId>('UTC');
  return end.statement.at ?? startOfWorkDay(end.statement.lastWorkingDay, zone);
}

function spellsOf(employmentId: EmploymentId, standing: readonly Standing[]): Spell[] {
  const facts = standing.filter((one) => !one.withdrawn).map((one) => one.fact);
  const hires = standing.filter((one) => isFactOf(one.fact, 'hire'));
  const kept = hires.filter((one) => !one.withdrawn).map((one) => one.fact as FactOf<'hire'>);
  const groups = groupHires([...kept].sort(byStart), {
    changes: facts.filter((fact) => isFactOf(fact, 'change')).sort(byEffect),
    ends: facts.filter((fact) => isFactOf(fact, 'end')),
    pauses: facts.filter((fact) => isFactOf(fact, 'leave') || isFactOf(fact, 'return')),
  });
  const spells = groups.map((group) => toSpell(employmentId, group));
  const withdrawn = hires
    .filter((one) => one.withdrawn)
    .map((one) => toSpell(employmentId, { hires: [one.fact as FactOf<'hire'>], changes: [], ends: [], pauses: [] }))
    .map((spell) => ({ ...spell, rescinded: true }));
  return [...spells, ...withdrawn]
    .sort(
      // A hire withdrawn and stated anew for the same day keeps its number, so that it is the same joiner.
      (a, b) =>
        compare(a.startOn, b.startOn) ||
        Number(withdrawn.includes(a)) - Number(withdrawn.includes(b)) ||
        compareStrength(a.hire, b.hire),
    )
    .map((spell, index) => ({ ...spell, ordinal: index + 1 }));
}

interface Group extends Statements {
  readonly hires: readonly FactOf<'hire'>[];
}

/**
 * A later hire begins a new spell when the earlier one is closed before it; otherwise it restates the running one. Statements go to the spell in
 * which their date lies; what is dated after a spell's end is about the next one.
 */
function groupHires(hires: readonly FactOf<'hire'>[], all: Statements): Group[] {
  const groups: Group[] = [];
  let open: FactOf<'hire'>[] = [];
  let from: LocalDate | undefined;
  for (const [index, hire] of hires.entries()) {
    open.push(hire);
    const next = hires[index + 1];
    const group = { hires: open, ...within(all, from, open[0], next?.statement.startOn) };
    const close = next === undefined ? undefined : toSpell(hire.employmentId, group).end?.lastWorkingDay;
    if (next !== undefined && (close === undefined || close >= next.statement.startOn)) continue;
    groups.push(group);
    open = [];
    from = close === undefined ? undefined : addDays(close, 1);
  }
  return groups;
}

function within(
  all: Statements,
  from: LocalDate | undefined,
  hire: FactOf<'hire'> | undefined,
  before: LocalDate | undefined,
): Statements {
  const inside = (date: LocalDate): boolean =>
    (from === undefined || date >= from) && (before === undefined || date < before);
  // "Ended the day before it began" is how HR writes a no-show. Any other end between two spells is a second word on the first one, without effect.
  const eve = hire === undefined || from === undefined ? undefined : addDays(hire.statement.startOn, -1);
  return {
    changes: all.changes.filter((change) => inside(change.statement.effectiveOn)),
    pauses: all.pauses.filter((pause) => inside(pauseDate(pause))),
    ends: all.ends.filter(
      ({ statement: { lastWorkingDay: last } }) => inside(last) && (eve === undefined || last >= eve),
    ),
  };
}

function toSpell(employmentId: EmploymentId, group: Group): Spell {
  const [hire, ...restated] = group.hires as [FactOf<'hire'>, ...FactOf<'hire'>[]];
  const { startOn, zone } = hire.statement;
  const changes = [...group.changes, ...restated].sort(byEffect);
  const zoneOn = (date: LocalDate): ZoneId =>
    changes.findLast((c) => effectiveOn(c) <= date && c.statement.zone)?.statement.zone ?? zone;
  const contract = contractEnd(hire, changes);
  const contracted = contractEndAt(contract, zoneOn);
  const end = strongestEnd(group.ends, zoneOn) ?? contracted;
  const startsAt = startOfWorkDay(startOn, zone);
  const accessEndsAt = end?.accessEndsAt ?? LATEST;
  return {
    employmentId,
    ordinal: 1,
    hire,
    changes: changes.map((fact) => ({
      at: startOfWorkDay(effectiveOn(fact), fact.statement.zone ?? zoneOn(effectiveOn(fact))),
      fact,
    })),
    startOn,
    startsAt,
    rescinded: accessEndsAt <= startsAt,
    ...(end === undefined ? {} : { end }),
    ...(contracted === undefined ? {} : { contractEndsAt: contracted.accessEndsAt }),
    accessEndsAt,
    suspensions: suspensionsOf(group.pauses, zoneOn),
    tooLate: contract.tooLate,
  };
}

/**
 * A transfer between legal entities (one employment ends, another begins on the same or the next calendar day) leaves no gap: where zones put
 * hours between the two, access goes on until the successor starts (edge case 45). An immediate end is never bridged.
 */
function bridge(spell: Spell, all: readonly Spell[]): Spell {
  if (spell.end === undefined || spell.rescinded || spell.end.manner === 'immediate') return spell;
  const nextDay = addDays(spell.end.lastWorkingDay, 1);
  const starts = all
    .filter((other) => other !== spell && !other.rescinded && other.startOn > spell.startOn && other.startOn <= nextDay)
    .map((other) => other.startsAt)
    .filter((startsAt) => startsAt > spell.accessEndsAt)
    .sort(compare);
  return starts[0] === undefined ? spell : { ...spell, accessEndsAt: laterOf(spell.accessEndsAt, starts[0]) };
}

function byStart(a: FactOf<'hire'>, b: FactOf<'hire'>): number {
  return compare(a.statement.startOn, b.statement.startOn) || compareStrength(a, b);
}

function byEffect(a: ChangeFact, b: ChangeFact): number {
  return compare(effectiveOn(a), effectiveOn(b)) || compareStrength(a, b);
}
