import type { Row, SqlDriver, SqlLink, SqlPool } from '../driver.js';
import { rewritePlaces, ServerFault } from '../driver.js';
import type { SqlTarget } from '../target.js';
import { importPackage, loadDriver } from './optional.js';

/** The part of the package `mssql` (version 11 and later) that is used here. */
export interface MssqlModule {
  readonly ConnectionPool: new (config: object) => MssqlPool;
  readonly Transaction: new (pool: MssqlPool) => MssqlTransaction;
}
interface MssqlRequest {
  input(name: string, value: unknown): void;
  query(text: string): Promise<{ readonly recordset?: readonly Row[] }>;
  cancel(): void;
}
interface MssqlPool {
  connect(): Promise<unknown>;
  close(): Promise<void>;
  request(): MssqlRequest;
  on(event: 'error', listener: () => void): unknown;
}
interface MssqlTransaction {
  begin(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  request(): MssqlRequest;
  on(event: 'error', listener: () => void): unknown;
}

/** SQL Server by `mssql`, which is loaded on first use. Exercised against a stand-in of the package alone. */
export function mssqlDriver(load: () => Promise<unknown> = () => importPackage('mssql')): SqlDriver {
  const loaded = (): Promise<MssqlModule> => loadDriver<MssqlModule>('mssql', load);
  return {
    pool: (target, options): SqlPool => {
      let connected: Promise<{ module: MssqlModule; pool: MssqlPool }> | undefined;
      const open = async (): Promise<{ module: MssqlModule; pool: MssqlPool }> => {
        const module = await loaded();
        const pool = new module.ConnectionPool(configuration(target, options.max, options.connectTimeoutMs));
        pool.on('error', () => undefined);
        await pool.connect().catch(rethrow);
        return { module, pool };
      };
      return {
        acquire: async () => {
          // A connection that failed is tried anew by the next operation.
          connected ??= open().catch((error: unknown) => {
            connected = undefined;
            throw error;
          });
          const { module, pool } = await connected;
          return linkOf(module, pool);
        },
        close: async () => (await connected?.catch(() => undefined))?.pool.close(),
      };
    },
    signIn: () => Promise.reject(new Error('log-ins are not offered for mssql')),
  };
}

function configuration(
  { host, port, database, user, password, tls }: SqlTarget,
  max: number,
  timeoutMs: number,
): object {
  return {
    server: host,
    port,
    database,
    user,
    password: password.reveal(),
    pool: { max },
    connectionTimeout: timeoutMs,
    requestTimeout: timeoutMs,
    options: {
      encrypt: tls !== undefined,
      trustServerCertificate: false,
      ...(tls?.ca === undefined ? {} : { cryptoCredentialsDetails: { ca: tls.ca } }),
    },
  };
}

function linkOf(module: MssqlModule, pool: MssqlPool): SqlLink {
  let transaction: MssqlTransaction | undefined;
  let running: MssqlRequest | undefined;
  return {
    query: async (text, values) => {
      const request = (transaction ?? pool).request();
      values.forEach((value, index) => request.input(`p${index + 1}`, value ?? null));
      running = request;
      const answer = await request.query(rewritePlaces(text, (position) => `@p${position}`)).catch(rethrow);
      return answer.recordset ?? [];
    },
    begin: async () => {
      transaction = new module.Transaction(pool);
      transaction.on('error', () => undefined);
      await transaction.begin().catch(rethrow);
    },
    commit: async () => transaction?.commit().catch(rethrow),
    rollback: async () => transaction?.rollback().catch(rethrow),
    idleMs: 0,
    // The pool of the package tests a connection before it lends it; a request that still runs is cancelled.
    release: (broken) => {
      if (broken) {
        running?.cancel();
        void transaction?.rollback().catch(() => undefined);
      }
    },
  };
}

function rethrow(error: unknown): never {
  const number = typeof error === 'object' && error !== null && 'number' in error ? error.number : undefined;
  if (typeof number === 'number') {
    throw new ServerFault(String(number));
  }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  throw code === 'ELOGIN' ? new ServerFault('18456') : error;
}
