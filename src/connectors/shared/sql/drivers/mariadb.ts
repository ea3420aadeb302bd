import type { Connection, ConnectionOptions, PoolConnection, SslOptions } from 'mysql2/promise';
import mysql from 'mysql2/promise';
import type { Row, SqlDriver, SqlLink, SqlPool, Values } from '../driver.js';
import { IdleClock, rewritePlaces, ServerFault } from '../driver.js';
import type { SqlTarget } from '../target.js';

/** Quoting as in the SQL standard, no value cut to fit, and reads that see what was committed. */
const sessionSettings = [
  `set session sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES,ANSI_QUOTES,NO_BACKSLASH_ESCAPES')`,
  'set session transaction isolation level read committed',
];

/** MariaDB and MySQL by `mysql2`; values are bound by prepared statements at the server. */
export const mariadbDriver: SqlDriver = {
  pool: (target, { max, connectTimeoutMs }): SqlPool => {
    const pool = mysql.createPool({
      ...connection(target),
      user: target.user,
      password: target.password.reveal(),
      database: target.database,
      connectTimeout: connectTimeoutMs,
      connectionLimit: max,
      maxPreparedStatements: 200,
    });
    const clock = new IdleClock();
    const prepared = new WeakSet<object>();
    return {
      acquire: async () => {
        const client = await pool.getConnection().catch(rethrow);
        const key = client.connection;
        if (!prepared.has(key)) {
          try {
            for (const text of sessionSettings) {
              await client.query(text).catch(rethrow);
            }
          } catch (error) {
            client.destroy();
            throw error;
          }
          prepared.add(key);
        }
        return linkOf(client, key, clock);
      },
      // What was cut already cannot be told goodbye.
      close: () => pool.end().catch(() => undefined),
    };
  },
  signIn: async (target, { login, password, database, signal, timeoutMs }) => {
    let client: Connection | undefined;
    const attempt = mysql.createConnection({
      ...connection(target),
      user: login,
      password,
      connectTimeout: timeoutMs,
      ...(database === undefined ? {} : { database }),
    });
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
    attempt.then(
      (late) => (signal.aborted ? late.destroy() : undefined),
      () => undefined,
    );
    try {
      client = await Promise.race([attempt, aborted]).catch(rethrow);
      await client.end();
    } finally {
      client?.destroy();
    }
  },
};

function connection({ host, port, tls }: SqlTarget): ConnectionOptions {
  const { ca, clientCertificate } = tls ?? {};
  const ssl: SslOptions = {
    rejectUnauthorized: true,
    verifyIdentity: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate.cert, key: clientCertificate.key.reveal() }),
  };
  return {
    host,
    port,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    multipleStatements: false,
    ...(tls === undefined ? {} : { ssl }),
  };
}

function linkOf(client: PoolConnection, key: object, clock: IdleClock): SqlLink {
  const query = async (text: string, values: Values): Promise<readonly Row[]> => {
    const bound: unknown[] = [];
    const rewritten = rewritePlaces(text, (position) => {
      bound.push(values[position - 1] ?? null);
      return '?';
    });
    // Statements on log-ins and sessions hold no values and are not worth a prepared statement each.
    const [answer] = await (
      bound.length === 0 ? client.query(rewritten) : client.execute(rewritten, bound as string[])
    ).catch(rethrow);
    const rows = Array.isArray(answer) ? answer : [];
    // A procedure answers with a list of results.
    return rows.some((row) => Array.isArray(row) || row.constructor.name === 'ResultSetHeader') ? [] : (rows as Row[]);
  };
  return {
    query,
    rollback: async () => void (await client.query('rollback').catch(rethrow)),
    idleMs: clock.idleMs(key),
    release: (broken) => {
      if (broken) {
        client.destroy();
      } else {
        clock.released(key);
        client.release();
      }
    },
  };
}

function rethrow(error: unknown): never {
  if (typeof error === 'object' && error !== null && 'sqlState' in error && 'errno' in error) {
    const { errno } = error;
    if (typeof errno === 'number' && errno >= 1000 && typeof error.sqlState === 'string') {
      const message = 'sqlMessage' in error && typeof error.sqlMessage === 'string' ? error.sqlMessage : '';
      // The last name in quotes of 1048, 1265, 1364, 1366 and 1406 is the column; of 1062 the index.
      const column = /(?:column|Field) ['`](?:[^'`]*\.)?(\w+)['`]/i.exec(message)?.[1];
      throw new ServerFault(String(errno), { column });
    }
  }
  throw error;
}
