import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';

/** Tenure has a few hundred different statements; what is written with lists of any length must not fill the server's memory. */
const MOST_NAMES = 500;

const FEATURE_NOT_SUPPORTED = '0A000';
const UNKNOWN_STATEMENT = '26000';
const DUPLICATE_STATEMENT = '42P05';

/**
 * A pool whose connections prepare each statement once: parsing and planning is a third of what Tenure's short statements cost the server. A table that a
 * migration changed under a prepared statement, or a proxy that hands transactions to other sessions, is survived: the statement is repeated unprepared where
 * nothing was begun, and the connection is not used again.
 */
export function preparing(pool: pg.Pool): PostgresPool {
  const names = new Map<string, string>();
  const wrapped = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  const nameOf = (text: string): string | undefined => {
    if (!names.has(text) && names.size < MOST_NAMES) names.set(text, `tenure_${names.size + 1}`);
    return names.get(text);
  };
  return {
    options: pool.options,
    async connect() {
      const client = await pool.connect();
      const known = wrapped.get(client) ?? wrap(client, nameOf);
      wrapped.set(client, known);
      return known;
    },
    end: () => pool.end(),
  };
}

function wrap(client: pg.PoolClient, nameOf: (text: string) => string | undefined): PostgresPoolClient {
  let isStale = false;
  const run = async (text: string, values: readonly unknown[]): Promise<unknown> => {
    const plain = { text, values: [...values] };
    const name = values.length === 0 || isStale ? undefined : nameOf(text);
    if (name === undefined) return client.query(plain);
    try {
      return await client.query({ name, ...plain });
    } catch (error) {
      if (!isOutOfDate(error)) throw error;
      isStale = true;
      // Inside a transaction this fails as well, and its owner begins again on another connection.
      return client.query(plain).catch(() => {
        throw error;
      });
    }
  };
  return {
    query: run as PostgresPoolClient['query'],
    release: (destroy) => {
      client.release(destroy === true || isStale);
    },
  };
}

/** Says that the statement itself is good, and only what was prepared for it is not (any more). Nothing was carried out. */
function isOutOfDate(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const isChanged = error.code === FEATURE_NOT_SUPPORTED && error.message.includes('cached plan');
  return isChanged || error.code === UNKNOWN_STATEMENT || error.code === DUPLICATE_STATEMENT;
}
