import { Kysely, PostgresDialect } from 'kysely';
import type { Transaction } from 'kysely';
import pg from 'pg';
import { preparing } from './prepared.js';
import type { Schema } from './schema.js';

export type Database = Kysely<Schema>;
/** A database or an open transaction: what repositories take. */
export type Queryable = Kysely<Schema> | Transaction<Schema>;

const TIMESTAMPTZ = 1184;
const IDLE_MS = 300_000;

/**
 * Opens a pool. Instants come back as ISO text in UTC (never as Date), so that they compare as text and cross every boundary unchanged.
 * The caller owns the pool and destroys it.
 */
export function openDatabase(url: string, options: { readonly max?: number; readonly name?: string } = {}): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max ?? 10,
    // The driver's ten seconds make every burst begin with log-ins, cold caches and statements to prepare.
    idleTimeoutMillis: IDLE_MS,
    application_name: options.name ?? 'tenure',
    types: { getTypeParser: typeParser },
  });
  // An idle connection that the server closed (restart, failover) must not end the process; the next query reconnects.
  pool.on('error', () => undefined);
  // One in use tells its query; the event that comes with it would end the process, too.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: preparing(pool) }) });
}

function typeParser(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === TIMESTAMPTZ && format !== 'binary') return (value) => new Date(value).toISOString();
  return pg.types.getTypeParser(oid, format) as (value: string) => unknown;
}
