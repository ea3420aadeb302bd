import pg from 'pg';
import type { OperationContext } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import type { ConnectorErrorCode } from '../errors.js';
import { timeLimit } from '../shared/time-limit.js';
import type { SqlConfig } from './config.js';
import type { SqlDialect } from './dialect.js';
import { codeOfState } from './dialect.js';
import type { SqlStatements } from './statements.js';

export type Row = Readonly<Record<string, unknown>>;
export type Values = readonly unknown[];

/** Statements inside one operation. `write` marks the operation as sent the first time it is used. */
export interface Session {
  read(text: string, values?: Values): Promise<readonly Row[]>;
  write(text: string, values?: Values): Promise<readonly Row[]>;
}

/** Everything the operations of one application share. */
export interface SqlContext {
  readonly application: string;
  readonly config: SqlConfig;
  readonly dialect: SqlDialect;
  readonly url: string;
  readonly database: SqlDatabase;
  readonly statements: SqlStatements;
}

interface Progress {
  /** open: nothing written; writing: inside the transaction; committing: the commit has left. */
  stage: 'open' | 'writing' | 'committing';
}

/** Connections of one application: one pool for operations, one for verification (another road than the writes). */
export class SqlDatabase {
  readonly #dialect: SqlDialect;
  readonly #attributeOf: (column: string) => string | undefined;
  readonly #timeoutMs: number;
  readonly #main: pg.Pool;
  readonly #second: pg.Pool;

  constructor(url: string, config: SqlConfig, dialect: SqlDialect) {
    this.#dialect = dialect;
    this.#timeoutMs = config.requestTimeoutMs;
    const byColumn = new Map(Object.entries(config.attributes).map(([name, { column }]) => [column, name]));
    byColumn.set(config.accounts.login, 'login');
    this.#attributeOf = (column) => byColumn.get(column);
    const shared = { connectionString: url, connectionTimeoutMillis: config.requestTimeoutMs, allowExitOnIdle: true };
    this.#main = new pg.Pool({ ...shared, max: config.maxConnections, application_name: 'tenure' });
    this.#second = new pg.Pool({ ...shared, max: 2, idleTimeoutMillis: 5_000, application_name: 'tenure-verify' });
    for (const pool of [this.#main, this.#second]) {
      // A connection that dies, idle or in use, tells its query; without listeners it would also end the process.
      pool.on('error', () => undefined);
      pool.on('connect', (client) => client.on('error', () => undefined));
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#main.end(), this.#second.end()]);
  }

  /** Runs reads on a connection of the main pool. */
  async reading<T>(operation: string, ctx: OperationContext, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#run(this.#main, operation, ctx, false, work);
  }

  /** Runs reads on a connection that never writes. */
  async verifying<T>(operation: string, ctx: OperationContext, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#run(this.#second, operation, ctx, false, work);
  }

  /**
   * Runs one transaction: all of it happens or nothing. A connection lost before the commit left means nothing
   * happened (UNAVAILABLE); lost after it, AMBIGUOUS.
   */
  async transaction<T>(operation: string, ctx: OperationContext, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#run(this.#main, operation, ctx, true, work);
  }

  async #run<T>(
    pool: pg.Pool,
    operation: string,
    ctx: OperationContext,
    transaction: boolean,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    const limit = timeLimit(ctx, operation, this.#timeoutMs);
    const progress: Progress = { stage: 'open' };
    const client = await this.#connect(pool, operation, limit.signal);
    let held = true;
    const release = (broken: boolean): void => {
      if (held) {
        held = false;
        client.release(broken);
      }
    };
    // pg has no cancelling by signal: the connection is cut, and the server rolls back what was not committed.
    const onAbort = (): void => release(true);
    limit.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const session = this.#session(client, operation, ctx, progress);
      if (!transaction) {
        return await work(session);
      }
      await client.query(this.#dialect.statements.begin(Math.max(1, Math.floor(limit.remainingMs))));
      const result = await work(session);
      progress.stage = progress.stage === 'writing' ? 'committing' : progress.stage;
      await client.query('commit');
      return result;
    } catch (error) {
      const usable = error instanceof MarkerRefused || isConnectorError(error) || error instanceof pg.DatabaseError;
      release(!usable || !(await rolledBack(client, transaction && held)));
      throw error instanceof MarkerRefused
        ? error.reason
        : this.#classify(error, operation, progress, limit.signal.aborted);
    } finally {
      limit.signal.removeEventListener('abort', onAbort);
      release(false);
    }
  }

  #session(client: pg.PoolClient, operation: string, ctx: OperationContext, progress: Progress): Session {
    const read: Session['read'] = async (text, values = []) => (await client.query<Row>(text, [...values])).rows;
    const write: Session['write'] = async (text, values = []) => {
      if (progress.stage === 'open') {
        await marked(ctx);
        if (ctx.signal.aborted) {
          throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
        }
        progress.stage = 'writing';
      }
      return read(text, values);
    };
    return { read, write };
  }

  async #connect(pool: pg.Pool, operation: string, signal: AbortSignal): Promise<pg.PoolClient> {
    const connecting = pool.connect();
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new ConnectorError({ code: 'TIMEOUT', operation, sent: false })), {
        once: true,
      });
    });
    try {
      return await Promise.race([connecting, aborted]);
    } catch (error) {
      connecting.then(
        (client) => client.release(),
        () => undefined,
      );
      throw this.#classify(error, operation, { stage: 'open' }, signal.aborted);
    }
  }

  #classify(error: unknown, operation: string, progress: Progress, aborted: boolean): ConnectorError {
    if (isConnectorError(error)) {
      return error;
    }
    const sent = progress.stage !== 'open';
    if (error instanceof pg.DatabaseError && error.code !== undefined) {
      const code = codeOfState(this.#dialect, error.code);
      const attribute = this.#attributeName(error);
      return new ConnectorError({ code, operation, sent, targetCode: error.code, attribute });
    }
    const targetCode = networkCode(error);
    const lost: ConnectorErrorCode =
      progress.stage === 'committing' ? 'AMBIGUOUS' : aborted ? 'TIMEOUT' : 'UNAVAILABLE';
    return new ConnectorError({ code: lost, operation, sent, targetCode });
  }

  #attributeName(error: pg.DatabaseError): string | undefined {
    const named = error.column ?? /^Key \("?(\w+)"?\)=/.exec(error.detail ?? '')?.[1];
    return named === undefined ? undefined : this.#attributeOf(named);
  }
}

/** Marks what the caller's own marker throws, so that it passes through unchanged. */
class MarkerRefused extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the marker refused');
    this.reason = reason;
  }
}

/** The error's own code, by shape: errors of the runtime may come from another realm than this module. */
export function networkCode(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : 'connection-lost';
}

/** False when the connection did not survive the rollback. */
async function rolledBack(client: pg.PoolClient, inTransaction: boolean): Promise<boolean> {
  try {
    if (inTransaction) {
      await client.query('rollback');
    }
    return true;
  } catch {
    return false;
  }
}

async function marked(ctx: OperationContext): Promise<void> {
  try {
    await ctx.sentMarker?.();
  } catch (reason) {
    throw new MarkerRefused(reason);
  }
}
