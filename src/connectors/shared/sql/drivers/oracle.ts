import type { Row, SqlDriver, SqlLink, SqlPool } from '../driver.js';
import { rewritePlaces, ServerFault } from '../driver.js';
import { importPackage, loadDriver } from './optional.js';

/** The part of the package `oracledb` (version 6 and later, thin mode) that is used here. */
export interface OracleModule {
  readonly OUT_FORMAT_OBJECT: number;
  createPool(options: object): Promise<OraclePool>;
}
interface OraclePool {
  getConnection(): Promise<OracleConnection>;
  close(seconds: number): Promise<void>;
}
interface OracleConnection {
  execute(text: string, values: object, options: object): Promise<{ readonly rows?: readonly Row[] }>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  close(options?: { drop: boolean }): Promise<void>;
  callTimeout: number;
}

/** Oracle by `oracledb`, which is loaded on first use. Exercised against a stand-in of the package alone. */
export function oracleDriver(load: () => Promise<unknown> = () => importPackage('oracledb')): SqlDriver {
  return {
    pool: (target, options): SqlPool => {
      let opened: Promise<{ module: OracleModule; pool: OraclePool }> | undefined;
      const open = async (): Promise<{ module: OracleModule; pool: OraclePool }> => {
        const module = await loadDriver<OracleModule>('oracledb', load);
        const { host, port, database, user, password, tls } = target;
        const pool = await module
          .createPool({
            user,
            password: password.reveal(),
            connectString: `${tls === undefined ? 'tcp' : 'tcps'}://${host}:${port}/${database}`,
            poolMin: 0,
            poolMax: options.max,
            // A connection that lay idle for a second is pinged before it is lent.
            poolPingInterval: 1,
            ...(tls?.ca === undefined ? {} : { walletContent: tls.ca }),
          })
          .catch(rethrow);
        return { module, pool };
      };
      return {
        acquire: async () => {
          opened ??= open().catch((error: unknown) => {
            opened = undefined;
            throw error;
          });
          const { module, pool } = await opened;
          const connection = await pool.getConnection().catch(rethrow);
          connection.callTimeout = options.connectTimeoutMs;
          return linkOf(module, connection);
        },
        close: async () => (await opened?.catch(() => undefined))?.pool.close(0),
      };
    },
    signIn: () => Promise.reject(new Error('log-ins are not offered for oracle')),
  };
}

function linkOf(module: OracleModule, connection: OracleConnection): SqlLink {
  return {
    query: async (text, values) => {
      const bound = Object.fromEntries(values.map((value, index) => [`p${index + 1}`, value ?? null]));
      const options = { outFormat: module.OUT_FORMAT_OBJECT };
      const rewritten = rewritePlaces(text, (position) => `:p${position}`);
      const { rows } = await connection.execute(rewritten, bound, options).catch(rethrow);
      return (rows ?? []).map(lowerCased);
    },
    commit: () => connection.commit().catch(rethrow),
    rollback: () => connection.rollback().catch(rethrow),
    idleMs: 0,
    release: (broken) => void connection.close({ drop: broken }).catch(() => undefined),
  };
}

/** Unquoted aliases come back in upper case. */
function lowerCased(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name === name.toUpperCase() ? name.toLowerCase() : name, value]),
  );
}

function rethrow(error: unknown): never {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const number = typeof code === 'string' ? /^ORA-(\d{5})$/.exec(code)?.[1] : undefined;
  throw number === undefined ? error : new ServerFault(number);
}
