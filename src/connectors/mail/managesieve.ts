import type { OperationContext } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import type { ConnectorErrorCode } from '../errors.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { LineServer } from './lines.js';
import { LineConnection } from './lines.js';

export interface SieveServer extends LineServer {
  readonly masterUser: string;
  readonly masterPassword: Secret;
}

export interface ScriptList {
  readonly names: readonly string[];
  readonly active: string | undefined;
}

/** One mailbox's scripts, on one connection (RFC 5804). Writes await the caller's marker once, before the first byte. */
export interface SieveSession {
  list(): Promise<ScriptList>;
  get(name: string): Promise<string | undefined>;
  /** INVALID with attribute `forwarding` when the server refuses the script; nothing is changed then. */
  put(name: string, script: string): Promise<void>;
  /** An empty name switches scripts off. */
  activate(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

interface Answer {
  readonly status: 'OK' | 'NO' | 'BYE';
  readonly code: string;
  /** The strings of each data line. */
  readonly data: readonly (readonly string[])[];
}

/**
 * Logs in as the master user for one mailbox and runs `work`. Classifies by what had been sent: a write without an
 * answer is AMBIGUOUS, anything else that is lost UNAVAILABLE or TIMEOUT.
 */
export async function withScripts<T>(
  server: SieveServer,
  mailbox: string,
  operation: string,
  ctx: OperationContext,
  timeoutMs: number,
  work: (session: SieveSession) => Promise<T>,
): Promise<T> {
  const limit = timeLimit(ctx, operation, timeoutMs);
  const connection = LineConnection.open(server, limit.signal);
  const progress = {
    marked: false,
    inFlight: false,
    applied: 0,
    fence: undefined as { readonly reason: unknown } | undefined,
  };
  const fail = (code: ConnectorErrorCode, targetCode: string, attribute?: string): ConnectorError =>
    new ConnectorError({ code, operation, sent: progress.marked, targetCode, attribute });
  try {
    await logIn(connection, server, mailbox, fail);
    const write = async (text: string | Buffer): Promise<Answer> => {
      if (!progress.marked) {
        await Promise.resolve(ctx.sentMarker?.()).catch((reason: unknown) => {
          progress.fence = { reason };
          throw reason;
        });
      }
      if (limit.signal.aborted) {
        throw new ConnectorError({ code: 'TIMEOUT', operation, sent: progress.applied > 0 });
      }
      progress.marked = true;
      progress.inFlight = true;
      const answer = await ask(connection, text);
      progress.inFlight = false;
      if (answer.status === 'OK') progress.applied += 1;
      return answer;
    };
    return await work(sessionOf(connection, write, fail));
  } catch (error) {
    if (progress.fence !== undefined) throw progress.fence.reason;
    if (isConnectorError(error)) throw error;
    throw lost(error, operation, progress, limit.signal.aborted);
  } finally {
    connection.close();
    limit.end();
  }
}

function lost(
  error: unknown,
  operation: string,
  { inFlight, applied }: { readonly inFlight: boolean; readonly applied: number },
  aborted: boolean,
): ConnectorError {
  const named = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const targetCode = /^[A-Z][A-Z0-9_]{1,60}$/.test(named) ? named : 'connection-lost';
  const sent = inFlight || applied > 0;
  const code = sent ? 'AMBIGUOUS' : aborted ? 'TIMEOUT' : 'UNAVAILABLE';
  return new ConnectorError({ code, operation, sent, targetCode });
}

async function logIn(
  connection: LineConnection,
  server: SieveServer,
  mailbox: string,
  fail: (code: ConnectorErrorCode, targetCode: string) => ConnectorError,
): Promise<void> {
  await answerOf(connection);
  if (connection.mustUpgrade) {
    if ((await ask(connection, 'STARTTLS')).status !== 'OK') throw fail('UNAVAILABLE', 'no-starttls');
    await connection.upgrade();
    await answerOf(connection);
  }
  // RFC 4616: authorization id (the mailbox), authentication id (the master user), password.
  const plain = Buffer.from(`${mailbox}\0${server.masterUser}\0${server.masterPassword.reveal()}`).toString('base64');
  const { status, code } = await ask(connection, `AUTHENTICATE "PLAIN" ${quoted(plain)}`);
  if (status !== 'OK') throw fail('UNAUTHENTICATED', code === '' ? 'sieve-login' : code);
}

function sessionOf(
  connection: LineConnection,
  write: (text: string | Buffer) => Promise<Answer>,
  fail: (code: ConnectorErrorCode, targetCode: string, attribute?: string) => ConnectorError,
): SieveSession {
  const done = ({ status, code }: Answer, refused: ConnectorErrorCode): void => {
    if (status === 'OK') return;
    const known: Partial<Record<string, ConnectorErrorCode>> = { QUOTA: 'FORBIDDEN', TRYLATER: 'UNAVAILABLE' };
    const base = code.split('/')[0] ?? '';
    throw fail(known[base] ?? refused, code === '' ? `sieve-${status.toLowerCase()}` : code, 'forwarding');
  };
  return {
    list: async () => {
      const answer = await ask(connection, 'LISTSCRIPTS');
      done(answer, 'UNAVAILABLE');
      const names = answer.data.flatMap(([name]) => (name === undefined ? [] : [name]));
      const active = answer.data.find((row) => row[1]?.toUpperCase() === 'ACTIVE')?.[0];
      return { names, active };
    },
    get: async (name) => {
      const answer = await ask(connection, `GETSCRIPT ${quoted(name)}`);
      if (answer.code === 'NONEXISTENT') return undefined;
      done(answer, 'UNAVAILABLE');
      return answer.data[0]?.[0] ?? '';
    },
    put: async (name, script) => {
      const bytes = Buffer.from(script, 'utf8');
      const command = Buffer.from(`PUTSCRIPT ${quoted(name)} {${bytes.length}+}\r\n`);
      done(await write(Buffer.concat([command, bytes])), 'INVALID');
    },
    activate: async (name) => done(await write(`SETACTIVE ${quoted(name)}`), 'CONFLICT'),
    remove: async (name) => done(await write(`DELETESCRIPT ${quoted(name)}`), 'CONFLICT'),
  };
}

async function ask(connection: LineConnection, text: string | Buffer): Promise<Answer> {
  await connection.write(typeof text === 'string' ? `${text}\r\n` : Buffer.concat([text, Buffer.from('\r\n')]));
  return answerOf(connection);
}

/** Reads data lines up to the line that ends an answer (RFC 5804, 4). */
async function answerOf(connection: LineConnection): Promise<Answer> {
  const data: (readonly string[])[] = [];
  for (;;) {
    const first = await connection.line();
    const end = /^(OK|NO|BYE)(?:\s+\(([A-Z/-]+)[^)]*\))?(.*)$/i.exec(first);
    if (end !== null) {
      // The text may be a literal, which must be read to stay in step; it is never kept.
      await tokens(connection, end[3] ?? '');
      return { status: end[1]?.toUpperCase() as Answer['status'], code: end[2]?.toUpperCase() ?? '', data };
    }
    data.push(await tokens(connection, first));
  }
}

/** The strings and atoms of one line, literals (`{5}` or `{5+}` at its end) read along. */
async function tokens(connection: LineConnection, first: string): Promise<readonly string[]> {
  const found: string[] = [];
  let rest = first;
  for (;;) {
    const [whole, string, literal, atom] = /^\s*(?:"((?:[^"\\]|\\.)*)"|\{(\d+)\+?\}$|([^\s"{]+))/.exec(rest) ?? [];
    if (whole === undefined) return found;
    rest = rest.slice(whole.length);
    if (literal !== undefined) {
      found.push((await connection.exactly(Number(literal))).toString('utf8'));
      rest = await connection.line();
    } else {
      found.push(string === undefined ? (atom ?? '') : string.replace(/\\(.)/g, '$1'));
    }
  }
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
