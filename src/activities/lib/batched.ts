/**
 * Makes one call of many that are asked for at the same moment: keys are collected until the event loop has come round, then `read` gets them all and answers
 * for each. Nothing is remembered between rounds, so every answer is as fresh as a call of its own. When `read` fails, everybody who asked hears of it.
 */
export function batched<K, V>(read: (keys: readonly K[]) => Promise<(key: K) => V>): (key: K) => Promise<V> {
  let waiting: { readonly key: K; resolve(value: V): void; reject(error: unknown): void }[] = [];
  const flush = async (): Promise<void> => {
    const round = waiting;
    waiting = [];
    try {
      const answer = await read(round.map((one) => one.key));
      for (const one of round) one.resolve(answer(one.key));
    } catch (error) {
      for (const one of round) one.reject(error);
    }
  };
  return (key) =>
    new Promise<V>((resolve, reject) => {
      if (waiting.length === 0) setImmediate(() => void flush());
      waiting.push({ key, resolve, reject });
    });
}
