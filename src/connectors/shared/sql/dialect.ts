import type { ConnectorErrorCode } from '../../errors.js';

export const dialectNames = ['postgres', 'mariadb', 'mysql', 'mssql', 'oracle'] as const;
export type DialectName = (typeof dialectNames)[number];
export type ColumnType = 'string' | 'number' | 'boolean' | 'strings';

/**
 * What differs between database products, as data: how things are written, and what their error codes mean. In every
 * text a value is a place `$1`, `$2`, …; the driver turns places into its own form and binds the values.
 */
export interface SqlDialect {
  readonly name: DialectName;
  readonly defaultPort: number;
  readonly quote: (identifier: string) => string;
  readonly literal: (value: string | number | boolean) => string;
  /** The form a column is read in, so that values survive as text. */
  readonly read: Readonly<Record<ColumnType, (column: string) => string>>;
  /** A value as the column takes it. */
  readonly write: (type: ColumnType, value: unknown) => unknown;
  /** Text that stands after a complete select. */
  readonly limit: (rows: number) => string;
  /** All values of a sub-select as one column; undefined when an account has none of them. */
  readonly gather: (value: string, fromWhere: string) => string;
  readonly nothing: Readonly<Record<'list' | 'truth' | 'lie', string>>;
  /** Locks the row for this transaction: after a select of the account, or as a select of its own before it. */
  readonly lockRow:
    | { readonly form: 'suffix'; readonly text: string }
    | { readonly form: 'select'; readonly text: (table: string, key: string) => string };
  /** `ignore` leaves out a row that is there already; `select` makes the statement answer with the new key. */
  readonly insert: (parts: InsertParts) => string;
  /** A lock on a name, held until the transaction ends, for what has no row to lock yet; places: name, seconds. Answers `locked`. */
  readonly nameLock?: string | undefined;
  readonly call: (procedure: string, places: readonly string[]) => string;
  readonly begin: (timeoutMs: number) => readonly string[];
  readonly commit: string | undefined;
  readonly ping: string;
  /** Places: schema, table. Columns: name, type, nullable, has_default, computed. */
  readonly columns: string;
  readonly logins: LoginDialect | undefined;
  /** Longest prefix wins. */
  readonly errors: readonly { readonly prefix: string; readonly code: ConnectorErrorCode }[];
  /** Codes with which a server ends a connection: a commit under way may have happened. */
  readonly connectionEnded: readonly string[];
}

export interface InsertParts {
  readonly table: string;
  readonly columns: readonly string[];
  readonly places: readonly string[];
  readonly key: string;
}

/** What the configuration says about log-ins. */
export interface LoginSettings {
  readonly grant?: string | undefined;
  readonly host: string;
  readonly catalogue?: { readonly schema: string; readonly name: string } | undefined;
}

/** Log-ins of the server itself, for dialects where that is proven. */
export interface LoginDialect {
  /**
   * True: statements on log-ins are part of a transaction. False: each commits by itself and everything before it, so
   * the operations order their steps, and an interruption leaves the safer state.
   */
  readonly transactional: boolean;
  /** Serialises operations on one login where transactions cannot; places: name, seconds. Answers `locked`. */
  readonly lock?: { readonly take: string; readonly release: string };
  readonly join: (
    login: string,
    settings: LoginSettings,
  ) => { readonly text: string; readonly canLogin: string; readonly hasLogin: string };
  /** Place 1 is the login. Answers `has_login`. */
  readonly exists: (settings: LoginSettings) => string;
  readonly sessionCount: string;
  readonly endSessions: (
    login: string,
    settings: LoginSettings,
  ) => { readonly text: string; readonly values: readonly unknown[] };
  /** In this order; where not transactional, the log-in works only after the last. */
  /** Whether `create` needs the verifier; a log-in without a password lets nobody in either. */
  readonly createsWithPassword: boolean;
  readonly create: (login: string, enabled: boolean, verifier: string, settings: LoginSettings) => readonly string[];
  readonly alter: (login: string, options: LoginOptions, settings: LoginSettings) => string;
  readonly rename: (from: string, to: string, settings: LoginSettings) => string;
  readonly drop: (login: string, settings: LoginSettings) => string;
  /** Log-ins that are nobody's account and never touched. */
  readonly isReserved: (login: string) => boolean;
  readonly isPlausible: (login: string) => boolean;
  /** A hash that the server takes in place of a password, so that no statement and no server log holds one. */
  readonly verifier: (password: string) => Promise<string>;
  /** The probe signs in to the application's database; false: to the server alone. */
  readonly probesDatabase: boolean;
  /** What log-ins own, where giving it to another one is proven. */
  readonly ownership?: OwnershipDialect;
  /** What a log-in attempt's error means; by code and by the server routine, never by its text, which is translated. */
  readonly signIn: readonly {
    readonly code: string;
    readonly routine?: string;
    readonly answer: 'disabled' | 'wrong-secret' | 'unknown';
  }[];
}

export interface OwnershipDialect {
  /** Place 1 is the login. Answers `count`: what it owns on the whole server. */
  readonly count: string;
  /** Place 1 is the login. Answers `acts`: the service role has its rights already. */
  readonly actsFor: string;
  /** Parts of one transaction, after which the service role has no right that it did not have before. */
  readonly transfer: (from: string, to: string, borrowed: readonly string[]) => readonly string[];
}

export interface LoginOptions {
  readonly enabled?: boolean;
  /** Made by the dialect's `verifier`. */
  readonly verifier?: string;
}

export const place = (position: number): string => `$${position}`;
export const doubleQuoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`;
export const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** The connector code of a server error code; INVALID for what nobody listed, so that a person looks. */
export function codeOfState(dialect: SqlDialect, state: string): ConnectorErrorCode {
  const fitting = dialect.errors.filter((row) => state.startsWith(row.prefix));
  return fitting.sort((left, right) => right.prefix.length - left.prefix.length)[0]?.code ?? 'INVALID';
}

/** A truth value as the drivers hand it over; undefined for anything else, which is then unknown. */
export function truthOf(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') {
    return value;
  }
  const text = typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string' ? String(value) : '';
  return text === '1' ? true : text === '0' ? false : undefined;
}

/** A list as the drivers hand it over: an array, or its JSON. */
export function listOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) {
    return value.map(String);
  }
  const parsed: unknown = typeof value === 'string' && value !== '' ? JSON.parse(value) : [];
  return Array.isArray(parsed) ? parsed.map(String) : [];
}
