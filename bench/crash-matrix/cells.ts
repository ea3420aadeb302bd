import type { OperationKind } from '../../src/domain/process/kinds.js';

/** What is killed. */
export const VICTIMS = ['worker', 'api', 'postgres', 'temporal'] as const;
export type Victim = (typeof VICTIMS)[number];

/**
 * When. `before`: the write has reached the target's door, and the target has not acted; a write whose sender was killed never gets in. `during`: the target has
 * acted, and its answer has not been sent. `after`: the answer has been sent, and the target's next question about it (the proof) is at the door.
 */
export const MOMENTS = ['before', 'during', 'after'] as const;
export type Moment = (typeof MOMENTS)[number];

/** The operation kinds that a leaver's plan asks of targets, in the order in which they come, and the application of the matrix that has each. */
export const APPLICATION_OF = {
  seal: 'desk',
  disable: 'shop',
  'revoke-sessions': 'desk',
  'revoke-credentials': 'desk',
  'check-in': 'desk',
  'remove-entitlement': 'desk',
  'transfer-ownership': 'desk',
  'set-forwarding': 'desk',
  archive: 'desk',
  anonymise: 'desk',
  delete: 'shop',
} as const satisfies Partial<Record<OperationKind, string>>;

export type LeaverKind = keyof typeof APPLICATION_OF;
export const KINDS = Object.keys(APPLICATION_OF) as readonly LeaverKind[];

/** One cell of the matrix; `number` counts from 1 in the order of `allCells`. */
export interface Cell {
  readonly number: number;
  readonly victim: Victim;
  readonly moment: Moment;
  readonly kind: LeaverKind;
}

/** Every victim at every moment of every kind. */
export function allCells(): readonly Cell[] {
  const cells = VICTIMS.flatMap((victim) =>
    MOMENTS.flatMap((moment) => KINDS.map((kind) => ({ victim, moment, kind }))),
  );
  return cells.map((cell, index) => ({ number: index + 1, ...cell }));
}

/** `size` cells drawn by `random` (numbers in [0, 1)), and one more of each kind that is not among them, at kills that are drawn already. */
export function sampleOf(size: number, random: () => number): readonly Cell[] {
  const shuffled = allCells()
    .map((cell) => ({ cell, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ cell }) => cell);
  const drawn = shuffled.slice(0, size);
  const isDrawnKill = ({ victim, moment }: Cell): boolean =>
    drawn.some((cell) => cell.victim === victim && cell.moment === moment);
  const missing = KINDS.filter((kind) => drawn.every((cell) => cell.kind !== kind));
  const more = missing.flatMap((kind) => shuffled.find((cell) => cell.kind === kind && isDrawnKill(cell)) ?? []);
  return [...drawn, ...more].sort((a, b) => a.number - b.number);
}

/** Cells that share their kill: the same victim at the same moment, a person for each. */
export function rounds(cells: readonly Cell[]): readonly (readonly Cell[])[] {
  const of = (victim: Victim, moment: Moment): readonly Cell[] =>
    cells.filter((cell) => cell.victim === victim && cell.moment === moment);
  return VICTIMS.flatMap((victim) => MOMENTS.map((moment) => of(victim, moment))).filter((round) => round.length > 0);
}
