import type { SqlDialect } from '../dialect.js';
import { quotedText } from '../dialect.js';

/** SQL Server, from Microsoft's documentation of Transact-SQL; proven on no server. Rows only: log-ins are not offered. */
export const mssql: SqlDialect = {
  name: 'mssql',
  defaultPort: 1433,
  quote: (identifier) => `[${identifier.replaceAll(']', ']]')}]`,
  literal: (value) =>
    typeof value === 'string'
      ? `N${quotedText(value)}`
      : typeof value === 'boolean'
        ? value
          ? '1'
          : '0'
        : String(value),
  read: {
    string: (column) => `cast(${column} as nvarchar(max))`,
    number: (column) => `cast(${column} as float)`,
    boolean: (column) => `cast(${column} as bit)`,
    strings: (column) => `cast(${column} as nvarchar(max))`,
  },
  write: (_type, value) => (Array.isArray(value) ? JSON.stringify(value) : value),
  limit: (rows) => `offset 0 rows fetch next ${rows} rows only`,
  gather: (value, fromWhere) =>
    `(select N'[' + string_agg(N'"' + string_escape(${value}, 'json') + N'"', N',') + N']' ${fromWhere})`,
  nothing: { list: 'null', truth: 'null', lie: '0' },
  lockRow: {
    form: 'select',
    text: (table, key) => `select a.${key} from ${table} a with (updlock, rowlock) where a.${key} = $1`,
  },
  insert: ({ table, columns, places, key }) =>
    `insert into ${table} (${columns.join(', ')}) output cast(inserted.${key} as nvarchar(max)) as native_id` +
    ` values (${places.join(', ')})`,
  call: (procedure, places) => `exec ${procedure} ${places.join(', ')}`.trim(),
  // The driver begins the transaction: SQL Server counts begin and commit per batch.
  begin: (timeoutMs) => [`set lock_timeout ${timeoutMs}; set xact_abort off`],
  commit: undefined,
  ping: 'select 1 as one',
  columns: `select c.name as name, t.name as type, c.is_nullable as nullable,
      cast(case when c.default_object_id <> 0 or c.is_identity = 1 then 1 else 0 end as bit) as has_default,
      cast(case when c.is_computed = 1 or c.is_identity = 1 then 1 else 0 end as bit) as computed
    from sys.columns c
    join sys.objects o on o.object_id = c.object_id
    join sys.schemas s on s.schema_id = o.schema_id
    join sys.types t on t.user_type_id = c.user_type_id
    where s.name = $1 and o.name = $2 order by c.column_id`,
  logins: undefined,
  errors: [
    { prefix: '229', code: 'FORBIDDEN' },
    { prefix: '1205', code: 'UNAVAILABLE' },
    { prefix: '1222', code: 'TIMEOUT' },
    { prefix: '2601', code: 'ALREADY_EXISTS' },
    { prefix: '2627', code: 'ALREADY_EXISTS' },
    { prefix: '4060', code: 'UNAUTHENTICATED' },
    { prefix: '18456', code: 'UNAUTHENTICATED' },
    { prefix: '40613', code: 'UNAVAILABLE' },
  ],
  connectionEnded: ['596', '6005'],
};
