import type { SqlDialect } from '../dialect.js';
import { doubleQuoted, quotedText } from '../dialect.js';
import { scramVerifier } from '../passwords.js';

const quote = doubleQuoted;

export const postgres: SqlDialect = {
  name: 'postgres',
  defaultPort: 5432,
  quote,
  literal: (value) => (typeof value === 'string' ? quotedText(value) : String(value)),
  read: {
    string: (column) => `${column}::text`,
    number: (column) => `${column}::float8`,
    boolean: (column) => `${column}::boolean`,
    strings: (column) => `${column}::text[]`,
  },
  write: (_type, value) => value,
  limit: (rows) => `limit ${rows}`,
  gather: (value, fromWhere) => `array(select ${value}::text ${fromWhere} order by 1)`,
  nothing: { list: 'null::text[]', truth: 'null::boolean', lie: 'false' },
  lockRow: { form: 'suffix', text: ' for update of a' },
  insert: ({ table, columns, places, key }) =>
    `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')}) on conflict do nothing` +
    ` returning ${key}::text as native_id`,
  // How long to wait is set at the begin of the transaction.
  nameLock:
    'select $2::int is not null as locked from pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1::text, 0)) as held',
  call: (procedure, places) => `call ${procedure}(${places.join(', ')})`,
  begin: (timeoutMs) => [`begin; set local statement_timeout = ${timeoutMs}; set local lock_timeout = ${timeoutMs}`],
  commit: 'commit',
  ping: 'select 1 as one',
  // attgenerated: computed columns; attidentity 'a': always made by the database.
  columns: `select a.attname as name, case when t.typelem <> 0 and t.typlen = -1 then 'ARRAY' else
      pg_catalog.format_type(a.atttypid, null) end as type,
      not a.attnotnull as nullable, (a.atthasdef or a.attidentity <> '') as has_default,
      (a.attgenerated <> '' or a.attidentity = 'a') as computed
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_type t on t.oid = a.atttypid
    where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped order by a.attnum`,
  logins: {
    transactional: true,
    join: (login) => ({
      text: ` left join pg_catalog.pg_roles r on r.rolname = ${login}`,
      canLogin: 'r.rolcanlogin',
      hasLogin: '(r.rolname is not null)',
    }),
    exists: () => 'select count(*) > 0 as has_login from pg_catalog.pg_roles where rolname = $1',
    // The type of a backend is hidden from roles that may not read all statistics; only the name is shown to all.
    sessionCount: 'select count(*)::int as count from pg_catalog.pg_stat_activity where usename = $1',
    endSessions: (login) => ({
      text: `select count(*)::int as count from (select pg_catalog.pg_terminate_backend(pid, 2000)
      from pg_catalog.pg_stat_activity where usename = $1) ended`,
      values: [login],
    }),
    createsWithPassword: false,
    create: (login, enabled, _verifier, { grant }) => [
      `create role ${quote(login)} ${enabled ? 'login' : 'nologin'}`,
      ...(grant === undefined ? [] : [`grant ${quote(grant)} to ${quote(login)}`]),
    ],
    alter: (login, { enabled, verifier }) => {
      const state = enabled === undefined ? '' : enabled ? ' login' : ' nologin';
      return `alter role ${quote(login)} with${state}${verifier === undefined ? '' : ` password ${quotedText(verifier)}`}`;
    },
    rename: (from, to) => `alter role ${quote(from)} rename to ${quote(to)}`,
    drop: (login) => `drop role if exists ${quote(login)}`,
    isReserved: (login) => login.startsWith('pg_') || ['postgres', 'public', 'none'].includes(login),
    // 63 bytes is where Postgres cuts names off without a word; two people must never share the rest.
    isPlausible: (login) => /^[A-Za-z_][\w.@-]*$/.test(login) && Buffer.byteLength(login) <= 63,
    verifier: scramVerifier,
    probesDatabase: true,
    ownership: {
      // pg_shdepend is what `reassign owned` itself goes by; it is shared, so it shows what is in other databases, too.
      count: `select count(*)::int as count from pg_catalog.pg_shdepend d
        join pg_catalog.pg_roles r on r.oid = d.refobjid
        where d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass and d.deptype = 'o' and r.rolname = $1`,
      actsFor: `select pg_catalog.pg_has_role(current_user, $1::name, 'usage') as acts`,
      transfer: (from, to, borrowed) => [
        ...borrowed.map((login) => `grant ${quote(login)} to current_user`),
        `reassign owned by ${quote(from)} to ${quote(to)}`,
        ...borrowed.map((login) => `revoke ${quote(login)} from current_user`),
      ],
    },
    // The password is checked first and the right to log in after it: 28000 from this routine proves both.
    signIn: [
      { code: '28000', routine: 'InitializeSessionUserId', answer: 'disabled' },
      { code: '28P01', answer: 'wrong-secret' },
    ],
  },
  errors: [
    { prefix: '08', code: 'UNAVAILABLE' },
    { prefix: '22', code: 'INVALID' },
    { prefix: '23', code: 'INVALID' },
    { prefix: '23505', code: 'ALREADY_EXISTS' },
    { prefix: '25006', code: 'UNAVAILABLE' },
    { prefix: '28', code: 'UNAUTHENTICATED' },
    { prefix: '2BP01', code: 'CONFLICT' },
    { prefix: '40', code: 'UNAVAILABLE' },
    { prefix: '42501', code: 'FORBIDDEN' },
    { prefix: '42710', code: 'ALREADY_EXISTS' },
    { prefix: '53', code: 'UNAVAILABLE' },
    { prefix: '55006', code: 'CONFLICT' },
    { prefix: '55P03', code: 'TIMEOUT' },
    { prefix: '57', code: 'UNAVAILABLE' },
    { prefix: '57014', code: 'TIMEOUT' },
  ],
  connectionEnded: ['57P01', '57P02', '08'],
};
