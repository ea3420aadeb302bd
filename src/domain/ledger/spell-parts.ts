import type { FactId, Instant, LocalDate, ZoneId } from '../process/ids.js';
import { LATEST, addDays, compare, daysBetween, endOfWorkDay, startOfWorkDay } from '../time/instants.js';
import { compareStrength, isFactOf } from './slots.js';
import type { FactOf } from './slots.js';
import type { EndManner, WorkerType } from './types.js';

export type ChangeFact = FactOf<'hire'> | FactOf<'change'>;
export type PauseFact = FactOf<'leave'> | FactOf<'return'>;

export interface SpellEnd {
  readonly lastWorkingDay: LocalDate;
  readonly accessEndsAt: Instant;
  readonly manner: EndManner;
  readonly noticeAt?: Instant;
  readonly factId: FactId;
}

export interface Suspension {
  readonly from: Instant;
  readonly to: Instant;
  readonly startedBy: FactId;
  readonly endedBy?: FactId;
  /** Calendar days, as far as known: until HR's return, else until the end that HR expects. Undefined: nobody said. */
  readonly days?: number;
}

/** Open contract in the words of HR systems that must fill the field. */
const HIGH_DATE = '9999-12-31';

export interface Contract {
  readonly endOn?: LocalDate;
  readonly factId: FactId;
  readonly tooLate: readonly FactId[];
}

/** Contract end after all changes. A conversion to employee is a new contract: unless it states an end it has none. */
export function contractEnd(hire: FactOf<'hire'>, changes: readonly ChangeFact[]): Contract {
  let worker: WorkerType = hire.statement.worker;
  let endOn: LocalDate | null = hire.statement.endOn ?? null;
  let factId = hire.factId;
  const tooLate: FactId[] = [];
  for (const fact of changes) {
    const { statement } = fact;
    const converted = statement.worker !== undefined && statement.worker !== worker;
    const stated =
      statement.endOn ??
      (statement.endOn === null || (converted && statement.worker === 'employee') ? null : undefined);
    if (endOn !== null && endOn !== HIGH_DATE && effectiveOn(fact) > addDays(endOn, 1)) {
      // An ended contract is not extended months later: that would leave access open in between. A new hire begins a new spell.
      if (stated !== undefined) tooLate.push(fact.factId);
      continue;
    }
    worker = statement.worker ?? worker;
    if (stated === undefined) continue;
    endOn = stated;
    factId = fact.factId;
  }
  return { ...(endOn === null || endOn === HIGH_DATE ? {} : { endOn }), factId, tooLate };
}

export function contractEndAt(contract: Contract, zoneOn: (date: LocalDate) => ZoneId): SpellEnd | undefined {
  if (contract.endOn === undefined) return undefined;
  const accessEndsAt = endOfWorkDay(contract.endOn, zoneOn(contract.endOn));
  return { lastWorkingDay: contract.endOn, accessEndsAt, manner: 'contract-end', factId: contract.factId };
}

/** Ends do not correct one another unless they say so; of several that stand, the one that cuts first holds. */
export function strongestEnd(
  ends: readonly FactOf<'end'>[],
  zoneOn: (date: LocalDate) => ZoneId,
): SpellEnd | undefined {
  const candidates = ends.map((fact) => ({ fact, accessEndsAt: endsAt(fact, zoneOn(fact.statement.lastWorkingDay)) }));
  candidates.sort((a, b) => compare(a.accessEndsAt, b.accessEndsAt) || compareStrength(b.fact, a.fact));
  const first = candidates[0];
  if (first === undefined) return undefined;
  const { lastWorkingDay, manner, noticeOn } = first.fact.statement;
  const noticeAt = noticeOn === undefined ? undefined : startOfWorkDay(noticeOn, zoneOn(noticeOn));
  return {
    lastWorkingDay,
    accessEndsAt: first.accessEndsAt,
    manner,
    ...(noticeAt !== undefined && noticeAt < first.accessEndsAt ? { noticeAt } : {}),
    factId: first.fact.factId,
  };
}

/** An immediate end without its instant (the API always fixes one) cuts at the start of its day: too early is mended, too late is not. */
function endsAt(fact: FactOf<'end'>, zone: ZoneId): Instant {
  const { manner, at, lastWorkingDay } = fact.statement;
  return manner === 'immediate' ? (at ?? startOfWorkDay(lastWorkingDay, zone)) : endOfWorkDay(lastWorkingDay, zone);
}

/** Leaves and returns by date. Without a return a leave goes on: the expected end is an expectation. A return on a leave's own first day undoes it. */
export function suspensionsOf(pauses: readonly PauseFact[], zoneOn: (date: LocalDate) => ZoneId): Suspension[] {
  const dates = [...new Set(pauses.map(pauseDate))].sort(compare);
  const found: Suspension[] = [];
  let running: { from: Instant; startOn: LocalDate; startedBy: FactId; days?: number } | undefined;
  for (const date of dates) {
    const onDate = pauses.filter((pause) => pauseDate(pause) === date).sort((a, b) => compareStrength(b, a));
    const leave = onDate.find((pause) => isFactOf(pause, 'leave'));
    const back = onDate.find((pause) => isFactOf(pause, 'return'));
    const at = startOfWorkDay(date, zoneOn(date));
    if (running === undefined && leave !== undefined && back === undefined)
      running = { from: at, startOn: date, startedBy: leave.factId, ...expectedDays(leave.statement) };
    if (running !== undefined && back !== undefined && leave === undefined) {
      const { from, startOn, startedBy } = running;
      found.push({ from, startedBy, to: at, endedBy: back.factId, days: daysBetween(startOn, date) });
      running = undefined;
    }
  }
  if (running === undefined) return found;
  const { from, startedBy, days } = running;
  return [...found, { from, startedBy, to: LATEST, ...(days === undefined ? {} : { days }) }];
}

/** The expected end is the last day of the leave. */
function expectedDays({ startOn, expectedEndOn }: FactOf<'leave'>['statement']): { readonly days?: number } {
  return expectedEndOn === undefined ? {} : { days: daysBetween(startOn, expectedEndOn) + 1 };
}

/** The date from which a change, or a hire that restates a running spell, holds. */
export function effectiveOn(fact: ChangeFact): LocalDate {
  return fact.statement.kind === 'hire' ? fact.statement.startOn : fact.statement.effectiveOn;
}

export function pauseDate(pause: PauseFact): LocalDate {
  return pause.statement.kind === 'leave' ? pause.statement.startOn : pause.statement.on;
}
