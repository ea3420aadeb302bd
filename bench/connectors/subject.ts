import type { AccountRef, AccountSpec, Connector, OperationContext } from '../../src/connectors/connector.js';
import type { Library } from './library.js';

/** One connector on one real system, and the same client library beside it. */
export interface Subject {
  readonly connector: Connector;
  readonly library: Library;
  /** A new account, never the same twice. */
  sample(): AccountSpec;
  /** What is given and taken away; undefined where accounts hold nothing. */
  readonly group: string | undefined;
  /** Other forms in which the id of an account travels. */
  formsOf?(nativeId: string): readonly Buffer[];
  /** The id of a new account in the answer to a call, where the calls after it need it. */
  idIn?(result: unknown): string | undefined;
  /** Accounts that somebody else makes: this kind has no create. */
  make?(count: number): Promise<readonly AccountRef[]>;
  /** Where the calls by hand change a copy, their effect cannot be read by the connector. */
  readonly isCopy?: true;
  stop(): Promise<void>;
}

/** One line of the table. */
export interface Kind {
  readonly name: string;
  /** Connector kind as written in policy. */
  readonly connector: string;
  readonly system: string;
  /** Why the system cannot be had on this machine, or undefined when it can. */
  reasonToSkip(): Promise<string | undefined>;
  start(): Promise<Subject>;
}

/** Contexts are made before the clock starts, so their deadline is far enough for all that come before. */
const DEADLINE_MS = 120_000;

/** As an activity calls: with a deadline, a signal and a marker. */
export function context(idempotencyKey: string): OperationContext {
  const quiet = (): void => undefined;
  return {
    idempotencyKey,
    signal: new AbortController().signal,
    deadline: new Date(Date.now() + DEADLINE_MS).toISOString(),
    progress: quiet,
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    sentMarker: () => Promise.resolve(),
  };
}
