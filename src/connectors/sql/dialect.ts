import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { ConnectorErrorCode } from '../errors.js';

/** What differs between database products, as data: how things are written, and what their error codes mean. */
export interface SqlDialect {
  readonly quote: (identifier: string) => string;
  readonly literal: (text: string) => string;
  readonly placeholder: (position: number) => string;
  /** The form a column is read in, so that values survive as text. */
  readonly read: Readonly<Record<'string' | 'number' | 'boolean' | 'strings', (column: string) => string>>;
  readonly statements: {
    readonly loginState: string;
    readonly sessionCount: string;
    readonly endSessions: string;
    begin(timeoutMs: number): string;
    createLogin(login: string, enabled: boolean): string;
    grantRole(role: string, login: string): string;
    alterLogin(login: string, options: LoginOptions): string;
    renameLogin(from: string, to: string): string;
    dropLogin(login: string): string;
  };
  /** Log-ins that are nobody's account and never touched. */
  isReservedLogin(login: string): boolean;
  isPlausibleLogin(login: string): boolean;
  /** Longest prefix wins. */
  readonly errors: readonly { readonly prefix: string; readonly code: ConnectorErrorCode }[];
  /** What a log-in attempt's error means; by code and by the server routine, never by its text, which is translated. */
  readonly signIn: readonly {
    readonly code: string;
    readonly routine?: string;
    readonly answer: 'disabled' | 'wrong-secret' | 'unknown';
  }[];
}

export interface LoginOptions {
  readonly enabled?: boolean;
  /** A verifier made by {@link passwordVerifier}. */
  readonly verifier?: string;
}

const quote = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export const postgres: SqlDialect = {
  quote,
  literal,
  placeholder: (position) => `$${position}`,
  read: {
    string: (column) => `${column}::text`,
    number: (column) => `${column}::float8`,
    boolean: (column) => `${column}::boolean`,
    strings: (column) => `${column}::text[]`,
  },
  statements: {
    loginState: 'select rolcanlogin as can_login from pg_catalog.pg_roles where rolname = $1',
    // The type of a backend is hidden from roles that may not read all statistics; only the name is shown to all.
    sessionCount: 'select count(*)::int as count from pg_catalog.pg_stat_activity where usename = $1',
    endSessions: `select count(*)::int as count from (select pg_catalog.pg_terminate_backend(pid, 2000)
      from pg_catalog.pg_stat_activity where usename = $1) ended`,
    begin: (timeoutMs) => `begin; set local statement_timeout = ${timeoutMs}; set local lock_timeout = ${timeoutMs}`,
    createLogin: (login, enabled) => `create role ${quote(login)} ${enabled ? 'login' : 'nologin'}`,
    grantRole: (role, login) => `grant ${quote(role)} to ${quote(login)}`,
    alterLogin: (login, { enabled, verifier }) => {
      const state = enabled === undefined ? '' : enabled ? ' login' : ' nologin';
      return `alter role ${quote(login)} with${state}${verifier === undefined ? '' : ` password ${literal(verifier)}`}`;
    },
    renameLogin: (from, to) => `alter role ${quote(from)} rename to ${quote(to)}`,
    dropLogin: (login) => `drop role if exists ${quote(login)}`,
  },
  isReservedLogin: (login) => login.startsWith('pg_') || ['postgres', 'public', 'none'].includes(login),
  // 63 bytes is where Postgres cuts names off without a word; two people must never share the rest.
  isPlausibleLogin: (login) => /^[A-Za-z_][\w.@-]*$/.test(login) && Buffer.byteLength(login) <= 63,
  errors: [
    { prefix: '08', code: 'UNAVAILABLE' },
    { prefix: '22', code: 'INVALID' },
    { prefix: '23', code: 'INVALID' },
    { prefix: '23505', code: 'ALREADY_EXISTS' },
    { prefix: '25006', code: 'UNAVAILABLE' },
    { prefix: '28', code: 'UNAUTHENTICATED' },
    { prefix: '2BP01', code: 'CONFLICT' },
    { prefix: '40', code: 'UNAVAILABLE' },
    { prefix: '42501', code: 'FORBIDDEN' },
    { prefix: '42710', code: 'ALREADY_EXISTS' },
    { prefix: '53', code: 'UNAVAILABLE' },
    { prefix: '55006', code: 'CONFLICT' },
    { prefix: '55P03', code: 'TIMEOUT' },
    { prefix: '57', code: 'UNAVAILABLE' },
    { prefix: '57014', code: 'TIMEOUT' },
  ],
  signIn: [
    { code: '28000', routine: 'InitializeSessionUserId', answer: 'disabled' },
    { code: '28P01', answer: 'wrong-secret' },
  ],
};

/** The connector code of a server error code; INVALID for what nobody listed, so that a person looks. */
export function codeOfState(dialect: SqlDialect, state: string): ConnectorErrorCode {
  const fitting = dialect.errors.filter((row) => state.startsWith(row.prefix));
  return fitting.sort((left, right) => right.prefix.length - left.prefix.length)[0]?.code ?? 'INVALID';
}

const iterations = 4096;

/**
 * A SCRAM-SHA-256 verifier: the clear password never travels in a statement, so no server log can show it
 * (role statements take no parameters).
 */
export async function passwordVerifier(password: string): Promise<string> {
  const salt = randomBytes(16);
  const salted = await promisify(pbkdf2)(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
