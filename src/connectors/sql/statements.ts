import type { AttributeValue, ObservedAccount } from '../connector.js';
import { ConnectorConfigError } from '../errors.js';
import type { Row } from './client.js';
import type { SqlConfig, SqlHook } from './config.js';
import type { SqlDialect } from './dialect.js';

/** The SQL of one application, built once from its configuration: identifiers are quoted, values only ever bound. */
export interface SqlStatements {
  readonly select: string;
  /** Placeholder 1 is the key. */
  readonly byKey: string;
  readonly byKeyLocked: string;
  /** Placeholders: after this key, at most this many. */
  readonly page: string;
  readonly firstPage: string;
  readonly by: (attribute: string) => string | undefined;
  readonly rolesOfAccount: string | undefined;
  readonly hooks: (hook: SqlHook) => readonly { readonly text: string; readonly parameters: readonly string[] }[];
  readonly table: string;
  readonly column: (name: string) => string;
}

/** Builds the statements; throws ConnectorConfigError when a configured statement names a parameter that nobody gives. */
export function buildStatements(application: string, config: SqlConfig, dialect: SqlDialect): SqlStatements {
  const q = dialect.quote;
  const p = dialect.placeholder;
  const { accounts, attributes, entitlements } = config;
  const table = `${q(accounts.table.schema)}.${q(accounts.table.name)}`;
  const column = (name: string): string => `a.${q(name)}`;
  const columns = [
    `${column(accounts.key)}::text as native_id`,
    `${column(accounts.login)} as login`,
    `${column(accounts.enabled)} as flag`,
    ...Object.entries(attributes).map(
      ([name, { column: at, type }]) => `${dialect.read[type](column(at))} as ${q(`at_${name}`)}`,
    ),
    config.logins === undefined
      ? 'null::boolean as can_login, false as has_login'
      : 'r.rolcanlogin as can_login, (r.rolname is not null) as has_login',
    rolesColumn(config, dialect, column(accounts.key)),
  ];
  const joined =
    config.logins === undefined ? '' : ` left join pg_catalog.pg_roles r on r.rolname = ${column(accounts.login)}`;
  const select = `select ${columns.join(', ')} from ${table} a${joined}`;
  const order = `order by ${column(accounts.key)} limit`;
  const known = new Map(Object.entries(attributes).map(([name, { column: at }]) => [name, at]));
  known.set('login', accounts.login);
  return {
    select,
    byKey: `${select} where ${column(accounts.key)} = ${p(1)}`,
    byKeyLocked: `${select} where ${column(accounts.key)} = ${p(1)} for update of a`,
    page: `${select} where ${column(accounts.key)} > ${p(1)} ${order} ${p(2)}`,
    firstPage: `${select} ${order} ${p(1)}`,
    by: (attribute) => {
      const at = known.get(attribute);
      return at === undefined ? undefined : `${select} where ${column(at)}::text = ${p(1)} ${order} 100`;
    },
    rolesOfAccount:
      entitlements === undefined
        ? undefined
        : `select e.${q(entitlements.role)} as role from ${q(entitlements.table.schema)}.${q(entitlements.table.name)} e` +
          ` where e.${q(entitlements.account)} = ${p(1)}`,
    hooks: buildHooks(application, config, dialect),
    table,
    column: q,
  };
}

function rolesColumn(config: SqlConfig, dialect: SqlDialect, key: string): string {
  const { entitlements } = config;
  if (entitlements === undefined) {
    return 'null::text[] as roles';
  }
  const q = dialect.quote;
  const from = `${q(entitlements.table.schema)}.${q(entitlements.table.name)} e`;
  const role = `e.${q(entitlements.role)}::text`;
  return `array(select ${role} from ${from} where e.${q(entitlements.account)} = ${key} order by 1) as roles`;
}

function buildHooks(application: string, config: SqlConfig, dialect: SqlDialect): SqlStatements['hooks'] {
  const compiled = new Map<SqlHook, { text: string; parameters: string[] }[]>();
  const problems: string[] = [];
  const common = ['login', 'nativeId', 'idempotencyKey'];
  for (const [hook, list] of Object.entries(config.statements) as [SqlHook, string[] | undefined][]) {
    const allowed = hook === 'create' ? [...common, ...Object.keys(config.attributes)] : common;
    compiled.set(
      hook,
      (list ?? []).map((text) => {
        const statement = compileNamed(text, dialect);
        for (const name of statement.parameters.filter((parameter) => !allowed.includes(parameter))) {
          problems.push(`statements.${hook}: parameter :${name} is not known here; known are ${allowed.join(', ')}`);
        }
        return statement;
      }),
    );
  }
  if (problems.length > 0) {
    throw new ConnectorConfigError(application, problems);
  }
  return (hook) => compiled.get(hook) ?? [];
}

/** Turns `:name` into the dialect's placeholders; `::` casts and quoted text stay as they are. */
export function compileNamed(text: string, dialect: SqlDialect): { text: string; parameters: string[] } {
  const parameters: string[] = [];
  const compiled = text.replace(
    /'(?:[^']|'')*'|"(?:[^"]|"")*"|::|:([A-Za-z]\w*)/g,
    (whole, name: string | undefined) => {
      if (name === undefined) {
        return whole;
      }
      const known = parameters.indexOf(name);
      if (known >= 0) {
        return dialect.placeholder(known + 1);
      }
      parameters.push(name);
      return dialect.placeholder(parameters.length);
    },
  );
  return { text: compiled, parameters };
}

/** What a row of `select` says. Flag and log-in that differ make the status unknown: half a cut is not a cut. */
export function observeRow(application: string, config: SqlConfig, row: Row): ObservedAccount {
  const attributes: Record<string, AttributeValue> = {};
  for (const name of Object.keys(config.attributes)) {
    const value = row[`at_${name}`];
    if (value !== null && value !== undefined) {
      attributes[name] = value as AttributeValue;
    }
  }
  return {
    ref: { application, objectClass: 'account', nativeId: String(row['native_id']) },
    login: String(row['login']),
    status: statusOf(config, row),
    attributes,
    entitlements: config.entitlements === undefined ? undefined : (row['roles'] as string[]),
  };
}

function statusOf(config: SqlConfig, row: Row): ObservedAccount['status'] {
  const flag = row['flag'];
  if (typeof flag !== 'boolean') {
    return 'unknown';
  }
  if (config.logins === undefined) {
    return flag ? 'enabled' : 'disabled';
  }
  const canLogin = row['can_login'] === true;
  return flag === canLogin ? (flag ? 'enabled' : 'disabled') : 'unknown';
}
