import { describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { CutsFirst } from '../../../src/activities/lib/cuts-first.js';

describe('whoever cuts nothing', () => {
  const never = new AbortController().signal;
  const pending = () => {
    let end = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      end = resolve;
    });
    return { promise, end: () => end() };
  };

  it('goes on at once while nobody is cut', async () => {
    expect(await new CutsFirst().rest(never)).toBe(false);
  });

  it('rests until the last step of every cut is over', async () => {
    const cuts = new CutsFirst();
    const [first, second] = [pending(), pending()];
    const steps = [cuts.during(() => first.promise), cuts.during(() => second.promise)];
    let isOver = false;
    const rested = cuts.rest(never).then((hasRested) => {
      expect(isOver).toBe(true);
      return hasRested;
    });
    first.end();
    await delay(200);
    isOver = true;
    second.end();
    await Promise.all(steps);
    expect(await rested).toBe(true);
  });

  it('rests between the decision of a cut and its first step', async () => {
    const cuts = new CutsFirst();
    cuts.expect();
    expect(await cuts.rest(never)).toBe(true);
  });

  it('rests no longer than anybody may be held up, and not at all when it is switched off', async () => {
    const [patient, off] = [new CutsFirst(300), new CutsFirst(0)];
    const cut = pending();
    const steps = [patient, off].map((cuts) => cuts.during(() => cut.promise));
    expect(await off.rest(never)).toBe(false);
    expect(await patient.rest(never)).toBe(true);
    cut.end();
    await Promise.all(steps);
  });

  it('stops resting when it is cancelled, and a step that fails ends like any other', async () => {
    const cuts = new CutsFirst();
    const cut = pending();
    const step = cuts.during(() => cut.promise);
    expect(await cuts.rest(AbortSignal.timeout(100))).toBe(true);
    cut.end();
    await step;
    await expect(cuts.during(() => Promise.reject(new Error('planted')))).rejects.toThrow('planted');
    await cuts.rest(never);
    expect(await cuts.rest(never)).toBe(false);
  });
});
