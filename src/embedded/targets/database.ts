import pg from 'pg';

/** Any fixed number: all starts of the targets take this advisory lock, so that two at once do not disturb each other. */
const setupLock = 7_480_021;

/** The same server with another database. */
export function databaseUrl(adminUrl: string, database: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** Creates a database when it is missing, then runs `setup` in it. Safe to repeat and to run twice at once. */
export async function ensureDatabase(
  adminUrl: string,
  database: string,
  setup: (client: pg.Client) => Promise<void>,
): Promise<string> {
  const admin = await connect(adminUrl);
  try {
    await admin.query('select pg_advisory_lock($1)', [setupLock]);
    const { rowCount } = await admin.query('select 1 from pg_database where datname = $1', [database]);
    if (rowCount === 0) {
      await admin.query(`create database ${pg.escapeIdentifier(database)}`);
    }
    const url = databaseUrl(adminUrl, database);
    const client = await connect(url);
    try {
      await setup(client);
    } finally {
      await client.end();
    }
    return url;
  } finally {
    await admin.end();
  }
}

/** A connection that the caller ends. One that dies tells its query; the event that comes with it must not end the process. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
