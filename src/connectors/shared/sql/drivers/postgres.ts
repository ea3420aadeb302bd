import { checkServerIdentity } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { Row, SqlDriver, SqlLink, SqlPool, Values } from '../driver.js';
import { IdleClock, ServerFault } from '../driver.js';
import type { SqlTarget } from '../target.js';

/** Postgres by `pg`. */
export const postgresDriver: SqlDriver = {
  pool: (target, { max, connectTimeoutMs, name }): SqlPool => {
    const pool = new pg.Pool({
      ...connection(target),
      user: target.user,
      password: target.password.reveal(),
      database: target.database,
      connectionTimeoutMillis: connectTimeoutMs,
      allowExitOnIdle: true,
      max,
      application_name: name,
    });
    // A connection that dies, idle or in use, tells its query; without listeners it would also end the process.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    const clock = new IdleClock();
    return {
      acquire: async () => linkOf(await pool.connect().catch(rethrow), clock),
      close: () => pool.end(),
    };
  },
  signIn: async (target, { login, password, database, signal, timeoutMs }) => {
    const client = new pg.Client({
      ...connection(target),
      user: login,
      password,
      database,
      connectionTimeoutMillis: timeoutMs,
      application_name: 'tenure-probe',
    });
    client.on('error', () => undefined);
    const onAbort = (): void => void client.end().catch(() => undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await client.connect().catch(rethrow);
    } finally {
      signal.removeEventListener('abort', onAbort);
      await client.end().catch(() => undefined);
    }
  },
};

function connection({ host, port, tls }: SqlTarget): { host: string; port: number; ssl: false | ConnectionOptions } {
  const { ca, clientCertificate } = tls ?? {};
  const ssl: ConnectionOptions = {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // With an address as host, Node would compare the certificate with "localhost".
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    ...(ca === undefined ? {} : { ca }),
    ...(clientCertificate === undefined ? {} : { cert: clientCertificate.cert, key: clientCertificate.key.reveal() }),
  };
  return { host, port, ssl: tls === undefined ? false : ssl };
}

function linkOf(client: pg.PoolClient, clock: IdleClock): SqlLink {
  return {
    query: async (text: string, values: Values) => (await client.query<Row>(text, [...values]).catch(rethrow)).rows,
    rollback: async () => void (await client.query('rollback').catch(rethrow)),
    idleMs: clock.idleMs(client),
    release: (broken) => {
      clock.released(client);
      client.release(broken);
    },
  };
}

function rethrow(error: unknown): never {
  if (error instanceof pg.DatabaseError && error.code !== undefined) {
    const column = error.column ?? /^Key \("?(\w+)"?\)=/.exec(error.detail ?? '')?.[1];
    throw new ServerFault(error.code, { routine: error.routine, column });
  }
  throw error;
}
