/** MariaDB (Debian) with an ERP of its own: rows, roles, log-ins, foreign keys, and effects counted by triggers. */
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { freePort } from '../../src/embedded/processes.js';
import type { Certificates } from './debian.js';
import { makeCertificates, reasonToSkip, run, startDaemon, systemEnvironment } from './debian.js';

const host = '127.0.0.1';
const rootPassword = 'root-secret-of-the-tests';
export const mariadbPackages = ['mariadb-server', 'mariadb-client', 'openssl'];

/** What Tenure's account may do: exactly the grants of docs/connectors/sql.md. */
export const serviceGrants = [
  `grant select, insert, update, delete on erp.accounts to 'tenure'@'${host}'`,
  `grant select, insert, delete on erp.account_roles to 'tenure'@'${host}'`,
  `grant select on erp.roles to 'tenure'@'${host}'`,
  `grant select on erp_admin.logins to 'tenure'@'${host}'`,
  `grant create user, process, connection admin on *.* to 'tenure'@'${host}'`,
  `grant erp_user to 'tenure'@'${host}' with admin option`,
];

/** The same for an application that is changed by procedures alone. */
export const procedureGrants = [
  `grant select on erp.* to 'tenure_calls'@'${host}'`,
  `grant select on erp_admin.logins to 'tenure_calls'@'${host}'`,
  `grant execute on erp_admin.* to 'tenure_calls'@'${host}'`,
  `grant process on *.* to 'tenure_calls'@'${host}'`,
];

export interface MariaDb {
  readonly port: number;
  readonly host: string;
  readonly certificates: Certificates;
  readonly service: { readonly user: string; readonly password: string };
  readonly procedures: { readonly user: string; readonly password: string };
  /** The oracle: the administrator's own connection. */
  query(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  /** A connection of the administrator, to hold locks with. */
  connection(): Promise<mysql.Connection>;
  stop(): Promise<void>;
}

/** Why MariaDB cannot be had here, or undefined when it can. */
export function reasonToSkipMariaDb(): Promise<string | undefined> {
  const files = ['/usr/sbin/mariadbd', '/usr/bin/mariadb-install-db', '/usr/bin/openssl'];
  return reasonToSkip('mariadb', files, mariadbPackages);
}

/** Starts a server on a fresh folder; as root it runs as the user `mysql`. */
export async function startMariaDb(): Promise<MariaDb> {
  const folder = await mkdtemp(join(tmpdir(), 'tenure-mariadb-'));
  const certificates = await makeCertificates(join(folder, 'tls'));
  const data = join(folder, 'data');
  await mkdir(data);
  const isRoot = process.getuid?.() === 0;
  const asUser = `--user=${isRoot ? 'mysql' : userInfo().username}`;
  if (isRoot) {
    const id = async (flag: string): Promise<number> => Number((await run('id', [flag, 'mysql'])).stdout);
    const [uid, gid] = [await id('-u'), await id('-g')];
    for (const path of [folder, data, join(folder, 'tls'), certificates.key]) {
      await chown(path, uid, gid);
    }
  }
  await chmod(folder, 0o755);
  const common = ['--no-defaults', asUser, `--datadir=${data}`];
  const install = [...common, '--auth-root-authentication-method=socket', '--skip-test-db'];
  await run('mariadb-install-db', install, { env: systemEnvironment, timeout: 120_000 });
  // An init file holds one statement per line.
  const init = [
    `create user 'root'@'${host}' identified by '${rootPassword}'`,
    `grant all on *.* to 'root'@'${host}' with grant option`,
  ];
  await writeFile(join(folder, 'init.sql'), init.map((line) => `${line};\n`).join(''), { mode: 0o644 });
  const port = await freePort();
  const root = { host, port, user: 'root', password: rootPassword, supportBigNumbers: true, bigNumberStrings: true };
  const connect = () => mysql.createConnection({ ...root, multipleStatements: false });
  const daemon = await startDaemon(
    'mariadbd',
    [
      ...common,
      `--bind-address=${host}`,
      `--port=${port}`,
      `--socket=${join(folder, 'data', 's')}`,
      `--pid-file=${join(folder, 'data', 'pid')}`,
      `--init-file=${join(folder, 'init.sql')}`,
      '--innodb-buffer-pool-size=64M',
      '--innodb-flush-log-at-trx-commit=0',
      '--performance-schema=OFF',
      '--skip-name-resolve',
      `--ssl-ca=${certificates.ca}`,
      `--ssl-cert=${certificates.cert}`,
      `--ssl-key=${certificates.key}`,
    ],
    join(folder, 'mariadbd.log'),
    () =>
      connect().then(
        (connection) => connection.end().then(() => true),
        () => false,
      ),
  );
  const pool = mysql.createPool({ ...root, connectionLimit: 2 });
  const query: MariaDb['query'] = async (text, values = []) => {
    const [rows] = await pool.query(text, [...values]);
    return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
  };
  const stop = async (): Promise<void> => {
    await pool.end();
    await daemon.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const accounts = {
    service: { user: 'tenure', password: 'service-secret-of-the-tests' },
    procedures: { user: 'tenure_calls', password: 'calls-secret-of-the-tests' },
  };
  try {
    for (const text of [...schema, ...procedures]) await query(text);
    for (const { user, password } of Object.values(accounts)) {
      await query(`create user '${user}'@'${host}' identified by '${password}'`);
    }
    for (const text of [...serviceGrants, ...procedureGrants]) await query(text);
  } catch (error) {
    await stop();
    throw error;
  }
  return { host, port, certificates, ...accounts, query, connection: connect, stop };
}

const effect = (id: string, operation: string): string =>
  `insert into erp_log.effects (target_id, operation) values (${id}, ${operation})`;

const schema = [
  'create database erp character set utf8mb4',
  'create database erp_log',
  'create database erp_admin character set utf8mb4',
  'create role erp_user',
  `create table erp.accounts (
    account_id bigint auto_increment primary key, login varchar(80) not null, external_id varchar(80) not null,
    display_name varchar(200) not null, mail varchar(320), department varchar(100), cost_center int, tags json,
    enabled boolean not null, archived boolean not null default false, deleted char(1) not null default 'N',
    alive boolean as (if(deleted = 'N', 1, null)) persistent, created_at timestamp default current_timestamp,
    unique key (login, alive), unique key (external_id, alive))`,
  'create table erp.roles (role varchar(40) primary key)',
  `create table erp.account_roles (account_id bigint not null, role varchar(40) not null,
    primary key (account_id, role), foreign key (account_id) references erp.accounts (account_id),
    foreign key (role) references erp.roles (role))`,
  `insert into erp.roles values ('ledger'), ('orders')`,
  'grant select on erp.roles to erp_user',
  `create table erp_log.effects (sequence bigint auto_increment primary key, target_id varchar(40), operation varchar(40))`,
  `create trigger erp.made after insert on erp.accounts for each row ${effect('new.account_id', `'create'`)}`,
  `create trigger erp.gone after delete on erp.accounts for each row ${effect('old.account_id', `'delete'`)}`,
  `create trigger erp.changed after update on erp.accounts for each row ${effect(
    'new.account_id',
    `if(old.enabled <> new.enabled, if(new.enabled, 'enable', 'disable'), 'update')`,
  )}`,
  `create definer = current_user sql security definer view erp_admin.logins as
    select User as login, coalesce(json_value(Priv, '$.account_locked'), 0) = 0 as can_login
    from mysql.global_priv where Host = '${host}'`,
];

const named = `concat(quote(p_login), '@''${host}''')`;
const alter = (change: string): string => `execute immediate concat('alter user ', ${named}, ${change})`;
const procedures = [
  `create procedure erp_admin.make_account(p_login varchar(80), p_enabled boolean, p_verifier varchar(80),
    p_external varchar(80), p_name varchar(200), p_mail varchar(320), p_department varchar(100), p_cost int, p_tags text)
  begin
    insert into erp.accounts (login, external_id, display_name, mail, department, cost_center, tags, enabled)
      values (p_login, p_external, p_name, p_mail, p_department, p_cost, p_tags, p_enabled);
    execute immediate concat('create user ', ${named}, ' identified via mysql_native_password using ', quote(p_verifier), ' account lock');
    execute immediate concat('grant erp_user to ', ${named});
    if p_enabled then ${alter(`' account unlock'`)}; end if;
  end`,
  `create procedure erp_admin.change_account(p_previous varchar(80), p_login varchar(80), p_id bigint,
    p_name varchar(200), p_mail varchar(320), p_department varchar(100), p_cost int, p_tags text)
  begin
    update erp.accounts set login = p_login, display_name = p_name, mail = p_mail, department = p_department,
      cost_center = p_cost, tags = p_tags where account_id = p_id;
    if p_previous <> p_login then
      execute immediate concat('rename user ', quote(p_previous), '@''${host}'' to ', ${named});
    end if;
  end`,
  `create procedure erp_admin.close_account(p_login varchar(80), p_id bigint)
  begin ${alter(`' account lock'`)}; update erp.accounts set enabled = false where account_id = p_id; end`,
  `create procedure erp_admin.open_account(p_login varchar(80), p_id bigint)
  begin update erp.accounts set enabled = true, archived = false where account_id = p_id; ${alter(`' account unlock'`)}; end`,
  `create procedure erp_admin.seal_account(p_login varchar(80), p_id bigint, p_verifier varchar(80))
  begin
    ${alter(`' identified via mysql_native_password using ', quote(p_verifier), ' account lock'`)};
    update erp.accounts set enabled = false where account_id = p_id;
  end`,
  `create procedure erp_admin.set_password(p_login varchar(80), p_verifier varchar(80))
  begin ${alter(`' identified via mysql_native_password using ', quote(p_verifier)`)}; end`,
  `create procedure erp_admin.archive_account(p_id bigint)
  begin update erp.accounts set archived = true where account_id = p_id; end`,
  `create procedure erp_admin.remove_account(p_login varchar(80), p_id bigint)
  begin
    execute immediate concat('drop user if exists ', ${named});
    delete from erp.account_roles where account_id = p_id;
    delete from erp.accounts where account_id = p_id;
  end`,
  `create procedure erp_admin.give_role(p_id bigint, p_role varchar(40))
  begin insert into erp.account_roles values (p_id, p_role); end`,
  `create procedure erp_admin.take_role(p_id bigint, p_role varchar(40))
  begin delete from erp.account_roles where account_id = p_id and role = p_role; end`,
  `create procedure erp_admin.end_sessions(p_login varchar(80))
  begin execute immediate concat('kill hard user ', ${named}); end`,
];
