import type { DialectName, SqlDialect } from '../dialect.js';
import { mariadb, mysql } from './mariadb.js';
import { mssql } from './mssql.js';
import { oracle } from './oracle.js';
import { postgres } from './postgres.js';

export const dialects: Readonly<Record<DialectName, SqlDialect>> = { postgres, mariadb, mysql, mssql, oracle };
