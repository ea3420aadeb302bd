import { describe, expect, it } from '@jest/globals';
import { Secret } from '../../src/connectors/secret.js';
import { sqlConfigSchema } from '../../src/connectors/sql/config.js';
import { dialects } from '../../src/connectors/shared/sql/dialects/index.js';
import { drivers } from '../../src/connectors/shared/sql/drivers/index.js';
import { mssqlDriver } from '../../src/connectors/shared/sql/drivers/mssql.js';
import { oracleDriver } from '../../src/connectors/shared/sql/drivers/oracle.js';
import { createSqlFactory } from '../../src/connectors/sql/index.js';
import { buildStatements } from '../../src/connectors/sql/statements.js';
import { newContext } from './kit/checks.js';
import { erpConfig } from './sql-harness.js';

const { logins: _logins, ...rows } = erpConfig;
const deps = (url: string) => ({ secrets: () => new Secret(url), logger: newContext().logger });

interface Spoken {
  readonly text: string;
  readonly values: unknown;
}

/** A stand-in of the package `mssql`: it keeps what it is told and answers as scripted. */
function fakeMssql(spoken: Spoken[], answer: (text: string) => readonly object[]) {
  const request = () => {
    const values: Record<string, unknown> = {};
    return {
      input: (name: string, value: unknown) => (values[name] = value),
      query: (text: string) => {
        spoken.push({ text, values });
        return Promise.resolve({ recordset: answer(text) });
      },
      cancel: () => undefined,
    };
  };
  const say = (text: string) => () => Promise.resolve(void spoken.push({ text, values: {} }));
  class ConnectionPool {
    connect = say('connect');
    close = say('close');
    on = () => undefined;
    request = request;
  }
  class Transaction {
    begin = say('begin');
    commit = say('commit');
    rollback = say('rollback');
    on = () => undefined;
    request = request;
  }
  return { default: { ConnectionPool, Transaction } };
}

/** A stand-in of the package `oracledb`. */
function fakeOracle(spoken: Spoken[], answer: (text: string) => readonly object[]) {
  const connection = {
    callTimeout: 0,
    execute: (text: string, values: unknown) => {
      spoken.push({ text, values });
      return Promise.resolve({ rows: answer(text) });
    },
    commit: () => Promise.resolve(void spoken.push({ text: 'commit', values: {} })),
    rollback: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const pool = { getConnection: () => Promise.resolve(connection), close: () => Promise.resolve() };
  return { OUT_FORMAT_OBJECT: 1, createPool: () => Promise.resolve(pool) };
}

const ref = { application: 'x', objectClass: 'account', nativeId: '7' };
const row = { native_id: '7', login: 'ada', flag: 1, roles: '["ledger"]', at_0: 'e7', at_1: 'Ada' };

describe('SQL Server, against a stand-in of its driver only', () => {
  it('writes its statements and binds every value by name', async () => {
    const spoken: Spoken[] = [];
    const driver = mssqlDriver(() => Promise.resolve(fakeMssql(spoken, () => [row])));
    const factory = createSqlFactory({ ...drivers, mssql: driver });
    const connector = factory.create('x', { ...rows, dialect: 'mssql' }, deps('mssql://u:p@127.0.0.1/erp'));
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'enabled', entitlements: ['ledger'] });
    await connector.disable!(ref, newContext());
    await connector.close();
    const written = spoken.find(({ text }) => text.startsWith('update'));
    expect(written).toEqual({
      text: 'update [erp].[accounts] set [enabled] = @p2 where [account_id] = @p1',
      values: { p1: '7', p2: false },
    });
    const texts = spoken.map(({ text }) => text);
    expect(texts.indexOf('begin')).toBeLessThan(texts.indexOf(written!.text));
    expect(texts.at(-2)).toBe('commit');
  });
});

describe('Oracle, against a stand-in of its driver only', () => {
  it('writes its statements and binds every value by name', async () => {
    const spoken: Spoken[] = [];
    const upper = Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toUpperCase(), value]));
    const driver = oracleDriver(() => Promise.resolve(fakeOracle(spoken, () => [upper])));
    const factory = createSqlFactory({ ...drivers, oracle: driver });
    const connector = factory.create('x', { ...rows, dialect: 'oracle' }, deps('oracle://u:p@127.0.0.1/ERP'));
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'enabled', entitlements: ['ledger'] });
    await connector.disable!(ref, newContext());
    const written = spoken.find(({ text }) => text.startsWith('update'));
    expect(written).toEqual({
      text: 'update "ERP"."ACCOUNTS" set "ENABLED" = :p2 where "ACCOUNT_ID" = :p1',
      values: { p1: '7', p2: 0 },
    });
    expect(spoken.at(-1)?.text).toBe('commit');
  });
});

describe('dialects without a server to prove them (statements only)', () => {
  it.each(['mssql', 'oracle', 'mysql'] as const)('%s: pages by key, quotes identifiers, offers no log-ins', (name) => {
    const dialect = dialects[name];
    const config = sqlConfigSchema.parse({ ...rows, dialect: name });
    const { page, byKey } = buildStatements('x', config, dialect);
    const key = `a.${dialect.quote('account_id')}`;
    expect(page(3)).toContain(`where ${key} > $1`);
    expect(page(3)).toContain(`order by ${key} ${dialect.limit(3)}`);
    expect(byKey).toContain(`from ${dialect.quote('erp')}.${dialect.quote('accounts')} a`);
    expect(sqlConfigSchema.safeParse({ ...erpConfig, dialect: name }).error?.issues[0]?.path).toEqual(['logins']);
  });

  it('quote what would end an identifier', () => {
    expect(dialects.mssql.quote('a]b')).toBe('[a]]b]');
    expect(dialects.oracle.quote('a"b')).toBe('"A""B"');
    expect(dialects.mariadb.quote('a"b')).toBe('"a""b"');
  });

  it('name the package that is missing', async () => {
    for (const [dialect, name] of [
      ['mssql', 'mssql'],
      ['oracle', 'oracledb'],
    ] as const) {
      const gone = () => Promise.reject(new Error('Cannot find package'));
      const absent = { ...drivers, mssql: mssqlDriver(gone), oracle: oracleDriver(gone) };
      const connector = createSqlFactory(absent).create(
        'x',
        { ...rows, dialect },
        deps(`${dialect}://u:p@127.0.0.1/x`),
      );
      await expect(connector.get(ref, newContext())).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        targetCode: `npm-install-${name}`,
      });
      expect((await connector.validate(newContext()))[0]?.message).toContain(`npm install ${name}`);
      await connector.close();
    }
  });
});
