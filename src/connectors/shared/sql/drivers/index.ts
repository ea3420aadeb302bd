import type { SqlDrivers } from '../driver.js';
import { mariadbDriver } from './mariadb.js';
import { mssqlDriver } from './mssql.js';
import { oracleDriver } from './oracle.js';
import { postgresDriver } from './postgres.js';

/** The client of each dialect; `mssql` and `oracledb` are loaded when they are used for the first time. */
export const drivers: SqlDrivers = {
  postgres: postgresDriver,
  mariadb: mariadbDriver,
  mysql: mariadbDriver,
  mssql: mssqlDriver(),
  oracle: oracleDriver(),
};
