/** Keycloak (Maven: org.keycloak:keycloak-quarkus-dist) with its embedded database: one server for a whole jest run, a realm for each suite. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inheritedEnvironment, loadConfig } from '../../src/config.js';
import { freePort, isRunning, lastLines, markProcess, spawnChild, stopProcess } from '../../src/embedded/processes.js';
import {
  copyKeycloakHome,
  firstAdministrator,
  keycloakHome,
  keycloakVersion,
} from '../../src/embedded/systems/keycloak-program.js';
import { keycloakArguments } from '../../src/embedded/systems/keycloak-server.js';
import type { ProcessMark } from '../../src/embedded/processes.js';
import { recordMark } from '../support/run-folder.js';
import { once } from '../support/stack.js';

const run = promisify(execFile);
/** Of the master realm; only ever served on loopback. */
const administrator = firstAdministrator;

export type Json = Record<string, unknown>;

export interface AdminAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface Keycloak {
  readonly baseUrl: string;
  readonly administrator: { readonly user: string; readonly password: string };
  createRealm(options?: RealmOptions): Promise<Realm>;
}

export interface RealmOptions {
  /** Merged into the realm's representation. */
  readonly realm?: Json;
  /** Roles of `realm-management` that the service account holds. */
  readonly roles?: readonly string[];
}

export interface Realm {
  readonly name: string;
  /** `…/realms/NAME`: tokens are at `/protocol/openid-connect/token` below it. */
  readonly url: string;
  readonly adminUrl: string;
  readonly scimUrl: string;
  /** A confidential client with a service account; its tokens are good for the admin and the SCIM API. */
  readonly service: { readonly clientId: string; readonly secret: string };
  /** A public client that people sign in with by password (direct grant). */
  readonly app: string;
  /** The oracle: the admin API below this realm, as the administrator of the server. */
  admin(method: string, path: string, body?: unknown): Promise<AdminAnswer>;
  /** The token endpoint, as anybody; `client_id` is the app's unless the form names one. */
  token(form: Readonly<Record<string, string>>): Promise<{ readonly status: number; readonly body: Json }>;
  drop(): Promise<void>;
}

/** What a service account needs for all that the connector can do; see docs/connectors/identity-provider.md. */
export const serviceRoles = ['manage-users', 'view-users', 'query-users', 'query-groups', 'view-realm', 'view-clients'];

/**
 * Why Keycloak cannot be had here, or undefined when it can. The first time it fetches the distribution by Maven (one
 * minute) and provisions an empty server in the cache folder (one more); later starts copy that. With
 * TENURE_TEST_ALLOW_SKIP=0 a reason is an error instead.
 */
export async function reasonToSkipKeycloak(): Promise<string | undefined> {
  try {
    await once('keycloak-home', async () => ({ home: await provisionedHome() }));
    return undefined;
  } catch (error) {
    const reason = `Keycloak ${keycloakVersion}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`;
    if (process.env['TENURE_TEST_ALLOW_SKIP'] === '0')
      throw new Error(`must not be skipped: ${reason}`, { cause: error });
    return reason;
  }
}

/** The run's server; starts it on first use (about 10 s on an idle machine). It ends with the run. */
export async function startKeycloak(): Promise<Keycloak> {
  const { baseUrl } = await once('keycloak', async (folder) => {
    const home = join(folder, 'keycloak');
    await copyKeycloakHome(await provisionedHome(), home);
    const port = await freePort();
    const { baseUrl: url } = await startServer({
      home,
      port,
      jvm: ['-Xrs'],
      logFile: join(folder, 'keycloak.log'),
      onSpawn: (mark) => recordMark(folder, 'keycloak', mark),
    });
    return { baseUrl: url };
  });
  return { baseUrl, administrator, createRealm: (options = {}) => createRealm(baseUrl, options) };
}

/** The program and a database that holds the master realm and its administrator. */
async function provisionedHome(): Promise<string> {
  await run('java', ['-version']);
  return keycloakHome(loadConfig().cacheDir, () => undefined, new AbortController().signal);
}

interface ServerOptions {
  readonly home: string;
  readonly port: number;
  /** More options of the JVM; `-Xrs` makes signals end it at once. */
  readonly jvm: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  onSpawn?(mark: ProcessMark): Promise<void>;
}

/** Java itself, not `kc.sh`: the script would be the process we know, and Java would outlive it. */
async function startServer(options: ServerOptions): Promise<{ readonly baseUrl: string; readonly mark: ProcessMark }> {
  const { home, port, logFile } = options;
  const args = keycloakArguments(home, port, options.jvm);
  const env = { ...inheritedEnvironment(), ...options.env };
  const child = await spawnChild({ command: 'java', args, logFile, env });
  // The run goes on, and ends, without waiting for the server.
  child.unref();
  const mark = await markProcess(child.pid);
  if (mark === undefined) throw new Error(`Keycloak ended at once: ${lastLines(logFile)}`);
  await options.onSpawn?.(mark);
  const baseUrl = `http://127.0.0.1:${port}`;
  for (let waited = 0; waited < 240_000 && (await isRunning(mark)); waited += 250) {
    const answers = await fetch(`${baseUrl}/realms/master`).then(
      (response) => response.ok,
      () => false,
    );
    if (answers) return { baseUrl, mark };
    await delay(250);
  }
  await stopProcess(mark);
  throw new Error(`Keycloak did not come up: ${lastLines(logFile)}`);
}

async function createRealm(baseUrl: string, options: RealmOptions): Promise<Realm> {
  const name = `r${randomUUID().slice(0, 8)}`;
  const root = administratorOf(baseUrl);
  const admin: Realm['admin'] = (method, path, body) => root(method, `/${name}${path}`, body);
  const scimUrl = `${baseUrl}/realms/${name}/scim/v2`;
  const service = { clientId: 'tenure', secret: `service-${randomUUID()}` };
  const must = async (work: Promise<AdminAnswer>): Promise<unknown> => {
    const { status, body } = await work;
    if (status >= 300) throw new Error(`setting up the realm: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  await must(
    root('POST', '', { realm: name, enabled: true, scimApiEnabled: true, editUsernameAllowed: true, ...options.realm }),
  );
  const profile = (await must(admin('GET', '/users/profile'))) as { attributes: Json[] };
  await must(admin('PUT', '/users/profile', { ...profile, attributes: [...profile.attributes, ...ownAttributes] }));
  await must(
    admin('POST', '/clients', { clientId: 'app', enabled: true, publicClient: true, directAccessGrantsEnabled: true }),
  );
  await must(admin('POST', '/clients', serviceClient(service, scimUrl)));
  const idOf = async (clientId: string): Promise<string> =>
    String(((await must(admin('GET', `/clients?clientId=${clientId}`))) as Json[])[0]?.['id']);
  const management = await idOf('realm-management');
  const account = (await must(admin('GET', `/clients/${await idOf(service.clientId)}/service-account-user`))) as Json;
  const known = (await must(admin('GET', `/clients/${management}/roles`))) as Json[];
  const wanted = options.roles ?? serviceRoles;
  const held = known.filter((role) => wanted.includes(String(role['name'])));
  await must(admin('POST', `/users/${String(account['id'])}/role-mappings/clients/${management}`, held));
  const url = `${baseUrl}/realms/${name}`;
  return {
    name,
    url,
    adminUrl: `${baseUrl}/admin/realms/${name}`,
    scimUrl,
    service,
    app: 'app',
    admin,
    token: async (form) => {
      const body = new URLSearchParams({ client_id: 'app', ...form });
      const answer = await fetch(`${url}/protocol/openid-connect/token`, { method: 'POST', body });
      return { status: answer.status, body: (await answer.json()) as Json };
    },
    drop: async () => void (await root('DELETE', `/${name}`)),
  };
}

const enterprise = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

/** Attributes beside Keycloak's own; what the realm's profile does not declare is not kept. `scim`: what its SCIM API shows it as. */
const ownAttributes = [
  ...['externalId', 'displayName', 'title'].map((name) => ({ name, multivalued: false, scim: name })),
  ...['department', 'costCenter'].map((name) => ({ name, multivalued: false, scim: `${enterprise}:${name}` })),
  { name: 'archivedAt', multivalued: false, scim: undefined },
  { name: 'phones', multivalued: true, scim: undefined },
].map(({ scim, ...attribute }) => ({
  ...attribute,
  // Keycloak's SCIM API fails on an attribute that has none.
  annotations: scim === undefined ? {} : { 'kc.scim.schema.attribute': scim },
  permissions: { view: ['admin'], edit: ['admin'] },
  validations: { length: { max: 2000 } },
}));

function serviceClient(service: Realm['service'], scimUrl: string): Json {
  const audience = { 'included.custom.audience': scimUrl, 'access.token.claim': 'true' };
  return {
    ...service,
    enabled: true,
    serviceAccountsEnabled: true,
    standardFlowEnabled: false,
    protocolMappers: [
      { name: 'scim', protocol: 'openid-connect', protocolMapper: 'oidc-audience-mapper', config: audience },
    ],
  };
}

/** The admin API as the server's administrator, whose tokens are good for a minute. */
function administratorOf(baseUrl: string): (method: string, path: string, body?: unknown) => Promise<AdminAnswer> {
  let token: { readonly value: string; readonly until: number } | undefined;
  const authorization = async (): Promise<string> => {
    if (token === undefined || token.until < Date.now()) {
      const { user: username, password } = administrator;
      const form = new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username, password });
      const answer = await fetch(`${baseUrl}/realms/master/protocol/openid-connect/token`, {
        method: 'POST',
        body: form,
      });
      const { access_token: value } = (await answer.json()) as { access_token: string };
      token = { value, until: Date.now() + 30_000 };
    }
    return `Bearer ${token.value}`;
  };
  return async (method, path, body) => {
    const answer = await fetch(`${baseUrl}/admin/realms${path}`, {
      method,
      headers: { authorization: await authorization(), 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  };
}
