import pg from 'pg';
import { connect, databaseUrl, ensureDatabase } from './database.js';
import type { EffectQuery, TargetEffect } from './effects.js';

export const erpServiceRole = 'erp_service';
export const erpCanaryLogin = 'tenure_canary';

export interface ErpOptions {
  /** Superuser of the server. */
  readonly adminUrl: string;
  readonly database: string;
  /** Password of the service role that the connector signs in with. */
  readonly password: string;
  readonly roles: readonly string[];
  /** Log-ins are shared by all databases of a server, so tests give each ERP a canary of its own. */
  readonly canaryLogin?: string;
}

export interface Erp {
  /** For the connector: the service role. */
  readonly serviceUrl: string;
  /** For oracles of tests. */
  readonly ownerUrl: string;
}

const schema = `
create schema if not exists erp;
create schema if not exists erp_log;
create table if not exists erp.accounts (
  account_id bigint generated always as identity primary key,
  login text not null unique,
  external_id text not null unique,
  display_name text not null,
  mail text,
  employee_number text,
  department text,
  cost_center text,
  tags text[],
  enabled boolean not null,
  archived boolean not null default false,
  created_at timestamptz not null default now()
);
create table if not exists erp.roles (role text primary key);
create table if not exists erp.account_roles (
  account_id bigint not null references erp.accounts(account_id),
  role text not null references erp.roles(role),
  granted_at timestamptz not null default now(),
  primary key (account_id, role)
);
create table if not exists erp_log.effects (
  sequence bigint generated always as identity primary key,
  at timestamptz not null default now(),
  target_id text not null,
  operation text not null,
  changed boolean not null
);
create or replace function erp_log.account_effect() returns trigger language plpgsql security definer
set search_path = pg_catalog as $$
begin
  if tg_op = 'INSERT' then
    insert into erp_log.effects (target_id, operation, changed) values (new.account_id::text, 'create', true);
  elsif tg_op = 'DELETE' then
    insert into erp_log.effects (target_id, operation, changed) values (old.account_id::text, 'delete', true);
  else
    insert into erp_log.effects (target_id, operation, changed)
    values (new.account_id::text,
      case when old.archived is distinct from new.archived then 'archive'
           when old.enabled and not new.enabled then 'disable'
           when new.enabled and not old.enabled then 'enable' else 'update' end,
      new is distinct from old);
  end if;
  return null;
end $$;
create or replace function erp_log.role_effect() returns trigger language plpgsql security definer
set search_path = pg_catalog as $$
begin
  if tg_op = 'INSERT' then
    insert into erp_log.effects (target_id, operation, changed)
    values (new.account_id::text, 'member-add', true);
  else
    insert into erp_log.effects (target_id, operation, changed)
    values (old.account_id::text, 'member-remove', true);
  end if;
  return null;
end $$;
create or replace trigger account_effect after insert or update or delete on erp.accounts
  for each row execute function erp_log.account_effect();
create or replace trigger role_effect after insert or delete on erp.account_roles
  for each row execute function erp_log.role_effect();
`;

/**
 * The sandbox ERP: a database of its own, a service role that may manage accounts and their log-ins but not the
 * effect log, a catalogue of roles, and a canary account. Safe to repeat; data are kept.
 */
export async function ensureErp(options: ErpOptions): Promise<Erp> {
  const ownerUrl = await ensureDatabase(options.adminUrl, options.database, async (client) => {
    await client.query(schema);
    await ensureRoles(client, options);
    await client.query('insert into erp.roles (role) select unnest($1::text[]) on conflict do nothing', [
      options.roles,
    ]);
    await ensureCanary(client, options.canaryLogin ?? erpCanaryLogin);
  });
  const service = new URL(databaseUrl(options.adminUrl, options.database));
  service.username = erpServiceRole;
  service.password = encodeURIComponent(options.password);
  return { serviceUrl: service.href, ownerUrl };
}

async function ensureRoles(client: pg.Client, options: ErpOptions): Promise<void> {
  await createRoleIfMissing(client, 'erp_user', 'nologin');
  await createRoleIfMissing(client, erpServiceRole, 'login createrole');
  const service = pg.escapeIdentifier(erpServiceRole);
  await client.query(`alter role ${service} login createrole password ${pg.escapeLiteral(options.password)}`);
  await client.query(`grant erp_user to ${service} with admin option`);
  await client.query(`grant pg_signal_backend to ${service}`);
  await client.query(`
    grant usage on schema erp to ${service}, erp_user;
    grant select, insert, update, delete on erp.accounts, erp.account_roles to ${service};
    grant select on erp.roles to ${service};
    grant select on erp.roles to erp_user;
    revoke connect on database ${pg.escapeIdentifier(options.database)} from public;
    grant connect on database ${pg.escapeIdentifier(options.database)} to ${service}, erp_user`);
}

async function createRoleIfMissing(client: pg.Client, role: string, options: string): Promise<void> {
  const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [role]);
  if (rowCount === 0) {
    await client.query(`create role ${pg.escapeIdentifier(role)} ${options}`);
  }
}

/** The canary is made by the service role, so that the connector may set its secret. */
async function ensureCanary(client: pg.Client, login: string): Promise<void> {
  await client.query(`set role ${pg.escapeIdentifier(erpServiceRole)}`);
  await createRoleIfMissing(client, login, 'login');
  await client.query(`grant erp_user to ${pg.escapeIdentifier(login)}`);
  await client.query('reset role');
  await client.query(
    `insert into erp.accounts (login, external_id, display_name, enabled) values ($1, $1, 'Canary of the sign-in probe', true)
     on conflict do nothing`,
    [login],
  );
}

/** The effects counted at the ERP itself, oldest first. */
export async function readErpEffects(ownerUrl: string, query: EffectQuery = {}): Promise<readonly TargetEffect[]> {
  const client = await connect(ownerUrl);
  try {
    const { rows } = await client.query<{
      sequence: string;
      at: Date;
      target_id: string;
      operation: string;
      changed: boolean;
    }>(
      'select sequence, at, target_id, operation, changed from erp_log.effects where sequence > $1 order by sequence limit $2',
      [query.after ?? 0, query.limit ?? 10_000],
    );
    return rows.map((row) => ({
      sequence: Number(row.sequence),
      at: row.at.toISOString(),
      targetId: row.target_id,
      operation: row.operation,
      changed: row.changed,
    }));
  } finally {
    await client.end();
  }
}
