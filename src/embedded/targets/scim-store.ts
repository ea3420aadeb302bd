import { createHash, randomBytes, randomUUID, scryptSync, timingSafeEqual } from 'node:crypto';
import pg from 'pg';
import { ensureDatabase } from './database.js';
import type { EffectQuery, TargetEffect } from './effects.js';
import { Turns } from './turns.js';

/** A SCIM resource as JSON; the store looks at few of its fields. */
export type ScimJson = Record<string, unknown>;

export interface StoredUser {
  readonly id: string;
  readonly userName: string;
  readonly externalId: string | null;
  readonly active: boolean;
  readonly resource: ScimJson;
  readonly created: Date;
  readonly modified: Date;
}

export interface StoredGroup {
  readonly id: string;
  readonly displayName: string;
  readonly members: readonly string[];
  readonly created: Date;
  readonly modified: Date;
}

export const scimCanaryLogin = 'tenure-canary';

const schema = `
create table if not exists users (
  id text primary key,
  user_name text not null,
  external_id text,
  active boolean not null,
  password_hash text,
  resource jsonb not null,
  created timestamptz not null default now(),
  modified timestamptz not null default now()
);
create unique index if not exists users_user_name on users (lower(user_name));
create index if not exists users_external_id on users (external_id);
create table if not exists groups (
  id text primary key,
  display_name text not null unique,
  created timestamptz not null default now(),
  modified timestamptz not null default now()
);
create table if not exists members (
  group_id text not null references groups(id) on delete cascade,
  user_id text not null references users(id) on delete cascade,
  primary key (group_id, user_id)
);
create index if not exists members_user on members (user_id);
create table if not exists sessions (
  token_hash text primary key,
  user_id text not null references users(id) on delete cascade,
  created timestamptz not null default now()
);
create index if not exists sessions_user on sessions (user_id);
create table if not exists effects (
  sequence bigint generated always as identity primary key,
  at timestamptz not null default now(),
  target_id text not null,
  operation text not null,
  changed boolean not null
);
create table if not exists settings (name text primary key, value text not null);
`;

/** Thrown for a user name or group name that is taken. */
export class NameTakenError extends Error {}

/** The sandbox SCIM server's state. Every change and its row in the effect log are one transaction. */
export class ScimStore {
  readonly turns = new Turns();
  readonly #pool: pg.Pool;

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Opens the store in a database of its own, which is made when it is missing, with these groups and a canary user. */
  static async open(adminUrl: string, database: string, groups: readonly string[]): Promise<ScimStore> {
    const url = await ensureDatabase(adminUrl, database, async (client) => {
      await client.query(schema);
      for (const name of groups) {
        const values = [randomUUID(), name];
        await client.query('insert into groups (id, display_name) values ($1, $2) on conflict do nothing', values);
      }
      await client.query(
        `insert into users (id, user_name, external_id, active, resource) values ($1, $2, $2, true, '{}') on conflict do nothing`,
        [randomUUID(), scimCanaryLogin],
      );
    });
    const pool = new pg.Pool({ connectionString: url, max: 8, application_name: 'sandbox-scim' });
    // A connection that dies, idle or in use, tells its query; without listeners it would also end the process.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    return new ScimStore(pool);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      await client.query('begin');
      const result = await work(client);
      await client.query('commit');
      client.release();
      return result;
    } catch (error) {
      const broken = await client.query('rollback').then(
        () => false,
        () => true,
      );
      client.release(broken);
      if (error instanceof pg.DatabaseError && error.code === '23505') {
        throw new NameTakenError('the name is taken');
      }
      throw error;
    }
  }

  /** For calls that changed nothing: refused ones and those that asked for what was already so. */
  async recordNothing(targetId: string, operation: string): Promise<void> {
    await this.#pool.query('insert into effects (target_id, operation, changed) values ($1, $2, false)', [
      targetId,
      operation,
    ]);
  }

  async effects(query: EffectQuery): Promise<readonly TargetEffect[]> {
    const { rows } = await this.#pool.query<{
      sequence: string;
      at: Date;
      target_id: string;
      operation: string;
      changed: boolean;
    }>(
      'select sequence, at, target_id, operation, changed from effects where sequence > $1 order by sequence limit $2',
      [query.after ?? 0, query.limit ?? 10_000],
    );
    return rows.map((row) => ({
      sequence: Number(row.sequence),
      at: row.at.toISOString(),
      targetId: row.target_id,
      operation: row.operation,
      changed: row.changed,
    }));
  }

  /** Users that fit all given equalities; none given = all of them. In order of creation, which paging relies on. */
  async users(by: { id?: string; userName?: string; externalId?: string } = {}): Promise<readonly StoredUser[]> {
    const { rows } = await this.#pool.query<UserRow>(
      `${selectUser} where ($1::text is null or id = $1) and ($2::text is null or lower(user_name) = lower($2))
       and ($3::text is null or external_id = $3) order by created, id`,
      [by.id ?? null, by.userName ?? null, by.externalId ?? null],
    );
    return rows.map(userOf);
  }

  /** Creates or replaces a user. Throws NameTakenError; undefined = there is no such user. */
  async writeUser(
    id: string | undefined,
    user: { userName: string; externalId: string | undefined; active: boolean; resource: ScimJson },
    password: string | undefined,
  ): Promise<StoredUser | undefined> {
    const hash = password === undefined ? null : hashPassword(password);
    const cells = [user.userName, user.externalId ?? null, user.active, hash, JSON.stringify(user.resource)];
    return this.#transaction(async (client) => {
      if (id === undefined) {
        const { rows } = await client.query<UserRow>(
          `insert into users (id, user_name, external_id, active, password_hash, resource)
           values ($1, $2, $3, $4, $5, $6) returning ${userColumns}`,
          [randomUUID(), ...cells],
        );
        const created = firstUser(rows);
        await effect(client, created?.id ?? '', 'create', true);
        return created;
      }
      const before = firstUser((await client.query<UserRow>(`${selectUser} where id = $1 for update`, [id])).rows);
      if (before === undefined) {
        return undefined;
      }
      const { rows } = await client.query<UserRow>(
        `update users set user_name = $2, external_id = $3, active = $4, password_hash = coalesce($5, password_hash),
         resource = $6, modified = now() where id = $1 returning ${userColumns}`,
        [id, ...cells],
      );
      const after = firstUser(rows);
      for (const [operation, changed] of changesOf(before, after, hash !== null)) {
        await effect(client, id, operation, changed);
      }
      return after;
    });
  }

  async deleteUser(id: string): Promise<boolean> {
    return this.#transaction(async (client) => {
      const { rowCount } = await client.query('delete from users where id = $1', [id]);
      await effect(client, id, 'delete', (rowCount ?? 0) > 0);
      return (rowCount ?? 0) > 0;
    });
  }

  /** Groups that fit; members are read only when asked for. */
  async groups(
    by: { id?: string; displayName?: string; member?: string } = {},
    withMembers = true,
  ): Promise<readonly StoredGroup[]> {
    const { rows } = await this.#pool.query<GroupRow>(
      `select id, display_name, created, modified, case when $4 then
         array(select user_id from members m where m.group_id = g.id order by user_id) else '{}' end as members
       from groups g where ($1::text is null or id = $1) and ($2::text is null or display_name = $2)
       and ($3::text is null or exists (select 1 from members m where m.group_id = g.id and m.user_id = $3))
       order by created, id`,
      [by.id ?? null, by.displayName ?? null, by.member ?? null, withMembers],
    );
    return rows.map(groupOf);
  }

  /** Creates a group or gives it exactly these members; members that are no users are refused by the database. */
  async writeGroup(
    id: string | undefined,
    displayName: string,
    members: readonly string[],
  ): Promise<StoredGroup | undefined> {
    return this.#transaction(async (client) => {
      const groupId = id ?? randomUUID();
      const text =
        id === undefined
          ? 'insert into groups (id, display_name) values ($1, $2) returning id'
          : 'update groups set display_name = $2, modified = now() where id = $1 returning id';
      const { rowCount } = await client.query(text, [groupId, displayName]);
      if (rowCount === 0) {
        return undefined;
      }
      if (id === undefined) {
        await effect(client, groupId, 'group-create', true);
      }
      await changeMembers(client, groupId, members);
      const { rows } = await client.query<GroupRow>(
        `select id, display_name, created, modified, array(select user_id from members where group_id = $1) as members
         from groups where id = $1`,
        [groupId],
      );
      return rows[0] === undefined ? undefined : groupOf(rows[0]);
    });
  }

  /** Adds and removes single members; false = there is no such group. */
  async changeMembers(
    groupId: string,
    changes: readonly { readonly add: boolean; readonly members: readonly string[] }[],
  ): Promise<boolean> {
    return this.#transaction(async (client) => {
      const { rowCount } = await client.query('select 1 from groups where id = $1 for share', [groupId]);
      for (const { add, members } of rowCount === 0 ? [] : changes) {
        const text = add
          ? `insert into members (group_id, user_id) select $1, id from users where id = any($2::text[])
             on conflict do nothing returning user_id`
          : 'delete from members where group_id = $1 and user_id = any($2::text[]) returning user_id';
        const changed = (await client.query<{ user_id: string }>(text, [groupId, members])).rows.map(
          (row) => row.user_id,
        );
        for (const member of members) {
          await effect(client, member, add ? 'member-add' : 'member-remove', changed.includes(member));
        }
      }
      return rowCount !== 0;
    });
  }

  async deleteGroup(id: string): Promise<boolean> {
    return this.#transaction(async (client) => {
      const { rowCount } = await client.query('delete from groups where id = $1', [id]);
      await effect(client, id, 'group-delete', (rowCount ?? 0) > 0);
      return (rowCount ?? 0) > 0;
    });
  }

  async setPassword(id: string, password: string): Promise<boolean> {
    return this.#transaction(async (client) => {
      const values = [id, hashPassword(password)];
      const { rowCount } = await client.query('update users set password_hash = $2 where id = $1', values);
      await effect(client, id, 'password', (rowCount ?? 0) > 0);
      return (rowCount ?? 0) > 0;
    });
  }

  /** Checks the password first and the right to sign in after it, like a directory does. */
  async signIn(
    login: string,
    password: string,
    ignoreActive: boolean,
  ): Promise<{ readonly token: string } | { readonly error: 'disabled' | 'bad-credentials' }> {
    const { rows } = await this.#pool.query<{ id: string; active: boolean; password_hash: string | null }>(
      'select id, active, password_hash from users where lower(user_name) = lower($1)',
      [login],
    );
    const user = rows[0];
    if (user?.password_hash === undefined || user.password_hash === null || !fits(password, user.password_hash)) {
      return { error: 'bad-credentials' };
    }
    if (!user.active && !ignoreActive) {
      return { error: 'disabled' };
    }
    const token = randomBytes(24).toString('base64url');
    await this.#pool.query('insert into sessions (token_hash, user_id) values ($1, $2)', [hashToken(token), user.id]);
    return { token };
  }

  /** The user of an open session. Disabling a user does not end sessions here, as in many real systems. */
  async sessionUser(token: string): Promise<{ readonly id: string; readonly userName: string } | undefined> {
    const { rows } = await this.#pool.query<{ id: string; user_name: string }>(
      'select u.id, u.user_name from sessions s join users u on u.id = s.user_id where s.token_hash = $1',
      [hashToken(token)],
    );
    return rows[0] === undefined ? undefined : { id: rows[0].id, userName: rows[0].user_name };
  }

  async signOut(token: string): Promise<void> {
    await this.#pool.query('delete from sessions where token_hash = $1', [hashToken(token)]);
  }

  async countSessions(userId: string): Promise<number> {
    const { rows } = await this.#pool.query<{ count: string }>('select count(*) from sessions where user_id = $1', [
      userId,
    ]);
    return Number(rows[0]?.count ?? 0);
  }

  async endSessions(userId: string): Promise<number> {
    return this.#transaction(async (client) => {
      const { rowCount } = await client.query('delete from sessions where user_id = $1', [userId]);
      await effect(client, userId, 'sessions-end', (rowCount ?? 0) > 0);
      return rowCount ?? 0;
    });
  }

  async setting(name: string): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ value: string }>('select value from settings where name = $1', [name]);
    return rows[0]?.value;
  }

  async saveSetting(name: string, value: string): Promise<void> {
    await this.#pool.query(
      'insert into settings (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value',
      [name, value],
    );
  }
}

interface UserRow {
  readonly id: string;
  readonly user_name: string;
  readonly external_id: string | null;
  readonly active: boolean;
  readonly resource: ScimJson;
  readonly created: Date;
  readonly modified: Date;
}

interface GroupRow {
  readonly id: string;
  readonly display_name: string;
  readonly members: string[];
  readonly created: Date;
  readonly modified: Date;
}

const userColumns = 'id, user_name, external_id, active, resource, created, modified';
const selectUser = `select ${userColumns} from users`;

function userOf(row: UserRow): StoredUser {
  const { user_name: userName, external_id: externalId, ...rest } = row;
  return { ...rest, userName, externalId };
}

function firstUser(rows: readonly UserRow[]): StoredUser | undefined {
  return rows[0] === undefined ? undefined : userOf(rows[0]);
}

function groupOf(row: GroupRow): StoredGroup {
  const { display_name: displayName, ...rest } = row;
  return { ...rest, displayName };
}

async function effect(client: pg.PoolClient, targetId: string, operation: string, changed: boolean): Promise<void> {
  const values = [targetId, operation, changed];
  await client.query('insert into effects (target_id, operation, changed) values ($1, $2, $3)', values);
}

async function changeMembers(client: pg.PoolClient, groupId: string, members: readonly string[]): Promise<void> {
  const removed = await client.query<{ user_id: string }>(
    'delete from members where group_id = $1 and user_id <> all($2::text[]) returning user_id',
    [groupId, members],
  );
  const added = await client.query<{ user_id: string }>(
    `insert into members (group_id, user_id) select $1, id from users where id = any($2::text[])
     on conflict do nothing returning user_id`,
    [groupId, members],
  );
  for (const row of removed.rows) {
    await effect(client, row.user_id, 'member-remove', true);
  }
  for (const row of added.rows) {
    await effect(client, row.user_id, 'member-add', true);
  }
}

function changesOf(before: StoredUser, after: StoredUser | undefined, password: boolean): [string, boolean][] {
  const changes: [string, boolean][] = [];
  if (before.active !== after?.active) {
    changes.push([after?.active === true ? 'enable' : 'disable', true]);
  }
  if (password) {
    changes.push(['password', true]);
  }
  const content = (user: StoredUser | undefined): string =>
    JSON.stringify([user?.userName, user?.externalId, sortKeys(user?.resource)]);
  if (content(before) !== content(after)) {
    changes.push(['update', true]);
  }
  return changes.length > 0 ? changes : [['update', false]];
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(sortKeys);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, item]) => [key, sortKeys(item)]),
  );
}

function hashPassword(password: string): string {
  const salt = randomBytes(12);
  return `${salt.toString('base64url')}.${derive(password, salt).toString('base64url')}`;
}

function fits(password: string, stored: string): boolean {
  const [salt = '', hash = ''] = stored.split('.');
  return timingSafeEqual(derive(password, Buffer.from(salt, 'base64url')), Buffer.from(hash, 'base64url'));
}

// Cheap on purpose: this is a sandbox whose sign-ins are probes.
function derive(password: string, salt: Buffer): Buffer {
  return scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 });
}

function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
