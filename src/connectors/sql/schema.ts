import type { Finding, OperationContext, SchemaAttribute, TargetSchema } from '../connector.js';
import type { SqlContext } from './context.js';
import type { ColumnType } from '../shared/sql/dialect.js';
import { truthOf } from '../shared/sql/dialect.js';

/** A column as the database itself describes it. */
export interface LiveColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly required: boolean;
  /** False: the database makes the value. */
  readonly writable: boolean;
}

/** The columns of the accounts' table from the live database; empty when there is no such table or no right to see it. */
export async function liveColumns(sql: SqlContext, ctx: OperationContext): Promise<readonly LiveColumn[]> {
  const { schema, name } = sql.config.accounts.table;
  const rows = await sql.database.reading('schema', ctx, (session) =>
    session.read(sql.dialect.columns, [schema, name]),
  );
  return rows.map((row) => ({
    name: String(row['name']),
    type: columnType(String(row['type'])),
    required: truthOf(row['nullable']) === false && truthOf(row['has_default']) !== true,
    writable: truthOf(row['computed']) !== true,
  }));
}

/**
 * The schema of the live database: `account` holds the configured attributes, `table:SCHEMA.NAME` every column by its
 * own name, for whoever maps an application that is not configured yet. Throws ConnectorError.
 */
export async function readSchema(sql: SqlContext, ctx: OperationContext): Promise<TargetSchema> {
  const columns = await liveColumns(sql, ctx);
  const byName = new Map(columns.map((column) => [column.name, column]));
  const attributes = Object.entries(sql.config.attributes).map(([name, configured]): SchemaAttribute => {
    const live = byName.get(configured.column);
    return {
      name,
      // The attribute is what the configuration makes of the column; what the column holds is in the table's own class.
      type: configured.type,
      required: configured.required || (live?.required ?? false),
      writable: configured.writable && (live?.writable ?? true),
    };
  });
  const login = { name: 'login', type: 'string', required: true, writable: true } as const;
  const { schema, name } = sql.config.accounts.table;
  return {
    objectClasses: [
      { name: 'account', attributes: [login, ...attributes] },
      { name: `table:${schema}.${name}`, attributes: columns },
    ],
  };
}

/** Where the configuration and the live table do not agree. */
export async function schemaFindings(sql: SqlContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const columns = new Map((await liveColumns(sql, ctx)).map((column) => [column.name, column]));
  const findings: Finding[] = [];
  const mapped = new Set<string>([sql.config.accounts.login, sql.config.accounts.enabled]);
  for (const [name, { column, required, writable }] of Object.entries(sql.config.attributes)) {
    mapped.add(column);
    const live = columns.get(column);
    if (live?.required === true && !required) {
      const message = `attribute ${name}: the column takes no empty value, but the attribute is not required`;
      findings.push({ severity: 'warning', code: 'required', message });
    }
    if (live?.writable === false && writable) {
      const message = `attribute ${name}: the database computes the column, but the attribute is writable`;
      findings.push({ severity: 'error', code: 'computed', message });
    }
  }
  const createsItself = sql.config.procedures.create === undefined;
  for (const live of columns.values()) {
    if (createsItself && live.required && live.writable && !mapped.has(live.name)) {
      const message = `column ${live.name} needs a value, and no attribute is mapped to it: accounts cannot be created`;
      findings.push({ severity: 'error', code: 'unmapped', message });
    }
  }
  return findings;
}

function columnType(type: string): ColumnType {
  const plain = type.toLowerCase();
  if (plain === 'array') {
    return 'strings';
  }
  if (/^(bool|boolean|bit|tinyint)\b/.test(plain)) {
    return 'boolean';
  }
  return /^(small|medium|big)?(int|serial)|^(integer|numeric|decimal|real|float|double|number|money)/.test(plain)
    ? 'number'
    : 'string';
}
