import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { AccountRef, Attributes, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import { sqlFactory } from '../../src/connectors/sql/index.js';
import type { Erp } from '../../src/embedded/targets/erp.js';
import { ensureErp } from '../../src/embedded/targets/erp.js';
import { acquirePostgres } from '../support/stack.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

/** The ERP's password is the same for all test databases: its service role belongs to the whole server. */
const password = 'erp-service-of-the-tests';

/** The sample policy's configuration of the ERP, and a column with many values. */
export const erpConfig = {
  url: 'env:ERP_URL',
  accounts: { table: { schema: 'erp', name: 'accounts' }, key: 'account_id', login: 'login', enabled: 'enabled' },
  attributes: {
    externalId: { column: 'external_id', required: true },
    displayName: { column: 'display_name', required: true },
    mail: { column: 'mail' },
    department: { column: 'department' },
    costCenter: { column: 'cost_center' },
    tags: { column: 'tags', type: 'strings' },
  },
  logins: { grant: 'erp_user' },
  entitlements: {
    table: { schema: 'erp', name: 'account_roles' },
    account: 'account_id',
    role: 'role',
    catalog: { table: { schema: 'erp', name: 'roles' }, role: 'role' },
  },
  archive: { column: 'archived' },
} as const;

export interface TestErp extends Erp {
  readonly database: string;
  connector(url?: string, changes?: Readonly<Record<string, unknown>>): Connector;
  query(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  loginOf(ref: AccountRef): Promise<string>;
  /** Schemas, tables, views, sequences and functions of a log-in, by name, from each catalogue's own column. */
  ownedBy(login: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** A configuration beside the sample policy's, and what the ERP needs for it. */
export interface ErpVariant {
  readonly options: Readonly<Record<string, unknown>>;
  readonly schema: string;
}

/** The row stays: only rows that are not deleted are unique. */
export const softDeleteVariant: ErpVariant = {
  options: { delete: { column: 'deleted', value: true } },
  schema: `alter table erp.accounts add deleted boolean not null default false;
    alter table erp.accounts drop constraint accounts_login_key, drop constraint accounts_external_id_key;
    create unique index on erp.accounts (login) where not deleted;
    create unique index on erp.accounts (external_id) where not deleted`,
};

const call = (name: string, ...parameters: string[]) => ({ call: { schema: 'erp', name }, parameters });
const values = ['displayName', 'mail', 'department', 'costCenter', 'tags'];
const definer = 'language plpgsql security definer set search_path = pg_catalog as';

/** Every operation by a procedure of the owner; the service role may only read, and call. */
export const procedureVariant: ErpVariant = {
  options: {
    procedures: {
      create: call('make_account', 'login', 'enabled', 'externalId', ...values),
      update: call('change_account', 'previousLogin', 'login', 'nativeId', ...values),
      disable: call('set_open', 'login', 'nativeId'),
      enable: call('set_enabled', 'login', 'nativeId'),
      seal: call('seal_account', 'login', 'nativeId', 'verifier'),
      setSecret: call('set_password', 'login', 'verifier'),
      archive: call('archive_account', 'nativeId'),
      delete: call('remove_account', 'login', 'nativeId'),
      addMember: call('give_role', 'nativeId', 'role'),
      removeMember: call('take_role', 'nativeId', 'role'),
      revokeSessions: call('end_sessions', 'login'),
      transferOwned: call('hand_over', 'login', 'heir'),
    },
  },
  schema: `
    create procedure erp.make_account(l text, e boolean, x text, n text, m text, d text, c text, t text[]) ${definer} $$
      begin
        insert into erp.accounts (login, external_id, display_name, mail, department, cost_center, tags, enabled)
          values (l, x, n, m, d, c, t, e);
        execute format('create role %I %s', l, case when e then 'login' else 'nologin' end);
        execute format('grant erp_user to %I', l);
      end $$;
    create procedure erp.change_account(p text, l text, i bigint, n text, m text, d text, c text, t text[]) ${definer} $$
      begin
        update erp.accounts set login = l, display_name = n, mail = m, department = d, cost_center = c, tags = t
          where account_id = i;
        if p <> l then execute format('alter role %I rename to %I', p, l); end if;
      end $$;
    create procedure erp.set_open(l text, i bigint) ${definer} $$
      begin
        update erp.accounts set enabled = false where account_id = i; execute format('alter role %I nologin', l);
      end $$;
    create procedure erp.set_enabled(l text, i bigint) ${definer} $$
      begin
        update erp.accounts set enabled = true, archived = false where account_id = i;
        execute format('alter role %I login', l);
      end $$;
    create procedure erp.seal_account(l text, i bigint, v text) ${definer} $$
      begin
        update erp.accounts set enabled = false where account_id = i;
        execute format('alter role %I nologin password %L', l, v);
      end $$;
    create procedure erp.set_password(l text, v text) ${definer} $$
      begin execute format('alter role %I password %L', l, v); end $$;
    create procedure erp.archive_account(i bigint) ${definer} $$
      begin update erp.accounts set archived = true where account_id = i; end $$;
    create procedure erp.remove_account(l text, i bigint) ${definer} $$
      begin
        delete from erp.account_roles where account_id = i;
        delete from erp.accounts where account_id = i;
        execute format('drop role if exists %I', l);
      end $$;
    create procedure erp.give_role(i bigint, r text) ${definer} $$
      begin insert into erp.account_roles (account_id, role) values (i, r); end $$;
    create procedure erp.take_role(i bigint, r text) ${definer} $$
      begin delete from erp.account_roles where account_id = i and role = r; end $$;
    create procedure erp.end_sessions(l text) ${definer} $$
      begin perform pg_terminate_backend(pid, 2000) from pg_stat_activity where usename = l; end $$;
    create procedure erp.hand_over(l text, h text) ${definer} $$
      begin execute format('reassign owned by %I to %I', l, h); end $$;
    revoke insert, delete on erp.accounts, erp.account_roles from erp_service;
    revoke update on erp.account_roles from erp_service`,
};

/** An ERP in a database of its own on the test run's server. */
export async function startTestErp(variant?: ErpVariant): Promise<TestErp> {
  const { adminUrl } = await acquirePostgres();
  const unique = randomUUID().replaceAll('-', '');
  const database = `erp_${unique}`;
  const erp = await ensureErp({
    adminUrl,
    database,
    password,
    roles: ['ledger', 'orders'],
    canaryLogin: `canary_${unique}`,
  });
  const owner = new pg.Pool({ connectionString: erp.ownerUrl, max: 2 });
  owner.on('error', () => undefined);
  if (variant !== undefined) {
    await owner.query(variant.schema);
  }
  const query: TestErp['query'] = async (text, values = []) =>
    (await owner.query<Record<string, unknown>>(text, [...values])).rows;
  return {
    ...erp,
    database,
    connector: (url = erp.serviceUrl, changes = {}) =>
      sqlFactory.create(
        'x',
        { ...erpConfig, ...variant?.options, ...changes },
        { secrets: () => new Secret(url), logger: newContext().logger },
      ),
    query,
    loginOf: async (ref) => {
      const [row] = await query('select login from erp.accounts where account_id = $1', [ref.nativeId]);
      return String(row?.['login']);
    },
    ownedBy: async (login) => {
      const rows = await query(
        `select c.name from pg_roles r join lateral (
           select relname from pg_class where relowner = r.oid and relkind in ('r', 'v', 'S')
           union all select nspname from pg_namespace where nspowner = r.oid
           union all select proname from pg_proc where proowner = r.oid) c (name) on true
         where r.rolname = $1 order by 1`,
        [login],
      );
      return rows.map((row) => String(row['name']));
    },
    stop: () => owner.end(),
  };
}

/** The kit's view of the ERP; the oracle is the owner's own connection. */
export async function sqlHarness(variant?: ErpVariant): Promise<Harness> {
  const erp = await startTestErp(variant);
  const isSoft = variant === softDeleteVariant;
  const alive = isSoft ? 'not deleted' : 'true';
  const connector = erp.connector();
  const changeUrl = (change: (url: URL) => void): string => {
    const url = new URL(erp.serviceUrl);
    change(url);
    return url.href;
  };
  return {
    name: 'sql',
    connector,
    factory: sqlFactory,
    committed: committedCapabilities('sql', 'postgres'),
    wrongConfig: {
      config: {
        ...erpConfig,
        url: 'postgresql://plain',
        accounts: { ...erpConfig.accounts, key: 'id; drop table x' },
        adoptionKey: 'nope',
      },
      paths: ['url', 'accounts.key'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      mail: `${'x'.repeat(200)}@example.test`,
      department: `'; drop table erp.accounts; --`,
      tags: ['a,b', 'c"d', "e'f"],
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    multiAttribute: 'tags',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '999999999',
    group: 'ledger',
    peek: (ref) => peek(erp, ref.nativeId, alive),
    countByLogin: async (login) => {
      const [row] = await erp.query(
        `select (select count(*) from erp.accounts where login = $1 and ${alive})::int as rows,
          (select count(*) from pg_roles where rolname = $1)::int as roles`,
        [login],
      );
      // A row without its log-in, or the reverse, is neither nothing nor one account.
      return row?.['rows'] === row?.['roles'] ? Number(row?.['rows']) : -1;
    },
    snapshot: async () =>
      JSON.stringify([
        await erp.query('select * from erp.accounts order by account_id'),
        await erp.query('select * from erp.account_roles order by account_id, role'),
      ]),
    plant: {
      attribute: async (ref, value) =>
        void (await erp.query('update erp.accounts set department = $2 where account_id = $1', [ref.nativeId, value])),
      enabled: async (ref, enabled) => {
        const [row] = await erp.query('update erp.accounts set enabled = $2 where account_id = $1 returning login', [
          ref.nativeId,
          enabled,
        ]);
        await erp.query(`alter role ${pg.escapeIdentifier(String(row?.['login']))} ${enabled ? 'login' : 'nologin'}`);
      },
      membership: async (ref, held) => {
        await erp.query('delete from erp.account_roles where account_id = $1', [ref.nativeId]);
        if (held)
          await erp.query(`insert into erp.account_roles (account_id, role) values ($1, 'ledger')`, [ref.nativeId]);
      },
      owned: async (ref) => {
        const table = `erp.owned_${randomUUID().replaceAll('-', '')}`;
        const login = pg.escapeIdentifier(await erp.loginOf(ref));
        await erp.query(`create table ${table} (note text); alter table ${table} owner to ${login}`);
      },
    },
    peekBeyond: async (ref) => ({ owned: (await erp.ownedBy(await erp.loginOf(ref))).length }),
    unreachable: () => erp.connector(changeUrl((url) => (url.port = '9'))),
    wrongCredential: () => erp.connector(changeUrl((url) => (url.password = 'wrong'))),
    throughProxy: async () => {
      const target = new URL(erp.serviceUrl);
      const isCommit = (bytes: Buffer): boolean => bytes.includes('commit');
      const proxy = await startFaultProxy({ host: target.hostname, port: Number(target.port) }, isCommit);
      const proxied = erp.connector(changeUrl((url) => (url.port = String(proxy.port))));
      return behindProxy(proxy, proxied);
    },
    openSession: async (login, secret) => {
      const url = new URL(erp.serviceUrl);
      const client = new pg.Client({
        host: url.hostname,
        port: Number(url.port),
        database: erp.database,
        user: login,
        password: secret.reveal(),
      });
      client.on('error', () => undefined);
      await client.connect();
      return {
        isOpen: () =>
          client.query('select 1').then(
            () => true,
            () => false,
          ),
        close: () => client.end().catch(() => undefined),
      };
    },
    stop: async () => {
      await connector.close();
      await erp.stop();
    },
  };
}

function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u_${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes: Attributes = {
    displayName: 'Sample Person',
    mail: `${login}@example.test`,
    department: 'Research',
  };
  return { objectClass: 'account', login, enabled: true, attributes };
}

async function peek(erp: TestErp, nativeId: string, alive: string): Promise<Peeked | undefined> {
  const [row] = await erp.query(
    `select a.*, r.rolcanlogin, array(select role from erp.account_roles where account_id = a.account_id) as roles
     from erp.accounts a left join pg_roles r on r.rolname = a.login where account_id = $1 and ${alive}`,
    [nativeId],
  );
  if (row === undefined) {
    return undefined;
  }
  if (row['enabled'] !== row['rolcanlogin']) {
    throw new Error('flag and log-in differ');
  }
  const { display_name: displayName, mail, department, tags } = row as Record<string, string>;
  const attributes = { displayName, mail, department, tags: tags as unknown as string[] };
  return {
    login: String(row['login']),
    enabled: row['enabled'] === true,
    attributes: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Attributes,
    entitlements: row['roles'] as string[],
  };
}
