import { resolveSlots } from '../domain/ledger/slots.js';
import type { Slot } from '../domain/ledger/slots.js';
import { stateAt } from '../domain/ledger/state.js';
import type { Attributes, EmploymentStatus, EndManner, Fact, Statement, WorkerType } from '../domain/ledger/types.js';
import type { EmploymentId, Instant, LocalDate, ZoneId } from '../domain/process/ids.js';
import { compare, localDateAt } from '../domain/time/instants.js';

export type HireStatement = Extract<Statement, { kind: 'hire' }>;
export type ChangeStatement = Extract<Statement, { kind: 'change' }>;

/** What an import must know of an employment to tell what a snapshot row says that is new. Everything is of one source. */
export interface KnownEmployment {
  readonly ledgerVersion: number;
  /** Highest version among the source's facts of the employment: what corrects them must be higher. */
  readonly maxVersion: number;
  /** Today at the place of work. */
  readonly today: LocalDate;
  readonly status: EmploymentStatus;
  readonly startOn: LocalDate;
  readonly lastWorkingDay?: LocalDate;
  readonly worker: WorkerType;
  readonly zone: ZoneId;
  readonly manager: string | null;
  readonly attributes: Attributes;
  readonly contractEnd?: LocalDate;
  readonly hire: { readonly eventId: string; readonly withdrawn: boolean; readonly statement: HireStatement };
  /** Changes that are stated and not yet in effect, by date. */
  readonly upcoming: readonly ChangeStatement[];
  readonly end?: {
    readonly eventId: string;
    readonly lastWorkingDay: LocalDate;
    readonly manner: EndManner;
    readonly noticeOn?: LocalDate;
    readonly doNotRehire?: boolean;
  };
  readonly leave?: { readonly eventId: string; readonly startOn: LocalDate; readonly expectedEndOn?: LocalDate };
}

/** Sums up one employment from the person's facts; undefined when that source never stated a hire of it. Pure. */
export function knownOf(input: {
  readonly facts: readonly Fact[];
  readonly employmentId: EmploymentId;
  readonly source: string;
  readonly ledgerVersion: number;
  readonly now: Instant;
}): KnownEmployment | undefined {
  const own = input.facts.filter((fact) => fact.employmentId === input.employmentId && fact.source === input.source);
  const state = stateAt(input.facts, input.now).employments.find((one) => one.employmentId === input.employmentId);
  const slots = resolveSlots(own);
  const hires = contents(slots, 'hire').sort((a, b) => compare(a.statement.startOn, b.statement.startOn));
  const hire = hires.findLast((one) => one.statement.startOn === state?.startOn) ?? hires.at(-1);
  if (state === undefined || hire === undefined) return undefined;
  const today = localDateAt(input.now, state.zone);
  const standing = <K extends Statement['kind']>(kind: K) => contents(slots, kind).filter((one) => !one.withdrawn);
  const changes = standing('change').sort((a, b) => compare(a.statement.effectiveOn, b.statement.effectiveOn));
  const end = standing('end')
    .filter((one) => one.statement.lastWorkingDay >= hire.statement.startOn)
    .sort((a, b) => compare(a.statement.lastWorkingDay, b.statement.lastWorkingDay))[0];
  const back = standing('return').map((one) => one.statement.on);
  const leave = standing('leave')
    .sort((a, b) => compare(a.statement.startOn, b.statement.startOn))
    .findLast((one) => !back.some((on) => on >= one.statement.startOn));
  const contractEnd = contractEndOf(
    hire.statement,
    changes.map((one) => one.statement),
  );
  return {
    ledgerVersion: input.ledgerVersion,
    maxVersion: Math.max(...own.map((fact) => fact.sourceVersion)),
    today,
    status: state.status,
    startOn: state.startOn,
    ...(state.lastWorkingDay === undefined ? {} : { lastWorkingDay: state.lastWorkingDay }),
    worker: state.worker,
    zone: state.zone,
    manager: state.manager,
    attributes: state.attributes,
    ...(contractEnd === undefined ? {} : { contractEnd }),
    hire: { eventId: hire.eventId, withdrawn: hire.withdrawn, statement: hire.statement },
    upcoming: changes.map((one) => one.statement).filter((one) => one.effectiveOn > today),
    ...(end === undefined ? {} : { end: { eventId: end.eventId, ...endWords(end.statement) } }),
    ...(leave === undefined ? {} : { leave: { eventId: leave.eventId, ...leaveWords(leave.statement) } }),
  };
}

interface Content<K extends Statement['kind']> {
  readonly eventId: string;
  readonly withdrawn: boolean;
  readonly statement: Extract<Statement, { kind: K }>;
}

function contents<K extends Statement['kind']>(slots: readonly Slot[], kind: K): Content<K>[] {
  return slots.flatMap((slot) =>
    slot.content?.statement.kind === kind
      ? [
          {
            eventId: slot.content.sourceEventId,
            withdrawn: slot.withdrawn,
            statement: slot.content.statement as Extract<Statement, { kind: K }>,
          },
        ]
      : [],
  );
}

/** As the ledger reads it: a conversion to employee without an end of its own is open-ended. */
function contractEndOf(hire: HireStatement, changes: readonly ChangeStatement[]): LocalDate | undefined {
  let worker = hire.worker;
  let endOn = hire.endOn;
  for (const change of changes) {
    const converted = change.worker === 'employee' && worker !== 'employee';
    worker = change.worker ?? worker;
    if (change.endOn !== undefined) endOn = change.endOn ?? undefined;
    else if (converted) endOn = undefined;
  }
  return endOn;
}

function endWords(
  statement: Extract<Statement, { kind: 'end' }>,
): Omit<NonNullable<KnownEmployment['end']>, 'eventId'> {
  const { lastWorkingDay, manner, noticeOn, doNotRehire } = statement;
  return {
    lastWorkingDay,
    manner,
    ...(noticeOn === undefined ? {} : { noticeOn }),
    ...(doNotRehire === undefined ? {} : { doNotRehire }),
  };
}

function leaveWords(
  statement: Extract<Statement, { kind: 'leave' }>,
): Omit<NonNullable<KnownEmployment['leave']>, 'eventId'> {
  const { startOn, expectedEndOn } = statement;
  return { startOn, ...(expectedEndOn === undefined ? {} : { expectedEndOn }) };
}
