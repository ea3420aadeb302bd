import type { SqlDatabase } from '../shared/sql/client.js';
import type { LoginDialect, LoginSettings, SqlDialect } from '../shared/sql/dialect.js';
import type { SqlDriver } from '../shared/sql/driver.js';
import type { SqlTarget } from '../shared/sql/target.js';
import type { SqlConfig } from './config.js';
import type { SqlStatements } from './statements.js';

/** Everything the operations of one application share. */
export interface SqlContext {
  readonly application: string;
  readonly config: SqlConfig;
  readonly dialect: SqlDialect;
  /** Present when accounts have log-ins of the server. */
  readonly logins: { readonly dialect: LoginDialect; readonly settings: LoginSettings } | undefined;
  readonly target: SqlTarget;
  readonly driver: SqlDriver;
  readonly database: SqlDatabase;
  readonly statements: SqlStatements;
}
