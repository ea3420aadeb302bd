import type { LoginSettings, SqlDialect } from '../dialect.js';
import { doubleQuoted, quotedText } from '../dialect.js';
import { nativePasswordHash } from '../passwords.js';

// The driver sets ANSI_QUOTES and NO_BACKSLASH_ESCAPES on every connection: quoting is that of the SQL standard.
const quote = doubleQuoted;
const getLock = 'select get_lock($1, $2) as locked';
const exact = (text: string): string => `cast(${text} as char character set utf8mb4) collate utf8mb4_bin`;
const user = (login: string, { host }: LoginSettings): string => `${quotedText(login)}@${quotedText(host)}`;
const locking = (enabled: boolean): string => ` account ${enabled ? 'unlock' : 'lock'}`;
const identified = (hash: string): string => ` identified via mysql_native_password using ${quotedText(hash)}`;

/** The log-ins as the server's own table has them; a view with these two columns needs fewer rights. */
function catalogue({ catalogue: view, host }: LoginSettings): string {
  return view === undefined
    ? `(select User as login, coalesce(json_value(Priv, '$.account_locked'), 0) = 0 as can_login` +
        ` from mysql.global_priv where Host = ${quotedText(host)})`
    : `${quote(view.schema)}.${quote(view.name)}`;
}

export const mariadb: SqlDialect = {
  name: 'mariadb',
  defaultPort: 3306,
  quote,
  literal: (value) => (typeof value === 'string' ? quotedText(value) : String(value)),
  read: {
    string: (column) => `cast(${column} as char)`,
    number: (column) => `cast(${column} as double)`,
    boolean: (column) => `(${column} <> 0)`,
    strings: (column) => `cast(${column} as char)`,
  },
  // A list is a JSON column.
  write: (_type, value) => (Array.isArray(value) ? JSON.stringify(value) : value),
  limit: (rows) => `limit ${rows}`,
  gather: (value, fromWhere) => `(select json_arrayagg(${value}) ${fromWhere})`,
  nothing: { list: 'null', truth: 'null', lie: '0' },
  // Of the row alone: `for update` on the whole select would lock the server's own tables too.
  lockRow: {
    form: 'select',
    text: (table, key) => `select a.${key} from ${table} a where a.${key} = $1 for update`,
  },
  // Without `ignore`: that would also take values that do not fit.
  insert: ({ table, columns, places, key }) =>
    `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')}) returning cast(${key} as char) as native_id`,
  nameLock: getLock,
  call: (procedure, places) => `call ${procedure}(${places.join(', ')})`,
  begin: (timeoutMs) => {
    const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
    return [
      `set session max_statement_time = ${timeoutMs / 1000}, innodb_lock_wait_timeout = ${seconds}, lock_wait_timeout = ${seconds}`,
      'start transaction',
    ];
  },
  commit: 'commit',
  ping: 'select 1 as one',
  columns: `select column_name as name, data_type as type, is_nullable = 'YES' as nullable,
      (column_default is not null or extra like '%auto_increment%') as has_default,
      (is_generated = 'ALWAYS' or extra like '%auto_increment%') as computed
    from information_schema.columns where table_schema = $1 and table_name = $2 order by ordinal_position`,
  logins: {
    transactional: false,
    lock: { take: getLock, release: 'do release_all_locks()' },
    join: (login, settings) => ({
      text: ` left join ${catalogue(settings)} r on ${exact('r.login')} = ${exact(login)}`,
      canLogin: 'r.can_login',
      hasLogin: '(r.login is not null)',
    }),
    exists: (settings) =>
      `select count(*) > 0 as has_login from ${catalogue(settings)} r where ${exact('r.login')} = ${exact('$1')}`,
    sessionCount: `select count(*) as count from information_schema.processlist where ${exact('user')} = ${exact('$1')}`,
    endSessions: (login, settings) => ({ text: `kill hard user ${user(login, settings)}`, values: [] }),
    // Never without a password, and locked until it is complete. A role is not made the default: that needs rights
    // on the whole `mysql` schema.
    createsWithPassword: true,
    create: (login, enabled, verifier, settings) => [
      `create user ${user(login, settings)}${identified(verifier)}${locking(false)}`,
      ...(settings.grant === undefined ? [] : [`grant ${quote(settings.grant)} to ${user(login, settings)}`]),
      ...(enabled ? [`alter user ${user(login, settings)}${locking(true)}`] : []),
    ],
    alter: (login, { enabled, verifier }, settings) =>
      `alter user ${user(login, settings)}${verifier === undefined ? '' : identified(verifier)}` +
      (enabled === undefined ? '' : locking(enabled)),
    rename: (from, to, settings) => `rename user ${user(from, settings)} to ${user(to, settings)}`,
    drop: (login, settings) => `drop user if exists ${user(login, settings)}`,
    isReserved: (login) => ['root', 'mysql', 'mariadb.sys', 'public', 'none', ''].includes(login.toLowerCase()),
    isPlausible: (login) => /^[A-Za-z_][\w.@-]*$/.test(login) && login.length <= 80,
    verifier: nativePasswordHash,
    probesDatabase: false,
    // A locked account with a wrong password is answered 1045: 4151 comes after the password was found right.
    signIn: [
      { code: '4151', answer: 'disabled' },
      { code: '1045', answer: 'wrong-secret' },
      { code: '1698', answer: 'wrong-secret' },
    ],
  },
  errors: [
    { prefix: '1040', code: 'UNAVAILABLE' },
    { prefix: '1044', code: 'FORBIDDEN' },
    { prefix: '1045', code: 'UNAUTHENTICATED' },
    { prefix: '1053', code: 'UNAVAILABLE' },
    { prefix: '1062', code: 'ALREADY_EXISTS' },
    { prefix: '1129', code: 'UNAVAILABLE' },
    { prefix: '1142', code: 'FORBIDDEN' },
    { prefix: '1143', code: 'FORBIDDEN' },
    { prefix: '1203', code: 'UNAVAILABLE' },
    { prefix: '1205', code: 'TIMEOUT' },
    { prefix: '1213', code: 'UNAVAILABLE' },
    { prefix: '1226', code: 'UNAVAILABLE' },
    { prefix: '1227', code: 'FORBIDDEN' },
    { prefix: '1290', code: 'UNAVAILABLE' },
    { prefix: '1370', code: 'FORBIDDEN' },
    { prefix: '1396', code: 'ALREADY_EXISTS' },
    { prefix: '1698', code: 'UNAUTHENTICATED' },
    { prefix: '1792', code: 'UNAVAILABLE' },
    { prefix: '1836', code: 'UNAVAILABLE' },
    { prefix: '1927', code: 'UNAVAILABLE' },
    { prefix: '1969', code: 'TIMEOUT' },
    { prefix: '4151', code: 'UNAUTHENTICATED' },
  ],
  connectionEnded: ['1053', '1927'],
};

/**
 * MySQL without log-ins: its catalogue, its lock marker and its default password plug-in are others, and there is no
 * MySQL server here to prove them on. It has no `returning` either: the key is read by the adoption key.
 */
export const mysql: SqlDialect = {
  ...mariadb,
  name: 'mysql',
  insert: ({ table, columns, places }) => `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')})`,
  begin: (timeoutMs) => {
    const seconds = Math.max(1, Math.ceil(timeoutMs / 1000));
    return [
      `set session max_execution_time = ${timeoutMs}, innodb_lock_wait_timeout = ${seconds}, lock_wait_timeout = ${seconds}`,
      'start transaction',
    ];
  },
  columns: `select column_name as name, data_type as type, is_nullable = 'YES' as nullable,
      (column_default is not null or extra like '%auto_increment%') as has_default,
      (generation_expression <> '' or extra like '%auto_increment%') as computed
    from information_schema.columns where table_schema = $1 and table_name = $2 order by ordinal_position`,
  // Released together with the locks of log-ins only.
  nameLock: undefined,
  logins: undefined,
  errors: [...mariadb.errors, { prefix: '3024', code: 'TIMEOUT' }],
};
