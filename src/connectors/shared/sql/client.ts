import type { OperationContext } from '../../connector.js';
import { ConnectorError, isConnectorError } from '../../errors.js';
import type { ConnectorErrorCode } from '../../errors.js';
import { timeLimit } from '../time-limit.js';
import type { SqlDialect } from './dialect.js';
import { codeOfState } from './dialect.js';
import type { Row, SqlDriver, SqlLink, SqlPool, Values } from './driver.js';
import { DriverMissing, ServerFault } from './driver.js';
import type { SqlTarget } from './target.js';

/** Statements inside one operation. `write` marks the operation as sent the first time it is used. */
export interface Session {
  read(text: string, values?: Values): Promise<readonly Row[]>;
  write(text: string, values?: Values): Promise<readonly Row[]>;
  /**
   * A write that commits itself and everything before it. From here on a lost connection is AMBIGUOUS; what follows is
   * a transaction of its own.
   */
  writeForGood(text: string, values?: Values): Promise<void>;
}

export interface DatabaseSettings {
  readonly requestTimeoutMs: number;
  readonly maxConnections: number;
  /** The attribute behind a column that the server refused. */
  readonly attributeOf: (column: string) => string | undefined;
}

interface Progress {
  /** open: nothing written; writing: inside the transaction; committing: a commit has left. */
  stage: 'open' | 'writing' | 'committing';
}

type Work<T> = (session: Session) => Promise<T>;

/** A connection that lay idle for longer is tried before it is trusted: the classic first call that fails. */
const trustIdleMs = 1_000;
const pingTimeoutMs = 2_000;

/** Connections of one application: one pool for operations, one for verification (another road than the writes). */
export class SqlDatabase {
  readonly #dialect: SqlDialect;
  readonly #attributeOf: (column: string) => string | undefined;
  readonly #timeoutMs: number;
  readonly #main: SqlPool;
  readonly #second: SqlPool;

  constructor(target: SqlTarget, settings: DatabaseSettings, dialect: SqlDialect, driver: SqlDriver) {
    this.#dialect = dialect;
    this.#timeoutMs = settings.requestTimeoutMs;
    this.#attributeOf = settings.attributeOf;
    const connectTimeoutMs = settings.requestTimeoutMs;
    this.#main = driver.pool(target, { max: settings.maxConnections, connectTimeoutMs, name: 'tenure' });
    this.#second = driver.pool(target, { max: 2, connectTimeoutMs, name: 'tenure-verify' });
  }

  async close(): Promise<void> {
    await Promise.all([this.#main.close(), this.#second.close()]);
  }

  /** Runs reads on a connection of the main pool. */
  async reading<T>(operation: string, ctx: OperationContext, work: Work<T>): Promise<T> {
    return this.#run(this.#main, operation, ctx, false, work);
  }

  /** Runs reads on a connection that never writes. */
  async verifying<T>(operation: string, ctx: OperationContext, work: Work<T>): Promise<T> {
    return this.#run(this.#second, operation, ctx, false, work);
  }

  /**
   * Runs one transaction: all of it happens or nothing. A connection lost before the commit left means nothing
   * happened (UNAVAILABLE); lost after it, AMBIGUOUS.
   */
  async transaction<T>(operation: string, ctx: OperationContext, work: Work<T>): Promise<T> {
    return this.#run(this.#main, operation, ctx, true, work);
  }

  async #run<T>(
    pool: SqlPool,
    operation: string,
    ctx: OperationContext,
    transaction: boolean,
    work: Work<T>,
  ): Promise<T> {
    const limit = timeLimit(ctx, operation, this.#timeoutMs);
    const progress: Progress = { stage: 'open' };
    const aborted = abortion(operation, limit.signal);
    const link = await this.#borrow(pool, operation, aborted.promise, limit.signal).catch((error: unknown) => {
      limit.end();
      throw error;
    });
    let held = true;
    const release = (broken: boolean): void => {
      if (held) {
        held = false;
        link.release(broken);
      }
    };
    // A statement cannot be called back: the connection is cut, and the server rolls back what was not committed.
    const onAbort = (): void => release(true);
    limit.signal.addEventListener('abort', onAbort, { once: true });
    try {
      const body = transaction
        ? this.#transact(link, operation, ctx, progress, limit.remainingMs, work)
        : work(this.#session(link, operation, ctx, progress));
      return await Promise.race([body, aborted.promise]);
    } catch (error) {
      const usable = error instanceof MarkerRefused || isConnectorError(error) || error instanceof ServerFault;
      release(!usable || limit.signal.aborted || (held && !(await rolledBack(link, transaction, this.#dialect))));
      throw error instanceof MarkerRefused
        ? error.reason
        : this.#classify(error, operation, progress, limit.signal.aborted);
    } finally {
      limit.signal.removeEventListener('abort', onAbort);
      limit.end();
      aborted.forget();
      release(false);
    }
  }

  async #transact<T>(
    link: SqlLink,
    operation: string,
    ctx: OperationContext,
    progress: Progress,
    remainingMs: number,
    work: Work<T>,
  ): Promise<T> {
    for (const text of this.#dialect.begin(Math.max(1, Math.floor(remainingMs)))) {
      await link.query(text, []);
    }
    await link.begin?.();
    const result = await work(this.#session(link, operation, ctx, progress));
    progress.stage = progress.stage === 'writing' ? 'committing' : progress.stage;
    await (this.#dialect.commit === undefined ? link.commit?.() : link.query(this.#dialect.commit, []));
    const release = this.#dialect.logins?.lock?.release;
    if (release !== undefined) {
      await link.query(release, []);
    }
    return result;
  }

  #session(link: SqlLink, operation: string, ctx: OperationContext, progress: Progress): Session {
    const marking = async (): Promise<void> => {
      if (progress.stage === 'open') {
        await marked(ctx);
        if (ctx.signal.aborted) {
          throw new ConnectorError({ code: 'TIMEOUT', operation, sent: false });
        }
        progress.stage = 'writing';
      }
    };
    return {
      read: (text, values = []) => link.query(text, values),
      write: async (text, values = []) => {
        await marking();
        return link.query(text, values);
      },
      writeForGood: async (text, values = []) => {
        await marking();
        progress.stage = 'committing';
        await link.query(text, values);
        await link.query('start transaction', []);
      },
    };
  }

  /** A connection that answers: one that died while it lay idle is thrown away, and nothing was sent on it. */
  async #borrow(pool: SqlPool, operation: string, aborted: Promise<never>, signal: AbortSignal): Promise<SqlLink> {
    for (;;) {
      const acquiring = pool.acquire();
      try {
        const link = await Promise.race([acquiring, aborted]);
        if (link.idleMs < trustIdleMs || (await this.#answers(link))) {
          return link;
        }
      } catch (error) {
        acquiring.then(
          (late) => late.release(signal.aborted),
          () => undefined,
        );
        throw this.#classify(error, operation, { stage: 'open' }, signal.aborted);
      }
    }
  }

  async #answers(link: SqlLink): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), pingTimeoutMs)));
    const answered = link.query(this.#dialect.ping, []).then(
      () => true,
      () => false,
    );
    const alive = await Promise.race([answered, late]);
    clearTimeout(timer);
    if (!alive) {
      link.release(true);
    }
    return alive;
  }

  #classify(error: unknown, operation: string, progress: Progress, aborted: boolean): ConnectorError {
    const isCommitting = progress.stage === 'committing';
    if (isConnectorError(error) && !(aborted && error.code === 'TIMEOUT')) {
      return error;
    }
    if (error instanceof DriverMissing) {
      return new ConnectorError({
        code: 'UNSUPPORTED',
        operation,
        sent: false,
        targetCode: `npm-install-${error.package}`,
      });
    }
    const sent = progress.stage !== 'open';
    if (error instanceof ServerFault) {
      const ended = this.#dialect.connectionEnded.some((prefix) => error.code.startsWith(prefix));
      const code = isCommitting && ended ? 'AMBIGUOUS' : codeOfState(this.#dialect, error.code);
      const attribute = error.column === undefined ? undefined : this.#attributeOf(error.column);
      return new ConnectorError({ code, operation, sent, targetCode: error.code, attribute });
    }
    const targetCode = isConnectorError(error) ? undefined : networkCode(error);
    const lost: ConnectorErrorCode = isCommitting ? 'AMBIGUOUS' : aborted ? 'TIMEOUT' : 'UNAVAILABLE';
    return new ConnectorError({ code: lost, operation, sent, targetCode });
  }
}

interface Abortion {
  readonly promise: Promise<never>;
  forget(): void;
}

/** A promise that fails when the signal says so; a caller then never waits for a driver that does not notice. */
function abortion(operation: string, signal: AbortSignal): Abortion {
  let forget = (): void => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(new ConnectorError({ code: 'TIMEOUT', operation, sent: false }));
    signal.addEventListener('abort', onAbort, { once: true });
    forget = () => signal.removeEventListener('abort', onAbort);
  });
  promise.catch(() => undefined);
  return { promise, forget: () => forget() };
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

/** False when the connection did not survive the rollback, or still holds a lock. */
async function rolledBack(link: SqlLink, inTransaction: boolean, dialect: SqlDialect): Promise<boolean> {
  try {
    if (inTransaction) {
      await link.rollback();
      const release = dialect.logins?.lock?.release;
      if (release !== undefined) {
        await link.query(release, []);
      }
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
