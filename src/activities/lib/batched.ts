/** A round that is held up (somebody's lock) keeps nobody else waiting longer than this. */
const LONGEST_WAIT_MS = 20;

interface Call<K, V> {
  readonly key: K;
  resolve(value: V): void;
  reject(error: unknown): void;
}

export interface Batching<K> {
  /** Calls for which this is the same are never in one round. */
  readonly apart?: (key: K) => unknown;
}

/**
 * Makes one round of many calls: those of the same moment, and those that come while a round is under way. `read` gets all their keys and answers for each. Nothing is
 * remembered between rounds, so every answer is as fresh as a call of its own. When `read` fails for several, each is asked by itself: nobody hears of what another
 * one's key has done, and `read` must be safe to repeat.
 */
export function batched<K, V>(
  read: (keys: readonly K[]) => Promise<(key: K) => V>,
  { apart }: Batching<K> = {},
): (key: K) => Promise<V> {
  let waiting: Call<K, V>[] = [];
  let underWay = 0;
  let patience: ReturnType<typeof setTimeout> | undefined;

  const ask = async (calls: readonly Call<K, V>[]): Promise<void> => {
    try {
      const answer = await read(calls.map((one) => one.key));
      for (const one of calls) one.resolve(answer(one.key));
    } catch (error) {
      if (calls.length > 1) await Promise.all(calls.map((one) => ask([one])));
      else for (const one of calls) one.reject(error);
    }
  };
  const takeRound = (): readonly Call<K, V>[] => {
    const all = waiting;
    const seen = new Set<unknown>();
    const isFirst = ({ key }: Call<K, V>): boolean => {
      if (apart === undefined) return true;
      const before = seen.size;
      return seen.add(apart(key)).size > before;
    };
    const round = all.filter(isFirst);
    waiting = round.length === all.length ? [] : all.filter((one) => !round.includes(one));
    return round;
  };
  const go = async (): Promise<void> => {
    clearTimeout(patience);
    while (waiting.length > 0) {
      underWay += 1;
      await ask(takeRound());
      underWay -= 1;
    }
  };
  return (key) =>
    new Promise<V>((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      if (waiting.length > 1) return;
      if (underWay === 0) setImmediate(() => void go());
      else patience = setTimeout(() => void go(), LONGEST_WAIT_MS);
    });
}
