import { describe, expect, it } from '@jest/globals';
import { batched } from '../../../src/activities/lib/batched.js';
import type { Batching } from '../../../src/activities/lib/batched.js';

describe('calls that are asked for at the same moment', () => {
  const recording = (options?: Batching<number>) => {
    const rounds: (readonly number[])[] = [];
    const double = batched((keys: readonly number[]): Promise<(key: number) => number> => {
      rounds.push([...keys]);
      if (keys.includes(13)) return Promise.reject(new Error('unlucky'));
      return Promise.resolve((key: number) => key * 2);
    }, options);
    return { rounds, double };
  };
  /** Each round waits until it is let go. */
  const held = () => {
    const rounds: { readonly keys: readonly number[]; letGo(): void }[] = [];
    const double = batched(
      (keys: readonly number[]) =>
        new Promise<(key: number) => number>((resolve) => {
          rounds.push({
            keys: [...keys],
            letGo: () => {
              resolve((key) => key * 2);
            },
          });
        }),
    );
    const until = async (count: number): Promise<void> => {
      while (rounds.length < count) await new Promise(setImmediate);
    };
    return { rounds, double, until };
  };

  it('are one, and each gets its own answer', async () => {
    const { rounds, double } = recording();
    const late = Promise.resolve().then(() => double(3));
    expect(await Promise.all([double(1), double(2), late])).toEqual([2, 4, 6]);
    expect(rounds).toEqual([[1, 2, 3]]);
  });

  it('are not remembered: a later one is asked anew', async () => {
    const { rounds, double } = recording();
    await double(1);
    await double(1);
    expect(rounds).toEqual([[1], [1]]);
  });

  it('that come while a round is under way are the next one', async () => {
    const { rounds, double, until } = held();
    const first = double(1);
    await until(1);
    const others = [double(2), double(3)];
    rounds[0]?.letGo();
    await until(2);
    rounds[1]?.letGo();
    expect(await Promise.all([first, ...others])).toEqual([2, 4, 6]);
    expect(rounds.map((round) => round.keys)).toEqual([[1], [2, 3]]);
  });

  it('do not wait for ever for a round that is held up', async () => {
    const { rounds, double, until } = held();
    const first = double(1);
    await until(1);
    const second = double(2);
    await until(2);
    rounds[1]?.letGo();
    expect(await second).toBe(4);
    rounds[0]?.letGo();
    expect(await first).toBe(2);
    const third = double(3);
    await until(3);
    rounds[2]?.letGo();
    expect(await third).toBe(6);
  });

  it('do not hear of what another one’s key has done', async () => {
    const { rounds, double } = recording();
    const results = await Promise.allSettled([double(1), double(13), double(2)]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(rounds).toEqual([[1, 13, 2], [1], [13], [2]]);
    expect(await double(1)).toBe(2);
  });

  it('are kept apart where they would be in each other’s way', async () => {
    const { rounds, double } = recording({ apart: (key) => key % 10 });
    expect(await Promise.all([double(1), double(11), double(2), double(21)])).toEqual([2, 22, 4, 42]);
    expect(rounds).toEqual([[1, 2], [11], [21]]);
  });
});
