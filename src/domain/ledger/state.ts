import type { EmploymentId, FactId, Instant } from '../process/ids.js';
import { LATEST, compare, earlierOf, laterOf } from '../time/instants.js';
import { resolveSlots } from './slots.js';
import { contractEnd } from './spell-parts.js';
import { buildTimeline, runsAt, standingOf } from './timeline.js';
import type { Spell, Timeline } from './timeline.js';
import type { Attributes, EmploymentState, EmploymentStatus, Fact, LifecycleState, PersonState } from './types.js';

/**
 * A person's state at an instant, from the facts of that one person. Pure: the same set of facts gives the same state, in whatever order and
 * however often they are given.
 */
export function stateAt(facts: readonly Fact[], at: Instant): PersonState {
  return stateOf(timelineOf(facts), at);
}

/** Every instant at which the state may differ from the moment before, ascending, each once. */
export function breakpoints(facts: readonly Fact[]): Instant[] {
  return breakpointsOf(timelineOf(facts));
}

/** The ledger folded once, for callers that ask for many instants. */
export function timelineOf(facts: readonly Fact[]): Timeline {
  return buildTimeline(standingOf(resolveSlots(facts)));
}

export function breakpointsOf(timeline: Timeline): Instant[] {
  const instants = timeline.spells
    .filter((spell) => !spell.rescinded)
    .flatMap((spell) => [
      spell.startsAt,
      spell.accessEndsAt,
      ...(spell.end?.noticeAt === undefined ? [] : [spell.end.noticeAt]),
      ...spell.changes.map((change) => change.at),
      ...spell.suspensions.flatMap((suspension) => [suspension.from, suspension.to]),
    ]);
  const flags = timeline.doNotRehire.map((flag) => flag.at);
  return [...new Set([...instants, ...flags])].filter((instant) => instant < LATEST).sort(compare);
}

/** As `stateAt`, over a ledger already folded. */
export function stateOf(timeline: Timeline, at: Instant): PersonState {
  const ids = [...new Set(timeline.spells.map((spell) => spell.employmentId))];
  const states = ids.map((id) => employmentAt(speaking(timeline.spells, id, at), at)).sort(byPrecedence);
  const first = states[0];
  const primary =
    first === undefined || first.state.status === 'rescinded' ? undefined : { ...first.state, isPrimary: true };
  const employments = states.map(({ state }) => (state.employmentId === primary?.employmentId ? primary : state));
  return {
    at,
    lifecycle: lifecycleOf(timeline, employments, at),
    employments: employments.sort((a, b) => compare(a.employmentId, b.employmentId)),
    ...(primary === undefined ? {} : { primary }),
    doNotRehire: timeline.doNotRehire.some((flag) => flag.at <= at),
  };
}

/** The end of the unbroken stretch of work in which `at` lies, over all employments; LATEST when open. Undefined when nobody works then. */
export function stretchEnd(timeline: Timeline, at: Instant): Instant | undefined {
  let end: Instant | undefined;
  let probe = at;
  for (;;) {
    const reach = timeline.spells.filter((spell) => runsAt(spell, probe)).map((spell) => spell.accessEndsAt);
    const next = reach.length === 0 ? undefined : reach.reduce(laterOf);
    if (next === undefined || next === end) return end;
    end = next;
    probe = next;
  }
}

/** When a stretch of work that ends at `end` is under notice as a whole: an employment without notice holds it off until it ends itself. */
export function stretchNotice(timeline: Timeline, closing: Spell, end: Instant): Instant | undefined {
  let notice = closing.end?.noticeAt;
  if (notice === undefined) return undefined;
  for (const spell of timeline.spells) {
    if (spell === closing || spell.rescinded || spell.accessEndsAt <= notice || spell.startsAt >= end) continue;
    notice = laterOf(notice, earlierOf(spell.end?.noticeAt ?? LATEST, spell.accessEndsAt));
  }
  return notice < end ? notice : undefined;
}

/** The spell that speaks for an employment: the running one, else the next to come, else the last that ended, else one that never was. */
function speaking(spells: readonly Spell[], id: EmploymentId, at: Instant): Spell {
  const own = spells.filter((spell) => spell.employmentId === id).sort((a, b) => compare(a.startsAt, b.startsAt));
  const real = own.filter((spell) => !spell.rescinded);
  const spell =
    real.findLast((one) => runsAt(one, at)) ?? real.find((one) => one.startsAt > at) ?? real.at(-1) ?? own.at(-1);
  return spell as Spell;
}

interface Ranked {
  readonly state: EmploymentState;
  readonly saidPrimary: boolean;
}

function employmentAt(spell: Spell, at: Instant): Ranked {
  const status = statusAt(spell, at);
  const pause = spell.suspensions.find((one) => one.from <= at && at < one.to);
  // What is stated after the end changes nothing any more, so that "ended" is a stable state.
  const applied = spell.changes
    .filter((change) => change.at <= at && change.at < spell.accessEndsAt)
    .map((change) => change.fact);
  const statements = [spell.hire.statement, ...applied.map((fact) => fact.statement)];
  const because = [spell.hire.factId, ...applied.map((fact) => fact.factId), pause?.startedBy, spell.end?.factId];
  const { end, contractEndsAt } = spell;
  const { endOn } = contractEnd(spell.hire, applied);
  const state: EmploymentState = {
    employmentId: spell.employmentId,
    status,
    worker: last(statements.map((one) => one.worker)) ?? 'employee',
    zone: last(statements.map((one) => one.zone)) ?? spell.hire.statement.zone,
    startOn: spell.startOn,
    startsAt: spell.startsAt,
    ...(end === undefined
      ? {}
      : { lastWorkingDay: end.lastWorkingDay, accessEndsAt: spell.accessEndsAt, endManner: end.manner }),
    ...(contractEndsAt === undefined ? {} : { contractEndsAt }),
    ...(endOn === undefined ? {} : { contractEndOn: endOn }),
    ...(end?.noticeAt === undefined ? {} : { noticeAt: end.noticeAt }),
    isPrimary: false,
    manager: last(statements.map((one) => one.manager)) ?? null,
    attributes: Object.assign({}, ...statements.map((one) => one.attributes ?? {})) as Attributes,
    because: [...new Set(because.filter((id): id is FactId => id !== undefined))],
  };
  return { state, saidPrimary: last(statements.map((one) => one.primary)) ?? false };
}

function statusAt(spell: Spell, at: Instant): EmploymentStatus {
  if (spell.rescinded) return 'rescinded';
  if (at < spell.startsAt) return 'pre-hire';
  if (at >= spell.accessEndsAt) return 'ended';
  return spell.suspensions.some((one) => one.from <= at && at < one.to) ? 'suspended' : 'active';
}

/** Someone on leave keeps the primary employment: a leave alone does not make a mover. */
const PRECEDENCE: Readonly<Record<EmploymentStatus, number>> = {
  active: 0,
  suspended: 0,
  'pre-hire': 1,
  ended: 2,
  rescinded: 3,
  none: 4,
};

function byPrecedence(a: Ranked, b: Ranked): number {
  return (
    PRECEDENCE[a.state.status] - PRECEDENCE[b.state.status] ||
    Number(b.saidPrimary) - Number(a.saidPrimary) ||
    compare(a.state.startOn, b.state.startOn) ||
    compare(a.state.employmentId, b.state.employmentId)
  );
}

function lifecycleOf(timeline: Timeline, employments: readonly EmploymentState[], at: Instant): LifecycleState {
  const statuses = new Set(employments.map((one) => one.status));
  if (statuses.has('active') || statuses.has('suspended')) {
    if (isLeaving(timeline, at)) return 'leaving';
    return statuses.has('active') ? 'active' : 'suspended';
  }
  if (statuses.has('pre-hire')) return 'pre-hire';
  return statuses.has('ended') ? 'left' : 'none';
}

function isLeaving(timeline: Timeline, at: Instant): boolean {
  const end = stretchEnd(timeline, at);
  return timeline.spells.some((spell) => {
    if (end === undefined || spell.rescinded || spell.accessEndsAt !== end) return false;
    const notice = stretchNotice(timeline, spell, end);
    return notice !== undefined && notice <= at;
  });
}

function last<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.findLast((value) => value !== undefined);
}
