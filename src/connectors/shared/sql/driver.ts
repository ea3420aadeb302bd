import type { DialectName } from './dialect.js';
import type { SqlTarget } from './target.js';

export type Row = Readonly<Record<string, unknown>>;
export type Values = readonly unknown[];

/** What the server itself answered, by its own code; every other error of a driver means that the connection is lost. */
export class ServerFault extends Error {
  readonly code: string;
  readonly routine: string | undefined;
  /** The column that was refused, where the server names it. */
  readonly column: string | undefined;

  constructor(
    code: string,
    details: { readonly routine?: string | undefined; readonly column?: string | undefined } = {},
  ) {
    super(`server code ${code}`);
    this.name = 'ServerFault';
    this.code = code;
    this.routine = details.routine;
    this.column = details.column;
  }
}

/** Thrown when an optional driver is not installed; names the package. */
export class DriverMissing extends Error {
  readonly package: string;

  constructor(name: string) {
    super(`the driver is not installed: npm install ${name}`);
    this.name = 'DriverMissing';
    this.package = name;
  }
}

/** One connection, borrowed from a pool. Places in texts are `$1`, `$2`, …; values are always bound. */
export interface SqlLink {
  /** Throws ServerFault when the server refused, anything else when the connection is lost. */
  query(text: string, values: Values): Promise<readonly Row[]>;
  /** For drivers that begin and end transactions themselves, beside the dialect's own statements. */
  begin?(): Promise<void>;
  commit?(): Promise<void>;
  rollback(): Promise<void>;
  /** How long it lay unused before it was borrowed. */
  readonly idleMs: number;
  /** Gives it back; broken: closes it at once, and an operation that still waits on it fails. */
  release(broken: boolean): void;
}

export interface SqlPool {
  acquire(): Promise<SqlLink>;
  close(): Promise<void>;
}

export interface PoolOptions {
  readonly max: number;
  readonly connectTimeoutMs: number;
  /** Shown in the server's list of sessions where it has such a field. */
  readonly name: string;
}

export interface SignInAttempt {
  readonly login: string;
  readonly password: string;
  readonly database: string | undefined;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** One database product's client behind one interface. */
export interface SqlDriver {
  /** Opens no connection. */
  pool(target: SqlTarget, options: PoolOptions): SqlPool;
  /** One log-in on a connection of its own, closed at once. Throws what `query` throws. */
  signIn(target: SqlTarget, attempt: SignInAttempt): Promise<void>;
}

export type SqlDrivers = Readonly<Record<DialectName, SqlDriver>>;

/**
 * Rewrites the places of a text. `render` gets the number of a place and the position of its occurrence. Quoted text
 * stays as it is.
 */
export function rewritePlaces(text: string, render: (place: number) => string): string {
  return text.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\d+)/g, (whole, digits: string | undefined) =>
    digits === undefined ? whole : render(Number(digits)),
  );
}

/** Remembers when a connection was last used, so that one that lay idle can be tried before it is trusted. */
export class IdleClock {
  readonly #since = new WeakMap<object, number>();

  idleMs(connection: object): number {
    const since = this.#since.get(connection);
    return since === undefined ? 0 : performance.now() - since;
  }

  released(connection: object): void {
    this.#since.set(connection, performance.now());
  }
}
