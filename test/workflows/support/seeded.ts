import { randomInt } from 'node:crypto';

/** A repeatable source of chance: the same seed gives the same draws (mulberry32). */
export class Seeded {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number, both ends included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.between(0, from.length - 1)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }
}

/** The seed given by TENURE_TEST_SEED, to see a failure again; else a new one. */
export function chosenSeed(): number {
  const given = Number(process.env['TENURE_TEST_SEED']);
  return Number.isInteger(given) && given > 0 ? given : randomInt(1, 2 ** 31);
}
