import { randomUUID } from 'node:crypto';
import mysql from 'mysql2/promise';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { createSecretResolver } from '../../src/connectors/secret.js';
import { sqlFactory } from '../../src/connectors/sql/index.js';
import type { MariaDb } from '../systems/mariadb.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import type { FaultMode, FaultProxy } from './kit/fault-proxy.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

/** The example of docs/connectors/sql.md. */
export const mariadbConfig = {
  dialect: 'mariadb',
  url: 'env:ERP_URL',
  accounts: { table: { schema: 'erp', name: 'accounts' }, key: 'account_id', login: 'login', enabled: 'enabled' },
  attributes: {
    externalId: { column: 'external_id', required: true },
    displayName: { column: 'display_name', required: true },
    mail: { column: 'mail' },
    department: { column: 'department' },
    costCenter: { column: 'cost_center', type: 'number' },
    tags: { column: 'tags', type: 'strings' },
  },
  logins: { grant: 'erp_user', host: '127.0.0.1', catalogue: { schema: 'erp_admin', name: 'logins' } },
  entitlements: {
    table: { schema: 'erp', name: 'account_roles' },
    account: 'account_id',
    role: 'role',
    catalog: { table: { schema: 'erp', name: 'roles' }, role: 'role' },
  },
  archive: { column: 'archived' },
} as const;

const call = (name: string, ...parameters: string[]) => ({ call: { schema: 'erp_admin', name }, parameters });
const attributeNames = ['displayName', 'mail', 'department', 'costCenter', 'tags'];

/** Every operation by a procedure; the service account may write no table and no log-in. */
export const mariadbProcedures = {
  procedures: {
    create: call('make_account', 'login', 'enabled', 'verifier', 'externalId', ...attributeNames),
    update: call('change_account', 'previousLogin', 'login', 'nativeId', ...attributeNames),
    disable: call('close_account', 'login', 'nativeId'),
    enable: call('open_account', 'login', 'nativeId'),
    seal: call('seal_account', 'login', 'nativeId', 'verifier'),
    setSecret: call('set_password', 'login', 'verifier'),
    archive: call('archive_account', 'nativeId'),
    delete: call('remove_account', 'login', 'nativeId'),
    addMember: call('give_role', 'nativeId', 'role'),
    removeMember: call('take_role', 'nativeId', 'role'),
    revokeSessions: call('end_sessions', 'login'),
  },
};

export const softDelete = { delete: { column: 'deleted', value: 'Y' } };

export interface Changes {
  readonly port?: number;
  readonly host?: string;
  readonly password?: string;
  readonly [option: string]: unknown;
}

export function mariadbConnector(server: MariaDb, changes: Changes = {}): Connector {
  const { port = server.port, host = server.host, password, ...options } = changes;
  const account = 'procedures' in options ? server.procedures : server.service;
  const url = `mariadb://${account.user}:${password ?? account.password}@${host}:${port}/erp`;
  const deps = { secrets: createSecretResolver({ ERP_URL: url }), logger: newContext().logger };
  return sqlFactory.create('x', { ...mariadbConfig, ...options }, deps);
}

/** A connector behind a proxy; `isWrite` says whose answer is lost. The bytes are readable: no TLS on loopback. */
export async function mariadbThroughProxy(
  server: MariaDb,
  isWrite: (text: string, mode: FaultMode) => boolean,
  options: Changes = {},
): Promise<{ connector: Connector; proxy: FaultProxy; fail: FaultProxy['fail']; close(): Promise<void> }> {
  const proxy = await startFaultProxy(server, (bytes, mode) => isWrite(bytes.toString('latin1'), mode));
  const connector = mariadbConnector(server, { ...options, port: proxy.port });
  const close = async (): Promise<void> => {
    await proxy.close();
    await connector.close();
  };
  return { connector, proxy, fail: proxy.fail, close };
}

export function mariadbSample(): ReturnType<Harness['sampleAccount']> {
  const login = `u_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes: Attributes = {
    displayName: 'Sample Person',
    mail: `${login}@example.test`,
    department: 'Research',
    costCenter: 4711,
  };
  return { objectClass: 'account', login, enabled: true, attributes };
}

/** One account as the administrator sees it; `enabled` undefined: flag and log-in differ. */
export async function peekMariaDb(server: MariaDb, where: string, value: string) {
  const [row] = await server.query(
    `select a.account_id, a.login, a.enabled, a.display_name, a.mail, a.department, a.cost_center, a.tags,
       p.User is not null as has_login, coalesce(json_value(p.Priv, '$.account_locked'), 0) as locked,
       (select group_concat(role) from erp.account_roles r where r.account_id = a.account_id) as roles
     from erp.accounts a left join mysql.global_priv p on p.User = a.login and p.Host = '127.0.0.1'
     where a.${where} = ? and a.deleted = 'N'`,
    [value],
  );
  return row === undefined
    ? undefined
    : { row, flag: row['enabled'] === 1, open: Number(row['has_login']) === 1 && Number(row['locked']) === 0 };
}

/** The kit's view of MariaDB; the oracle is the administrator's own connection. */
export function mariadbHarness(server: MariaDb, options: Changes = {}): Harness {
  const connector = mariadbConnector(server, options);
  const user = (login: unknown): string => `'${String(login)}'@'127.0.0.1'`;
  return {
    name: 'sql',
    connector,
    factory: sqlFactory,
    committed: committedCapabilities('sql', 'full'),
    wrongConfig: {
      config: {
        ...mariadbConfig,
        url: 'mariadb://plain',
        accounts: { ...mariadbConfig.accounts, key: 'id`; drop table x' },
        logins: { host: `'; drop` },
      },
      paths: ['url', 'accounts.key', 'logins.host'],
    },
    sampleAccount: mariadbSample,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد 🙂`,
      mail: `${'x'.repeat(200)}@example.test`,
      department: `\\'; drop table erp.accounts; --`,
      tags: ['a,b', 'c"d', "e'f", 'g\\h'],
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    multiAttribute: 'tags',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '999999999',
    group: 'ledger',
    peek: async (ref) => {
      const seen = await peekMariaDb(server, 'account_id', ref.nativeId);
      return seen === undefined ? undefined : peeked(seen);
    },
    countByLogin: async (login) => {
      const [row] = await server.query(
        `select (select count(*) from erp.accounts where login = ? and deleted = 'N') as held,
          (select count(*) from mysql.global_priv where User = ?) as users`,
        [login, login],
      );
      // A row without its log-in, or the reverse, is neither nothing nor one account.
      return row?.['held'] === row?.['users'] ? Number(row?.['held']) : -1;
    },
    snapshot: async () =>
      JSON.stringify([
        await server.query('select * from erp.accounts order by account_id'),
        await server.query('select * from erp.account_roles order by account_id, role'),
        await server.query('select Host, User, Priv from mysql.global_priv order by Host, User'),
      ]),
    plant: {
      attribute: async (ref, value) =>
        void (await server.query('update erp.accounts set department = ? where account_id = ?', [value, ref.nativeId])),
      enabled: async (ref, enabled) => {
        await server.query('update erp.accounts set enabled = ? where account_id = ?', [enabled, ref.nativeId]);
        const seen = await peekMariaDb(server, 'account_id', ref.nativeId);
        await server.query(`alter user ${user(seen?.row['login'])} account ${enabled ? 'unlock' : 'lock'}`);
      },
      membership: async (ref, held) => {
        await server.query('delete from erp.account_roles where account_id = ?', [ref.nativeId]);
        if (held) await server.query(`insert into erp.account_roles values (?, 'ledger')`, [ref.nativeId]);
      },
    },
    unreachable: () => mariadbConnector(server, { ...options, port: 9 }),
    wrongCredential: () => mariadbConnector(server, { ...options, password: 'wrong' }),
    // The last step of a create, or what comes after the call of a procedure.
    throughProxy: () => {
      // Statements on log-ins commit by themselves: the first one makes the row last, the last one opens the log-in. A prepared insert or call, which is
      // longer than any read, begins with its length, a number and 0x17.
      const isWrite = (text: string, mode: FaultMode): boolean =>
        (mode === 'reset-before' ? /create user|make_account|^[^]{4}\x17[^]{140}/ : /account unlock|\x03commit/).test(
          text,
        );
      return mariadbThroughProxy(server, isWrite, options);
    },
    openSession: async (login, secret) => {
      const client = await mysql.createConnection({
        host: server.host,
        port: server.port,
        user: login,
        password: secret.reveal(),
      });
      client.on('error', () => undefined);
      return {
        isOpen: () =>
          client.query('select 1').then(
            () => true,
            () => false,
          ),
        close: () => client.end().catch(() => undefined),
      };
    },
    stop: () => connector.close(),
  };
}

function peeked({ row, flag, open }: NonNullable<Awaited<ReturnType<typeof peekMariaDb>>>): Peeked {
  if (flag !== open) {
    throw new Error('flag and log-in differ');
  }
  const list = (value: unknown): unknown => (typeof value === 'string' ? JSON.parse(value) : value);
  const attributes = {
    displayName: row['display_name'],
    mail: row['mail'],
    department: row['department'],
    costCenter: row['cost_center'],
    tags: list(row['tags']),
  };
  const roles = row['roles'];
  return {
    login: String(row['login']),
    enabled: flag,
    attributes: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Attributes,
    entitlements: typeof roles === 'string' ? roles.split(',') : [],
  };
}
