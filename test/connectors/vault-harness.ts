import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { AccountRef, Attributes, Connector } from '../../src/connectors/connector.js';
import { createSecretResolver } from '../../src/connectors/secret.js';
import { vaultFactory } from '../../src/connectors/vault/index.js';
import { acquirePostgres } from '../support/stack.js';
import type { OpenLdap } from '../systems/openldap.js';
import type { Vault, VaultAnswer } from '../systems/vault.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

export const library = 'ldap/library/firewall';
export const serviceAccounts = ['svc-1', 'svc-2', 'svc-3', 'svc-4'];

export interface VaultWorld {
  readonly vault: Vault;
  /** A connector with the example's configuration, changed; `token` is the service account's unless given. */
  connector(changes?: Readonly<Record<string, unknown>>, token?: string): Connector;
  readonly serviceToken: string;
  readonly accessor: string;
  readonly database: pg.Pool;
  readonly ldap: OpenLdap | undefined;
  /** As the person: a sign-in with a password that root sets before it. */
  signIn(login: string): Promise<string>;
  /** A dynamic database account from the person's own role. */
  credentials(login: string, token: string): Promise<{ readonly user: string; readonly password: string }>;
  /** An open session with it. */
  openDatabase(user: string, password: string): Promise<pg.Client>;
  /** Borrows a service account of the library. */
  checkOut(token: string): Promise<{ readonly name: string; readonly password: string }>;
  /** Accessors of the entity's tokens, and service accounts that it borrowed, as root sees them. */
  tokens(entityId: string): Promise<readonly string[]>;
  borrowed(entityId: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** The policy that docs/connectors/vault.md prints is the one that the tests run with. */
export async function documentedPolicy(): Promise<string> {
  const page = await readFile(new URL('../../docs/connectors/vault.md', import.meta.url), 'utf8');
  const [, policy] = /```hcl\n([\s\S]*?)```/.exec(page) ?? [];
  if (policy === undefined) throw new Error('the page holds no policy');
  return policy;
}

const personPolicy = `
path "database/creds/*" { capabilities = ["read"] }
path "ldap/library/+/check-out" { capabilities = ["create", "update"] }
`;

/** A Vault with userpass, a database engine on the run's Postgres, a library on slapd where there is one, and Tenure's service account. */
export async function startVaultWorld(vault: Vault, ldap?: OpenLdap): Promise<VaultWorld> {
  const { set, call } = vault;
  await set('POST', 'sys/auth/userpass', { type: 'userpass' });
  await set('PUT', 'sys/policies/acl/tenure', { policy: await documentedPolicy() });
  await set('PUT', 'sys/policies/acl/person', { policy: personPolicy });
  await set('POST', 'identity/group', { name: 'staff', type: 'internal' });
  const url = new URL((await acquirePostgres()).adminUrl);
  await set('POST', 'sys/mounts/database', { type: 'database' });
  await set('POST', 'database/config/pg', {
    plugin_name: 'postgresql-database-plugin',
    allowed_roles: '*',
    connection_url: `postgresql://{{username}}:{{password}}@${url.host}${url.pathname}?sslmode=disable`,
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  });
  if (ldap !== undefined) await setUpLibrary(vault, ldap);
  const made = await set('POST', 'auth/token/create', { policies: ['tenure'], no_parent: true, ttl: '2h' });
  const serviceToken = String(made.auth['client_token']);
  const accessor = String((await set('GET', 'sys/auth/userpass')).data['accessor']);
  const database = new pg.Pool({ connectionString: url.href, max: 2 });
  database.on('error', () => undefined);
  const scanned = (answer: VaultAnswer): string[] => (answer.data['keys'] ?? []) as string[];
  return {
    vault,
    serviceToken,
    accessor,
    database,
    ldap,
    connector: (changes = {}, token = serviceToken) => {
      const secrets = createSecretResolver({ VAULT_SERVICE_TOKEN: token });
      return vaultFactory.create(
        'x',
        { ...vaultConfig(vault, ldap), ...changes },
        { secrets, logger: newContext().logger },
      );
    },
    signIn: async (login) => {
      const password = `planted-${randomUUID()}`;
      await set('POST', `auth/userpass/users/${login}`, { password, token_policies: ['person'] });
      const answer = await call('POST', `auth/userpass/login/${login}`, { password }, '');
      return String(answer.auth['client_token']);
    },
    credentials: async (login, token) => {
      await set('POST', `database/roles/${login}`, databaseRole);
      const { data } = await call('GET', `database/creds/${login}`, undefined, token);
      return { user: String(data['username']), password: String(data['password']) };
    },
    openDatabase: async (user, password) => {
      const { hostname: host, port, pathname } = url;
      const client = new pg.Client({ host, port: Number(port), database: pathname.slice(1), user, password });
      client.on('error', () => undefined);
      await client.connect();
      return client;
    },
    checkOut: async (token) => {
      const { data, status } = await call('POST', `${library}/check-out`, { ttl: '1h' }, token);
      if (status !== 200) throw new Error(`check-out: ${status}`);
      return { name: String(data['service_account_name']), password: String(data['password']) };
    },
    tokens: async (entityId) => {
      const owned: string[] = [];
      for (const one of scanned(await call('GET', 'auth/token/accessors?list=true'))) {
        const { data } = await call('POST', 'auth/token/lookup-accessor', { accessor: one });
        if (data['entity_id'] === entityId) owned.push(one);
      }
      return owned;
    },
    borrowed: async (entityId) => {
      if (ldap === undefined) return [];
      const { data } = await set('GET', `${library}/status`);
      return Object.entries(data as Record<string, Record<string, unknown>>)
        .filter(([, status]) => status['borrower_entity_id'] === entityId)
        .map(([name]) => name);
    },
    stop: async () => {
      await database.end();
      await vault.stop();
      await ldap?.stop();
    },
  };
}

const databaseRole = {
  db_name: 'pg',
  creation_statements: [`create role "{{name}}" login password '{{password}}' valid until '{{expiration}}'`],
  revocation_statements: [
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = '{{name}}'`,
    'drop role if exists "{{name}}"',
  ],
  default_ttl: '1h',
  max_ttl: '2h',
};

async function setUpLibrary({ set }: Vault, ldap: OpenLdap): Promise<void> {
  for (const name of serviceAccounts) {
    await ldap.apply(
      `dn: uid=${name},ou=people,${ldap.suffix}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: ${name}\ncn: ${name}\nsn: Service\nuserPassword: first-secret-of-${name}\n`,
    );
  }
  await set('POST', 'sys/mounts/ldap', { type: 'openldap' });
  await set('POST', 'ldap/config', {
    binddn: ldap.service.dn,
    bindpass: ldap.service.password,
    url: ldap.ldapsUrl,
    certificate: await readFile(ldap.certificates.ca, 'utf8'),
    userdn: `ou=people,${ldap.suffix}`,
    userattr: 'uid',
    schema: 'openldap',
  });
  await set('POST', library, { service_account_names: serviceAccounts, ttl: '1h', max_ttl: '2h' });
}

/** The example of docs/connectors/vault.md, on the test's server. */
export function vaultConfig(vault: Vault, ldap: OpenLdap | undefined) {
  return {
    address: vault.address,
    auth: { token: 'env:VAULT_SERVICE_TOKEN' },
    tls: { ca: `file:${vault.certificates.ca}` },
    userpass: { mount: 'userpass' },
    attributes: ['displayName', 'department'],
    privileges: { leases: ['database/creds/{login}'], libraries: ldap === undefined ? [] : [library] },
  };
}

/** The kit's view of Vault; the oracle is a client of its own with the root token, and Postgres itself. */
export function vaultHarness(world: VaultWorld): Harness {
  const { call, set } = world.vault;
  const connector = world.connector();
  const planted = new Map<string, string[]>();
  const entity = async (id: string): Promise<VaultAnswer> => call('GET', `identity/entity/id/${id}`);
  const staff = async () => {
    const { data } = await set('POST', 'identity/lookup/group', { name: 'staff' });
    return { id: String(data['id']), members: (data['member_entity_ids'] ?? []) as string[] };
  };
  return {
    name: 'vault',
    connector,
    factory: vaultFactory,
    committed: committedCapabilities('vault', 'full'),
    wrongConfig: {
      config: {
        address: 'not a url',
        auth: { token: 'plain' },
        attributes: ['policies'],
        privileges: { leases: ['database/creds/shared'] },
      },
      paths: ['address', 'auth', 'attributes', 'privileges.leases'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      department: 'long '.repeat(60).trim(),
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    unknownAttribute: 'favouriteColour',
    absentNativeId: '00000000-0000-4000-8000-000000000000',
    group: 'staff',
    createsInSteps: true,
    peek: async (ref) => peeked(await entity(ref.nativeId), world.accessor, (await staff()).members),
    countByLogin: async (login) => {
      const list = await call('GET', 'identity/entity/id?list=true');
      const entries = Object.values((list.data['key_info'] ?? {}) as Record<string, EntityInfo>);
      const found = entries.filter((one) => one.name === login || one.aliases?.some(({ name }) => name === login));
      const user = await call('GET', `auth/userpass/users/${encodeURIComponent(login)}`);
      // A user whose entity is missing is neither nothing nor an account.
      return found.length === 0 && user.status === 200 ? -1 : found.length;
    },
    snapshot: async () => {
      const { data } = await call('GET', 'identity/entity/id?list=true');
      const ids = (data['keys'] ?? []) as string[];
      const users = (await call('GET', 'auth/userpass/users?list=true')).data;
      return JSON.stringify([await Promise.all(ids.map(async (id) => (await entity(id)).data)), users, await staff()]);
    },
    plant: {
      attribute: async (ref, value) => {
        const { metadata } = (await entity(ref.nativeId)).data as { metadata: Attributes };
        await set('POST', `identity/entity/id/${ref.nativeId}`, { metadata: { ...metadata, department: value } });
      },
      enabled: async (ref, enabled) =>
        void (await set('POST', `identity/entity/id/${ref.nativeId}`, { disabled: !enabled })),
      membership: async (ref, held) => {
        const { id, members } = await staff();
        const others = members.filter((member) => member !== ref.nativeId);
        await set('POST', `identity/group/id/${id}`, { member_entity_ids: held ? [...others, ref.nativeId] : others });
      },
      privilege: async (ref) => {
        const login = await loginOf(entity, ref);
        const token = await world.signIn(login);
        const { user } = await world.credentials(login, token);
        planted.set(ref.nativeId, [...(planted.get(ref.nativeId) ?? []), user]);
        if (world.ldap !== undefined) await world.checkOut(token);
      },
    },
    peekBeyond: async (ref) => {
      const roles = await world.database.query('select 1 from pg_roles where rolname = any($1)', [
        planted.get(ref.nativeId) ?? [],
      ]);
      const tokens = await world.tokens(ref.nativeId);
      return { privileges: tokens.length + (roles.rowCount ?? 0) + (await world.borrowed(ref.nativeId)).length };
    },
    unreachable: () => world.connector({ address: 'https://127.0.0.1:9' }),
    wrongCredential: () => world.connector({}, 'hvs.wrong'),
    throughProxy: async () => {
      const lookup = /^(POST|PUT|DELETE) \/v1\/(?!identity\/lookup|auth\/token\/lookup)/;
      const target = { host: '127.0.0.1', port: world.vault.plainPort };
      const proxy = await startFaultProxy(target, (bytes) => lookup.test(bytes.toString('latin1', 0, 60)));
      const proxied = world.connector({ address: `http://127.0.0.1:${proxy.port}`, tls: undefined });
      return behindProxy(proxy, proxied);
    },
    openSession: async (login, secret) => {
      const answer = await call('POST', `auth/userpass/login/${login}`, { password: secret.reveal() }, '');
      const token = String(answer.auth['client_token']);
      return {
        isOpen: async () => (await call('GET', 'auth/token/lookup-self', undefined, token)).status === 200,
        close: async () => void (await call('POST', 'auth/token/revoke-self', {}, token)),
      };
    },
    stop: async () => {
      await connector.close();
      await world.stop();
    },
  };
}

interface EntityInfo {
  readonly name: string;
  readonly aliases: readonly { readonly name: string }[] | null;
}

export function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u-${randomUUID().slice(0, 13)}`;
  return {
    objectClass: 'account',
    login,
    enabled: true,
    attributes: { displayName: 'Sample Person', department: 'Research' },
  };
}

async function loginOf(entity: (id: string) => Promise<VaultAnswer>, ref: AccountRef): Promise<string> {
  return String((await entity(ref.nativeId)).data['name']);
}

function peeked({ status, data }: VaultAnswer, accessor: string, staff: readonly string[]): Peeked | undefined {
  if (status === 404) return undefined;
  const aliases = (data['aliases'] ?? []) as { readonly name: string; readonly mount_accessor: string }[];
  return {
    login: aliases.find((alias) => alias.mount_accessor === accessor)?.name ?? String(data['name']),
    enabled: data['disabled'] === false,
    attributes: (data['metadata'] ?? {}) as Attributes,
    entitlements: staff.includes(String(data['id'])) ? ['staff'] : [],
  };
}
