import { describe, expect, it } from '@jest/globals';
import { batched } from '../../../src/activities/lib/batched.js';

describe('calls that are asked for at the same moment', () => {
  const recording = () => {
    const rounds: (readonly number[])[] = [];
    const double = batched((keys: readonly number[]): Promise<(key: number) => number> => {
      rounds.push([...keys]);
      if (keys.includes(13)) return Promise.reject(new Error('unlucky'));
      return Promise.resolve((key: number) => key * 2);
    });
    return { rounds, double };
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

  it('all hear of a failure, and the next round is not harmed by it', async () => {
    const { double } = recording();
    const results = await Promise.allSettled([double(1), double(13)]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect(await double(1)).toBe(2);
  });
});
