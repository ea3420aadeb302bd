import { hashOf } from '../hash.js';
import { brand } from '../process/ids.js';
import type { EmploymentId, FactId, Instant } from '../process/ids.js';
import type { Json } from '../process/json.js';
import type { TransitionKind } from '../process/kinds.js';
import { EARLIEST, compare } from '../time/instants.js';
import { breakpointsOf, stateOf, stretchNotice } from './state.js';
import { runsAt } from './timeline.js';
import type { Spell, Timeline } from './timeline.js';
import type { Attributes, EmploymentState, LeaveLength, PersonState, Transition } from './types.js';

/** A transition as one reading of the ledger implies it, before its history (moved, cancelled) is known. */
export type Implied = Omit<Transition, 'movedFrom'>;

type Draft = Omit<Implied, 'id' | 'ordinal' | 'digest'> & {
  /** Spell number for what begins and ends spells; the others are numbered by their place. */
  readonly spell?: number;
  /** What the process acts on besides kind, status and instants. */
  readonly matters: Json;
};

const NAMES: ReadonlySet<string> = new Set(['givenName', 'familyName', 'middleName', 'preferredName', 'displayName']);
const BEFORE_ALL = brand<Instant>('0000-01-01T00:00:00.000Z');

/** Kinds whose ordinal is the spell's number; the others count by effective instant within their employment. */
export const SPELL_KINDS: ReadonlySet<TransitionKind> = new Set<TransitionKind>([
  'joiner',
  'rehire',
  'leaver',
  'rescinded-hire',
]);

/** What happens to a person over a folded ledger: the differences between the states on either side of every breakpoint. */
export function implied(timeline: Timeline): Implied[] {
  const drafts: Draft[] = [];
  let before = stateOf(timeline, BEFORE_ALL);
  for (const at of breakpointsOf(timeline)) {
    const after = stateOf(timeline, at);
    drafts.push(...[beginning, ending, leaves, move].flatMap((derive) => derive(timeline, before, after)));
    before = after;
  }
  return numbered([...drafts, ...rescissions(timeline)]);
}

function numbered(drafts: readonly Draft[]): Implied[] {
  const counts = new Map<string, number>();
  return drafts.map(({ spell, matters, ...draft }) => {
    const series = `${draft.employmentId}/${draft.kind}`;
    const place = (counts.get(series) ?? 0) + 1;
    counts.set(series, place);
    const ordinal = spell ?? place;
    return { ...draft, id: brand(`${series}/${ordinal}`), ordinal, digest: digestOf(draft, matters) };
  });
}

/** Hash of what the process acts on. It covers personal values, so it stays in the database and never goes to Temporal. */
export function digestOf(
  transition: Pick<Transition, 'kind' | 'status' | 'effectiveAt' | 'noticeAt' | 'manner'>,
  matters: Json,
): string {
  const { kind, status, effectiveAt, noticeAt, manner } = transition;
  return hashOf([kind, status, effectiveAt, noticeAt ?? null, manner ?? null, matters]);
}

/** Someone who did not work begins to: joiner, or rehire after an earlier stretch of work. */
function beginning(timeline: Timeline, before: PersonState, after: PersonState): Draft[] {
  const { at, primary } = after;
  if (working(before).length > 0 || primary === undefined) return [];
  const spells = timeline.spells.filter((spell) => runsAt(spell, at));
  const own = spells.find((spell) => spell.employmentId === primary.employmentId);
  if (own === undefined) return [];
  const kind = hasWorkedBefore(timeline, at) ? 'rehire' : 'joiner';
  const ends = new Set(spells.map((spell) => spell.end?.factId));
  const because = working(after).map((one) => one.because.filter((id) => !ends.has(id)));
  return [
    {
      kind,
      status: 'standing',
      employmentId: own.employmentId,
      spell: own.ordinal,
      effectiveAt: at,
      changed: [],
      because: union([spells.map((spell) => spell.hire.factId), ...because]),
      matters: [working(after).map(joining), own.employmentId, kind === 'rehire' && after.doNotRehire],
    },
  ];
}

/** Someone who worked works nowhere any more: the leaver belongs to the employment that ends last. */
function ending(timeline: Timeline, before: PersonState, after: PersonState): Draft[] {
  const at = after.at;
  if (working(before).length === 0 || working(after).length > 0) return [];
  const closing = timeline.spells.filter((one) => !one.rescinded && one.accessEndsAt === at && one.startsAt < at);
  const closer = closing.find((one) => one.employmentId === before.primary?.employmentId) ?? closing[0];
  if (closer?.end === undefined) return [];
  const noticeAt = stretchNotice(timeline, closer, at);
  return [
    {
      kind: 'leaver',
      status: 'standing',
      employmentId: closer.employmentId,
      spell: closer.ordinal,
      effectiveAt: at,
      ...(noticeAt === undefined ? {} : { noticeAt }),
      manner: closer.end.manner,
      changed: [],
      because: union(closing.map((one) => (one.end === undefined ? [] : [one.end.factId]))),
      matters: null,
    },
  ];
}

function leaves(timeline: Timeline, before: PersonState, after: PersonState): Draft[] {
  return after.employments.flatMap((one): Draft[] => {
    const was = statusIn(before, one.employmentId);
    const kind = was === one.status ? undefined : leaveKind(was, one.status);
    if (kind === undefined) return [];
    const because = factsAt(timeline, after.at, one.employmentId);
    return [
      {
        kind,
        status: 'standing',
        employmentId: one.employmentId,
        effectiveAt: after.at,
        changed: [],
        because,
        ...(kind === 'leave-start' ? { leave: lengthOf(timeline, after.at, one.employmentId) } : {}),
        matters: null,
      },
    ];
  });
}

function lengthOf(timeline: Timeline, at: Instant, employmentId: EmploymentId): LeaveLength {
  const own = timeline.spells.filter((spell) => spell.employmentId === employmentId && runsAt(spell, at));
  const pause = own.flatMap((spell) => spell.suspensions).find((one) => one.from <= at && at < one.to);
  const isReturnKnown = pause?.endedBy !== undefined;
  return { isReturnKnown, ...(pause?.days === undefined ? {} : { days: pause.days }) };
}

function leaveKind(was: string | undefined, is: string): 'leave-start' | 'leave-end' | undefined {
  if (is === 'suspended') return 'leave-start';
  return was === 'suspended' && is === 'active' ? 'leave-end' : undefined;
}

/** Someone who goes on working, with something about it changed. All that changes at one instant is one transition. */
function move(timeline: Timeline, before: PersonState, after: PersonState): Draft[] {
  const [was, is] = [working(before), working(after)];
  if (was.length === 0 || is.length === 0 || before.primary === undefined || after.primary === undefined) return [];
  const own = is.map((one) => ({
    one,
    changed: differences(
      was.find((other) => other.employmentId === one.employmentId),
      one,
    ),
  }));
  const touched = own.filter(({ changed }) => changed.length > 0);
  const switched = before.primary.employmentId !== after.primary.employmentId;
  const regrouped =
    was.length !== is.length || was.some((one) => !is.some((other) => other.employmentId === one.employmentId));
  const changed = new Set([
    ...touched.flatMap((one) => one.changed),
    ...(switched ? ['primary', ...differences(before.primary, after.primary)] : []),
    ...(regrouped ? ['employments'] : []),
  ]);
  if (changed.size === 0) return [];
  const names = [...changed].sort(compare);
  const single = touched.length === 1 && !switched && !regrouped ? touched[0]?.one : undefined;
  return [
    {
      kind: changed.has('worker') ? 'conversion' : names.every((name) => NAMES.has(name)) ? 'name-change' : 'mover',
      status: 'standing',
      employmentId: (single ?? after.primary).employmentId,
      effectiveAt: after.at,
      changed: names,
      because: factsAt(timeline, after.at),
      matters: [names, is.map((one) => moving(one, names)), switched || regrouped ? after.primary.employmentId : null],
    },
  ];
}

/** A hire that never was: its joiner is cancelled and undone at once, unless another employment has the person working then anyway. */
function rescissions(timeline: Timeline): Draft[] {
  return timeline.spells
    .filter((spell) => spell.rescinded && !timeline.spells.some((other) => runsAt(other, spell.startsAt)))
    .flatMap((spell): Draft[] => {
      const common = {
        employmentId: spell.employmentId,
        spell: spell.ordinal,
        changed: [],
        because: union([[spell.hire.factId], spell.end === undefined ? [] : [spell.end.factId]]),
        matters: spell.startsAt,
      };
      const kind = hasWorkedBefore(timeline, spell.startsAt) ? 'rehire' : 'joiner';
      return [
        { ...common, kind, status: 'cancelled', effectiveAt: spell.startsAt },
        { ...common, kind: 'rescinded-hire', status: 'standing', effectiveAt: EARLIEST },
      ];
    });
}

function hasWorkedBefore(timeline: Timeline, at: Instant): boolean {
  return timeline.spells.some((spell) => !spell.rescinded && spell.accessEndsAt <= at);
}

function working(state: PersonState): EmploymentState[] {
  return state.employments.filter((one) => one.status === 'active' || one.status === 'suspended');
}

function statusIn(state: PersonState, employmentId: EmploymentId): string | undefined {
  return state.employments.find((one) => one.employmentId === employmentId)?.status;
}

/** Names of what differs; nothing when the employment was not there before (that is a regrouping). */
function differences(before: EmploymentState | undefined, after: EmploymentState): string[] {
  if (before === undefined) return [];
  return [
    ...attributeDifferences(before.attributes, after.attributes),
    ...(before.manager === after.manager ? [] : ['manager']),
    ...(before.worker === after.worker ? contractDifference(before, after) : ['worker']),
  ];
}

/** A contract that ends on another day is aligned as any attribute is; a conversion brings a new contract along anyway. */
function contractDifference(before: EmploymentState, after: EmploymentState): string[] {
  return before.contractEndOn === after.contractEndOn ? [] : ['contractEnd'];
}

/** Names of attributes with different values, sorted; cleared and never stated are the same. */
export function attributeDifferences(before: Attributes, after: Attributes): string[] {
  const [left, right] = [stated(before), stated(after)];
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((name) => left.get(name) !== right.get(name))
    .sort(compare);
}

function stated(attributes: Attributes): Map<string, string> {
  return new Map(Object.entries(attributes).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function joining(one: EmploymentState): Json {
  const attributes = Object.fromEntries(stated(one.attributes));
  const ends = one.contractEndOn === undefined ? [] : [one.contractEndOn];
  return [one.employmentId, one.status, one.worker, one.zone, one.manager, attributes, ...ends];
}

function moving(one: EmploymentState, names: readonly string[]): Json {
  const values = stated(one.attributes);
  return [
    one.employmentId,
    names.map((name) => values.get(name) ?? null),
    names.includes('manager') ? one.manager : null,
    names.includes('worker') ? one.worker : null,
    ...(names.includes('contractEnd') ? [one.contractEndOn ?? null] : []),
  ];
}

function factsAt(timeline: Timeline, at: Instant, employmentId?: EmploymentId): FactId[] {
  const own = timeline.spells.filter(
    (one) => !one.rescinded && (employmentId === undefined || one.employmentId === employmentId),
  );
  return union(own.map((spell) => factsOfSpellAt(spell, at)));
}

function factsOfSpellAt(spell: Spell, at: Instant): FactId[] {
  return [
    ...(spell.startsAt === at ? [spell.hire.factId] : []),
    ...spell.changes.filter((change) => change.at === at).map((change) => change.fact.factId),
    ...spell.suspensions.flatMap((one) =>
      one.from === at ? [one.startedBy] : one.to === at && one.endedBy ? [one.endedBy] : [],
    ),
    ...(spell.accessEndsAt === at && spell.end !== undefined ? [spell.end.factId] : []),
  ];
}

function union(lists: readonly (readonly FactId[])[]): FactId[] {
  return [...new Set(lists.flat())].sort(compare);
}
