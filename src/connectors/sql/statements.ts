import type { AttributeValue, ObservedAccount } from '../connector.js';
import { ConnectorConfigError } from '../errors.js';
import type { ProcedureOperation, SqlConfig, SqlHook } from './config.js';
import { procedureOperations } from './config.js';
import type { SqlDialect } from '../shared/sql/dialect.js';
import { listOf, place, truthOf } from '../shared/sql/dialect.js';
import type { Row } from '../shared/sql/driver.js';

/** A text and the names of the values for its places. */
export interface NamedStatement {
  readonly text: string;
  readonly parameters: readonly string[];
}

/** The SQL of one application, built once from its configuration: identifiers are quoted, values only ever bound. */
export interface SqlStatements {
  /** Place 1 is the key. */
  readonly byKey: string;
  /** Locks the row; where a dialect cannot do that in the same select, `lockRow` goes before `byKey`. */
  readonly byKeyLocked: string;
  readonly lockRow: string | undefined;
  /** Place 1: after this key. */
  readonly page: (rows: number) => string;
  readonly firstPage: (rows: number) => string;
  readonly by: (attribute: string) => string | undefined;
  readonly rolesOfAccount: string | undefined;
  readonly hooks: (hook: SqlHook) => readonly NamedStatement[];
  readonly procedure: (operation: ProcedureOperation) => NamedStatement | undefined;
  readonly table: string;
  readonly column: (name: string) => string;
  readonly qualified: (table: { readonly schema: string; readonly name: string }) => string;
}

/** Builds the statements; throws ConnectorConfigError when a configured statement names a parameter that nobody gives. */
export function buildStatements(application: string, config: SqlConfig, dialect: SqlDialect): SqlStatements {
  const q = dialect.quote;
  const { accounts, attributes, entitlements } = config;
  const qualified: SqlStatements['qualified'] = ({ schema, name }) => `${q(schema)}.${q(name)}`;
  const table = qualified(accounts.table);
  const column = (name: string): string => `a.${q(name)}`;
  const key = column(accounts.key);
  const { select, alive } = selectOf(config, dialect, table);
  const known = new Map(Object.entries(attributes).map(([name, { column: at }]) => [name, at]));
  known.set('login', accounts.login);
  const byKey = `${select} where ${key} = ${place(1)}${alive}`;
  const page = (where: string, rows: number): string =>
    `${select} where ${where}${alive} order by ${key} ${dialect.limit(rows)}`;
  const { lockRow } = dialect;
  const problems: string[] = [];
  const hooks = buildHooks(config, problems);
  const procedures = buildProcedures(config, dialect, qualified, problems);
  if (problems.length > 0) {
    throw new ConnectorConfigError(application, problems);
  }
  return {
    byKey,
    byKeyLocked: lockRow.form === 'suffix' ? `${byKey}${lockRow.text}` : byKey,
    lockRow: lockRow.form === 'select' ? lockRow.text(table, q(accounts.key)) : undefined,
    page: (rows) => page(`${key} > ${place(1)}`, rows),
    firstPage: (rows) => page('1 = 1', rows),
    by: (attribute) => {
      const at = known.get(attribute);
      return at === undefined ? undefined : page(`${dialect.read.string(column(at))} = ${place(1)}`, 100);
    },
    rolesOfAccount:
      entitlements === undefined
        ? undefined
        : `select e.${q(entitlements.role)} as role from ${qualified(entitlements.table)} e` +
          ` where e.${q(entitlements.account)} = ${place(1)}`,
    hooks: (hook) => hooks.get(hook) ?? [],
    procedure: (operation) => procedures.get(operation),
    table,
    column: q,
    qualified,
  };
}

function selectOf(config: SqlConfig, dialect: SqlDialect, table: string): { select: string; alive: string } {
  const { accounts, attributes, entitlements, logins } = config;
  const q = dialect.quote;
  const column = (name: string): string => `a.${q(name)}`;
  const key = column(accounts.key);
  const join = logins === undefined ? undefined : dialect.logins?.join(column(accounts.login), logins);
  const roles =
    entitlements === undefined
      ? dialect.nothing.list
      : dialect.gather(
          `e.${q(entitlements.role)}`,
          `from ${q(entitlements.table.schema)}.${q(entitlements.table.name)} e where e.${q(entitlements.account)} = ${key}`,
        );
  const columns = [
    `${dialect.read.string(key)} as native_id`,
    `${column(accounts.login)} as login`,
    `${column(accounts.enabled)} as flag`,
    // Numbered: an attribute's name need not be one that every server takes as an alias.
    ...Object.values(attributes).map(
      ({ column: at, type }, index) => `${dialect.read[type](column(at))} as at_${index}`,
    ),
    `${join?.canLogin ?? dialect.nothing.truth} as can_login`,
    `${join?.hasLogin ?? dialect.nothing.lie} as has_login`,
    `${roles} as roles`,
  ];
  const gone = config.delete;
  const alive =
    gone === undefined
      ? ''
      : ` and (${column(gone.column)} is null or ${column(gone.column)} <> ${dialect.literal(gone.value)})`;
  return { select: `select ${columns.join(', ')} from ${table} a${join?.text ?? ''}`, alive };
}

const common = ['login', 'nativeId', 'idempotencyKey'];

function buildHooks(config: SqlConfig, problems: string[]): ReadonlyMap<SqlHook, readonly NamedStatement[]> {
  const compiled = new Map<SqlHook, NamedStatement[]>();
  for (const [hook, list] of Object.entries(config.statements) as [SqlHook, string[] | undefined][]) {
    const allowed = hook === 'create' ? [...common, ...Object.keys(config.attributes)] : common;
    const statements = (list ?? []).map(compileNamed);
    compiled.set(hook, statements);
    for (const name of statements.flatMap(({ parameters }) => parameters).filter((one) => !allowed.includes(one))) {
      problems.push(`statements.${hook}: parameter :${name} is not known here; known are ${allowed.join(', ')}`);
    }
  }
  return compiled;
}

function buildProcedures(
  config: SqlConfig,
  dialect: SqlDialect,
  qualified: SqlStatements['qualified'],
  problems: string[],
): ReadonlyMap<ProcedureOperation, NamedStatement> {
  const compiled = new Map<ProcedureOperation, NamedStatement>();
  for (const operation of procedureOperations) {
    const configured = config.procedures[operation];
    if (configured !== undefined) {
      const { call, parameters } = configured;
      const allowed = parametersOf(operation, config);
      for (const name of parameters.filter((one) => !allowed.includes(one))) {
        problems.push(`procedures.${operation}: parameter ${name} is not known here; known are ${allowed.join(', ')}`);
      }
      const places = parameters.map((_name, index) => place(index + 1));
      compiled.set(operation, { text: dialect.call(qualified(call), places), parameters });
    }
  }
  return compiled;
}

function parametersOf(operation: ProcedureOperation, config: SqlConfig): readonly string[] {
  const attributes = Object.keys(config.attributes);
  const own: Readonly<Record<ProcedureOperation, readonly string[]>> = {
    create: ['enabled', 'verifier', ...attributes],
    update: ['previousLogin', ...attributes],
    disable: [],
    enable: [],
    seal: ['verifier'],
    setSecret: ['verifier'],
    archive: [],
    delete: [],
    addMember: ['role'],
    removeMember: ['role'],
    revokeSessions: [],
    transferOwned: ['heir'],
  };
  return [...common, ...own[operation]];
}

/** Turns `:name` into places; `::` casts and quoted text stay as they are. */
export function compileNamed(text: string): NamedStatement {
  const parameters: string[] = [];
  const compiled = text.replace(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|::|:([A-Za-z]\w*)/g,
    (whole, name: string | undefined) => {
      if (name === undefined) {
        return whole;
      }
      const known = parameters.indexOf(name);
      if (known >= 0) {
        return place(known + 1);
      }
      parameters.push(name);
      return place(parameters.length);
    },
  );
  return { text: compiled, parameters };
}

/** What a row of a select says. Flag and log-in that differ make the status unknown: half a cut is not a cut. */
export function observeRow(application: string, config: SqlConfig, row: Row): ObservedAccount {
  const attributes: Record<string, AttributeValue> = {};
  Object.entries(config.attributes).forEach(([name, { type }], index) => {
    const value = row[`at_${index}`];
    if (value !== null && value !== undefined) {
      attributes[name] = valueOf(type, value);
    }
  });
  return {
    ref: { application, objectClass: 'account', nativeId: String(row['native_id']) },
    login: String(row['login']),
    status: statusOf(config, row),
    attributes,
    entitlements: config.entitlements === undefined ? undefined : [...listOf(row['roles'])].sort(),
  };
}

function valueOf(type: SqlConfig['attributes'][string]['type'], value: unknown): AttributeValue {
  switch (type) {
    case 'string':
      return String(value);
    case 'number':
      return Number(value);
    case 'boolean':
      return truthOf(value) ?? null;
    case 'strings':
      return listOf(value);
  }
}

function statusOf(config: SqlConfig, row: Row): ObservedAccount['status'] {
  const flag = truthOf(row['flag']);
  if (flag === undefined) {
    return 'unknown';
  }
  if (config.logins === undefined) {
    return flag ? 'enabled' : 'disabled';
  }
  const canLogin = truthOf(row['can_login']) === true;
  return flag === canLogin ? (flag ? 'enabled' : 'disabled') : 'unknown';
}
