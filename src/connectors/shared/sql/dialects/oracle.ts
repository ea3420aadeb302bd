import type { SqlDialect } from '../dialect.js';
import { doubleQuoted, quotedText } from '../dialect.js';

/**
 * Oracle, from its SQL reference; proven on no server. Rows only: log-ins are not offered (ORA-28000 comes before the
 * password is checked, so it would prove nothing). Names are upper case unless they were quoted when they were made.
 */
export const oracle: SqlDialect = {
  name: 'oracle',
  defaultPort: 1521,
  quote: (identifier) => doubleQuoted(identifier.toUpperCase()),
  literal: (value) =>
    typeof value === 'string' ? quotedText(value) : typeof value === 'boolean' ? (value ? '1' : '0') : String(value),
  read: {
    string: (column) => `to_char(${column})`,
    number: (column) => `to_number(${column})`,
    boolean: (column) => `case when ${column} = 0 then 0 when ${column} is not null then 1 end`,
    strings: (column) => `to_char(${column})`,
  },
  // There is no boolean type before 23ai: flags are numbers.
  write: (_type, value) =>
    typeof value === 'boolean' ? (value ? 1 : 0) : Array.isArray(value) ? JSON.stringify(value) : value,
  limit: (rows) => `fetch first ${rows} rows only`,
  gather: (value, fromWhere) => `(select json_arrayagg(${value}) ${fromWhere})`,
  nothing: { list: 'null', truth: 'null', lie: '0' },
  lockRow: {
    form: 'select',
    text: (table, key) => `select a.${key} from ${table} a where a.${key} = $1 for update`,
  },
  insert: ({ table, columns, places }) => `insert into ${table} (${columns.join(', ')}) values (${places.join(', ')})`,
  call: (procedure, places) => `begin ${procedure}(${places.join(', ')}); end;`,
  // A transaction begins with its first statement; time limits are the driver's callTimeout.
  begin: () => [],
  commit: undefined,
  ping: 'select 1 as "one" from dual',
  columns: `select lower(column_name) as "name", data_type as "type",
      case nullable when 'Y' then 1 else 0 end as "nullable",
      case when data_default_length > 0 or identity_column = 'YES' then 1 else 0 end as "has_default",
      case when virtual_column = 'YES' or identity_column = 'YES' then 1 else 0 end as "computed"
    from all_tab_cols where owner = upper($1) and table_name = upper($2) and hidden_column = 'NO' order by column_id`,
  logins: undefined,
  errors: [
    { prefix: '00001', code: 'ALREADY_EXISTS' },
    { prefix: '00054', code: 'TIMEOUT' },
    { prefix: '00060', code: 'UNAVAILABLE' },
    { prefix: '01017', code: 'UNAUTHENTICATED' },
    { prefix: '01031', code: 'FORBIDDEN' },
    { prefix: '00942', code: 'FORBIDDEN' },
    { prefix: '28000', code: 'UNAUTHENTICATED' },
    { prefix: '125', code: 'UNAVAILABLE' },
  ],
  connectionEnded: ['00028', '01012', '03113', '03114', '03135'],
};
