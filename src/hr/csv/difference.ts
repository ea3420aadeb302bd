import { hashOf } from '../../domain/hash.js';
import type { Attributes } from '../../domain/ledger/types.js';
import type { Instant, LocalDate } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import { laterOf, localDateAt } from '../../domain/time/instants.js';
import { contractEndAfter } from '../known.js';
import type { KnownEmployment } from '../known.js';
import type { HrRecordInput } from '../record.js';
import type { StatedRow } from './row.js';

/** What a row says that is not known yet. */
export interface RowDifference {
  /** In the order in which they are to be sent; empty: nothing new. */
  readonly records: readonly HrRecordInput[];
  readonly warning?: string;
  /** The row contradicts what is known in a way that only a person can decide. */
  readonly refused?: string;
}

interface Context {
  readonly source: string;
  readonly row: StatedRow;
  readonly version: number;
  readonly today: LocalDate;
}
type Body = HrRecordInput extends infer R
  ? R extends { kind: string }
    ? Omit<R, 'source' | 'person' | 'employment' | 'version'>
    : never
  : never;

/**
 * Compares a snapshot row with what is known of its employment. Event ids follow from key and content, versions from what is known: the same file
 * compared with the same knowledge gives the same records, and compared with its own result gives none. Pure.
 */
export function differenceOf(
  source: string,
  row: StatedRow,
  known: KnownEmployment | undefined,
  now: Instant,
): RowDifference {
  const today = known?.today ?? localDateAt(now, row.zone);
  const context: Context = { source, row, version: (known?.maxVersion ?? 0) + 1, today };
  if (known === undefined) return { records: newSpell(context) };
  if (known.status === 'ended') return afterTheEnd(context, known);
  if (known.status === 'rescinded') return rescinded(context, known);
  // What is dated after an end speaks of the next stretch of work, so an end in the past takes nothing else with it.
  if (row.lastWorkingDay && row.lastWorkingDay < today && known.status !== 'pre-hire')
    return { records: [...startCorrection(context, known), ...endDifference(context, known)] };
  const records = [
    ...(known.status === 'pre-hire' ? beforeTheStart(context, known) : inForce(context, known)),
    ...endDifference(context, known),
    ...leaveDifference(context, known),
  ];
  return { records };
}

function newSpell(context: Context): HrRecordInput[] {
  const { row, today } = context;
  const onLeave = row.standing === 'leave' || (row.leaveFrom ?? '') > today;
  return [
    hireRecord(context, eventId(context, 'hire', [row.startOn])),
    ...(row.lastWorkingDay ? [endRecord(context, eventId(context, 'end', [row.startOn, row.lastWorkingDay]))] : []),
    ...(onLeave && row.standing !== 'ended'
      ? [leaveRecord(context, row.leaveFrom ?? laterOf(today, row.startOn))]
      : []),
  ];
}

function afterTheEnd(context: Context, known: KnownEmployment): RowDifference {
  const { row } = context;
  const endedOn = known.lastWorkingDay;
  if (endedOn !== undefined && row.startOn > endedOn) return { records: newSpell(context) };
  if (row.lastWorkingDay || row.standing === 'ended') {
    // An end that is moved to today or later makes the employment live again.
    const isAlive = (row.lastWorkingDay ?? '') >= context.today;
    const end = endDifference(context, known);
    if (!isAlive) return { records: [...startCorrection(context, known), ...end] };
    const { zone, worker, endOn, manager, attributes } = row;
    // Changes behind the former end were hidden and would come back with it: everything is stated anew.
    const everything = { zone, worker, endOn, manager, attributes };
    const change = changeRecord(context, known, laterOf(context.today, row.startOn), everything);
    return {
      records: [...startCorrection(context, known), ...end, change, ...leaveDifference(context, known)],
    };
  }
  if (known.end === undefined && known.contractEnd !== endedOn)
    return { records: [], warning: 'the employment was ended by someone else than this source' };
  return { records: [], refused: 'the employment has ended; a return needs a start date after that end' };
}

function rescinded(context: Context, known: KnownEmployment): RowDifference {
  if (known.hire.withdrawn || context.row.startOn !== known.startOn)
    return { records: [hireRecord(context, known.hire.eventId)] };
  return { records: [], warning: 'the hire was called off by someone else than this source' };
}

/**
 * Nothing has happened yet: the hire is simply stated anew. Where other changes stand over the hire (announced ones, or ones left over from an earlier
 * stretch of work) a change on the first day has the last word.
 */
function beforeTheStart(context: Context, known: KnownEmployment): HrRecordInput[] {
  const { row } = context;
  const firstDay = laterOf(row.startOn, context.today);
  const change = changeOf(row, atDate(known, firstDay));
  const moved = row.startOn !== known.startOn;
  if (!moved && change === undefined) return [];
  const covered = known.isCovered || known.upcoming.some((one) => one.effectiveOn <= firstDay);
  return [
    ...(moved || !covered ? [hireRecord(context, known.hire.eventId, known)] : []),
    ...(covered && change !== undefined ? [changeRecord(context, known, firstDay, change)] : []),
  ];
}

/** Another start date corrects the hire; everything else in it stays as it was stated then. */
function startCorrection(context: Context, known: KnownEmployment): HrRecordInput[] {
  const { row } = context;
  if (row.startOn === known.startOn) return [];
  const { kind, ...hire } = known.hire.statement;
  return [complete(context, { kind, eventId: known.hire.eventId, ...hire, startOn: row.startOn })];
}

function inForce(context: Context, known: KnownEmployment): HrRecordInput[] {
  const { row, today } = context;
  const records = startCorrection(context, known);
  const effectiveOn = row.effectiveOn ?? laterOf(today, row.startOn);
  const change = changeOf(row, atDate(known, effectiveOn));
  if (change !== undefined) records.push(changeRecord(context, known, effectiveOn, change));
  return records;
}

/** The ledger's version is part of the id: the same change after another one in between is a new event, a repeat of an import is not. */
function changeRecord(context: Context, known: KnownEmployment, effectiveOn: LocalDate, change: Change): HrRecordInput {
  const id = eventId(context, 'change', [effectiveOn, known.ledgerVersion, { ...change }]);
  const stated = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
  return complete(context, { kind: 'change', eventId: id, effectiveOn, ...stated });
}

/** What is known with the stated changes up to a date applied: a change announced before is not announced again. */
function atDate(known: KnownEmployment, date: LocalDate): KnownEmployment {
  return known.upcoming
    .filter((change) => change.effectiveOn <= date)
    .reduce<KnownEmployment>(
      (state, change) => ({
        ...state,
        worker: change.worker ?? state.worker,
        contractEnd: contractEndAfter({ worker: state.worker, endOn: state.contractEnd }, change).endOn,
        zone: change.zone ?? state.zone,
        manager: change.manager === undefined ? state.manager : change.manager,
        attributes: { ...state.attributes, ...change.attributes },
      }),
      known,
    );
}

interface Change {
  readonly zone?: string;
  readonly worker?: 'employee' | 'contractor';
  readonly endOn?: LocalDate | null | undefined;
  readonly manager?: string | null | undefined;
  readonly attributes?: Attributes;
}

function changeOf(row: StatedRow, known: KnownEmployment): Change | undefined {
  const attributes = Object.fromEntries(
    Object.entries(row.attributes).filter(
      ([name, value]) => value !== ((known.attributes as Readonly<Record<string, string | null>>)[name] ?? null),
    ),
  );
  // A conversion to employee is a new contract: an end that goes on must be stated with it.
  const isConverted = row.worker === 'employee' && known.worker !== 'employee';
  const isSameEnd = row.endOn === undefined || row.endOn === (known.contractEnd ?? null);
  const change: Change = {
    ...(row.zone === known.zone ? {} : { zone: row.zone }),
    ...(row.worker === known.worker ? {} : { worker: row.worker }),
    ...(isSameEnd && !(isConverted && row.endOn) ? {} : { endOn: row.endOn }),
    ...(row.manager === undefined || row.manager === known.manager ? {} : { manager: row.manager }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
  };
  return Object.keys(change).length === 0 ? undefined : change;
}

function endDifference(context: Context, known: KnownEmployment): HrRecordInput[] {
  const { row, version } = context;
  const { end } = known;
  if (row.lastWorkingDay) {
    if (end === undefined)
      return known.lastWorkingDay === row.lastWorkingDay && known.contractEnd === row.lastWorkingDay
        ? []
        : [endRecord(context, eventId(context, 'end', [known.startOn, row.lastWorkingDay, version]))];
    const same =
      end.lastWorkingDay === row.lastWorkingDay &&
      (row.manner === undefined || row.manner === end.manner) &&
      (row.noticeOn === undefined || row.noticeOn === (end.noticeOn ?? null));
    return same ? [] : [endRecord(context, end.eventId, end)];
  }
  // The column is there and empty, and the end lies ahead: HR took it back. An end that has passed is never taken back by a file.
  if (row.lastWorkingDay === null && end !== undefined && known.status !== 'ended')
    return [withdrawal(context, end.eventId)];
  return [];
}

function leaveDifference(context: Context, known: KnownEmployment): HrRecordInput[] {
  const { row, today, version } = context;
  const { leave } = known;
  if (row.standing === 'leave' || (row.leaveFrom ?? '') > today) {
    const isOpen = leave !== undefined && leave.returned === undefined;
    const startOn = row.leaveFrom ?? (isOpen ? leave.startOn : laterOf(today, row.startOn));
    // A return that lies in the leave which is stated now was a mistake of an earlier file.
    const undone =
      leave?.returned !== undefined && leave.returned.on >= startOn
        ? [withdrawal(context, leave.returned.eventId)]
        : [];
    const goesOn = isOpen || undone.length > 0;
    if (goesOn && leave?.startOn === startOn) return undone;
    return [...undone, leaveRecord(context, startOn, goesOn ? leave?.eventId : undefined)];
  }
  if (row.standing !== 'employed' || leave === undefined || leave.returned !== undefined) return [];
  if (leave.startOn <= today)
    return [complete(context, { kind: 'return', eventId: eventId(context, 'return', [today, version]), on: today })];
  // Announced, and taken back before it began.
  const isTakenBack = row.leaveFrom === null && leave.startOn > today;
  return isTakenBack ? [withdrawal(context, leave.eventId)] : [];
}

function withdrawal(context: Context, corrects: string): HrRecordInput {
  const id = eventId(context, 'withdraw', [corrects, context.version]);
  return complete(context, { kind: 'withdraw', eventId: id, corrects });
}

function hireRecord(context: Context, id: string, known?: KnownEmployment): HrRecordInput {
  const { row } = context;
  const stated = Object.entries({ ...known?.attributes, ...row.attributes }).filter(
    ([, value]) => typeof value === 'string',
  );
  const manager = row.manager === undefined ? known?.manager : row.manager;
  return complete(context, {
    kind: 'hire',
    eventId: id,
    startOn: row.startOn,
    zone: row.zone,
    worker: row.worker,
    ...(row.endOn ? { endOn: row.endOn } : {}),
    ...(manager === undefined ? {} : { manager }),
    attributes: Object.fromEntries(stated),
  });
}

function endRecord(context: Context, id: string, known?: KnownEmployment['end']): HrRecordInput {
  const { row } = context;
  return complete(context, {
    kind: 'end',
    eventId: id,
    lastWorkingDay: row.lastWorkingDay ?? context.today,
    manner: row.manner ?? known?.manner ?? 'voluntary',
    ...(row.noticeOn ? { noticeOn: row.noticeOn } : {}),
    ...(known?.doNotRehire === undefined ? {} : { doNotRehire: known.doNotRehire }),
  });
}

function leaveRecord(context: Context, startOn: LocalDate, id?: string): HrRecordInput {
  const { row } = context;
  return complete(context, {
    kind: 'leave',
    eventId: id ?? eventId(context, 'leave', [startOn, context.version]),
    startOn,
    ...(row.leaveUntil && row.leaveUntil >= startOn ? { expectedEndOn: row.leaveUntil } : {}),
  });
}

function complete(context: Context, body: Body): HrRecordInput {
  const { source, row, version } = context;
  return { source, version, person: row.person, employment: row.employment, ...body };
}

function eventId(context: Context, kind: string, content: readonly Json[]): string {
  return `${kind}-${hashOf([context.source, context.row.person, context.row.employment, kind, ...content])}`;
}
