import type { TransitionKind } from '../../domain/process/kinds.js';
import type { EvidenceView, IdentityView, ProcessView } from './answers.js';

/** What is expected of a person, and how far they are. Pure. */

/** Waits that are meant: nothing is due before their instant. */
const DATED = new Set(['date', 'grace-period', 'retention']);

/** Why a person is not where they should be now; empty when everything due is done. */
export function openPoints(person: IdentityView, begins: readonly TransitionKind[], now: string): readonly string[] {
  const missing = begins.filter((kind) => !person.processes.some((one) => one.kind === kind));
  const isUnseen = person.nextDueAt !== null && person.nextDueAt <= now;
  return [
    ...missing.map((kind) => `${kind} has not begun`),
    ...person.processes.filter((one) => isBusy(one, now)).map(describeBusy),
    ...(isUnseen ? [`something is due since ${person.nextDueAt ?? ''} and has not begun`] : []),
  ];
}

function isBusy(one: ProcessView, now: string): boolean {
  if (one.state !== 'running' && one.state !== 'tail') return false;
  const isDated = one.blockedOn !== null && DATED.has(one.blockedOn);
  return !isDated || one.dueAt === null || one.dueAt <= now;
}

function describeBusy(one: ProcessView): string {
  const doing = one.phase === null ? 'beginning' : `in phase ${one.phase}`;
  return `${one.kind} is ${doing}${one.blockedOn === null ? '' : `, waits for ${one.blockedOn}`}`;
}

export interface Proofs {
  readonly proven: number;
  /** The checks whose latest verdict is another than proven. */
  readonly open: readonly EvidenceView[];
}

/** One operation of one process; each of its checks is a row. */
function keyOf({ processId, application, phase, operation }: EvidenceView): string {
  return JSON.stringify([processId, application, phase, operation]);
}

/**
 * The latest verdict of each check counts: what was pending and then seen is proven. A sign-in that cannot be tried at all (a file has none) is not open when
 * the same operation was proven by reading; alone it is. `rows` oldest first.
 */
export function proofsOf(rows: readonly EvidenceView[]): Proofs {
  const latest = new Map<string, EvidenceView>();
  for (const row of rows)
    latest.set(JSON.stringify([row.processId, row.application, row.phase, row.operation, row.check]), row);
  const verdicts = [...latest.values()];
  const proven = verdicts.filter((row) => row.verdict === 'proven');
  const isReadBack = (row: EvidenceView): boolean => proven.some((other) => keyOf(other) === keyOf(row));
  const open = verdicts.filter(
    (row) => row.verdict !== 'proven' && !(row.verdict === 'unprovable' && row.code === 'no-probe' && isReadBack(row)),
  );
  return { proven: proven.length, open };
}

/** What went wrong with a person's proofs: an open check, or a process that should have changed something and proved nothing. */
export function doubts(person: IdentityView, rows: readonly EvidenceView[]): readonly string[] {
  const { open } = proofsOf(rows);
  const silent = person.processes.filter(
    (one) =>
      one.state !== 'cancelled' &&
      one.outcome?.startsWith('carried-out-by:') !== true &&
      !rows.some((row) => row.processId === one.processId),
  );
  return [
    ...open.map(
      (row) =>
        `${row.application} ${row.phase} ${row.operation}: ${row.verdict}${row.code === null ? '' : ` (${row.code})`}`,
    ),
    ...silent.map((one) => `${one.kind} left no proof`),
  ];
}

export interface Ahead {
  readonly at: string;
  readonly what: string;
}

/** What is still to come, with its instant, soonest first. */
export function ahead(person: IdentityView, now: string): readonly Ahead[] {
  const waiting = person.processes.flatMap((one): Ahead[] =>
    (one.state === 'running' || one.state === 'tail') && one.dueAt !== null && one.dueAt > now
      ? [{ at: one.dueAt, what: wordsFor(one) }]
      : [],
  );
  const coming = person.upcoming
    .filter((one) => !waiting.some((known) => known.at === one.effectiveAt))
    .map((one): Ahead => ({ at: one.effectiveAt, what: UPCOMING[one.kind] ?? one.kind }));
  const prepared =
    person.nextDueAt !== null &&
    person.nextDueAt > now &&
    ![...waiting, ...coming].some((one) => one.at === person.nextDueAt)
      ? [{ at: person.nextDueAt, what: 'preparation begins' }]
      : [];
  return [...prepared, ...waiting, ...coming].sort((a, b) => (a.at < b.at ? -1 : 1));
}

const UPCOMING: Readonly<Record<string, string>> = {
  joiner: 'first day: access opens',
  rehire: 'first day: access opens',
  leaver: 'access ends',
  mover: 'moves',
  'name-change': 'name changes',
  conversion: 'contract changes',
};

function wordsFor(one: ProcessView): string {
  switch (one.blockedOn) {
    case 'grace-period':
      return 'old access ends';
    case 'retention':
      return one.phase === 'archive' ? 'accounts are deleted' : 'accounts are archived';
    case 'date':
      return UPCOMING[one.kind] ?? one.kind;
    default:
      return `${one.kind} goes on`;
  }
}
