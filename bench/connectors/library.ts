import type { Script } from './script.js';
import { ResultOf } from './script.js';

/** One client library: how its calls are noted, and how they are made by hand. */
export interface Library {
  readonly name: string;
  /** The calls that happen while `work` runs. */
  record(work: () => Promise<unknown>): Promise<Script>;
  /** A client of one's own, connected and signed in as the connector's is. */
  connect(): Promise<Direct>;
}

export interface Direct {
  /** Whose operation the next calls are. */
  about?(id: string | undefined): void;
  call(method: string, args: readonly unknown[], on: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/** Makes the calls of a script in its order, those of one batch together; `heard` is told of each result. */
export async function play(direct: Direct, script: Script, heard?: (result: unknown) => void): Promise<void> {
  const results: unknown[] = [];
  for (const batch of script) {
    const first = results.length;
    const answers = batch.map(({ method, args, on, isRefused }) => {
      const given = args.map((arg) => (arg instanceof ResultOf ? results[arg.call] : arg));
      const answer = direct.call(method, given, on === undefined ? undefined : results[on]);
      return isRefused ? answer.catch(() => undefined) : answer;
    });
    // One call alone is the rule: it is not made to wait for a list of one.
    if (answers.length === 1) results.push(await answers[0]);
    else results.push(...(await Promise.all(answers)));
    if (heard !== undefined) results.slice(first).forEach(heard);
  }
}
