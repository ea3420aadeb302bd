import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { keepSecret } from '../home.js';
import { copyKeycloakHome, findKeycloak, firstAdministrator, keycloakHome } from './keycloak-program.js';
import { startKeycloakServer } from './keycloak-server.js';
import type { RealSystem, SystemContext } from './system.js';

const realm = 'company';
/** What the service account needs for all that the connector can do; see docs/connectors/identity-provider.md. */
const serviceRoles = ['manage-users', 'view-users', 'query-users', 'query-groups', 'view-realm', 'view-clients'];
/** Attributes beside Keycloak's own; what the realm's profile does not declare is not kept. */
const ownAttributes = ['externalId', 'displayName', 'department'].map((name) => ({
  name,
  multivalued: false,
  annotations: {},
  permissions: { view: ['admin'], edit: ['admin'] },
  validations: { length: { max: 2_000 } },
}));

/** Single sign-on by Keycloak with its embedded database: a realm, a service account for Tenure, a client that people sign in with. */
export const keycloak: RealSystem = {
  slug: 'sso',
  overlay: 'keycloak',
  find: findKeycloak,
  prepare: async ({ folder, cacheDir, say, signal }) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (existsSync(join(folder, 'server'))) return;
    const partial = join(folder, 'server.partial');
    await rm(partial, { recursive: true, force: true });
    await copyKeycloakHome(await keycloakHome(cacheDir, say, signal), partial);
    await rename(partial, join(folder, 'server'));
  },
  start: ({ folder, port, logFile, signal }) =>
    startKeycloakServer({ home: join(folder, 'server'), port, logFile, signal }),
  fill: async (context) => {
    const done = join(context.folder, 'realm-complete');
    if (existsSync(done)) return;
    await makeRealm(context);
    await writeFile(done, '', { mode: 0o600 });
  },
  facts: async (context) => ({
    values: { KEYCLOAK_URL: urlOf(context), KEYCLOAK_SECRET: `file:${join(context.folder, 'service-secret')}` },
    access: {
      url: urlOf(context),
      realm,
      adminUser: firstAdministrator.user,
      adminPassword: await readFile(join(context.folder, 'admin-password'), 'utf8'),
    },
  }),
};

function urlOf({ port }: SystemContext): string {
  return `http://127.0.0.1:${port}`;
}

/** Begins with an empty realm, so that an interrupted attempt leaves nothing; the administrator's first password ends here. */
async function makeRealm(context: SystemContext): Promise<void> {
  const random = (): string => randomBytes(24).toString('base64url');
  const password = await keepSecret(join(context.folder, 'admin-password'), random);
  const secret = await keepSecret(join(context.folder, 'service-secret'), random);
  const admin = await signIn(urlOf(context), [password, firstAdministrator.password]);
  const [me] = z
    .array(withId)
    .parse(await admin.must('GET', `/master/users?username=${firstAdministrator.user}&exact=true`));
  const reset = { type: 'password', value: password, temporary: false };
  await admin.must('PUT', `/master/users/${me?.id ?? ''}/reset-password`, reset);
  await admin.may('DELETE', `/${realm}`);
  await admin.must('POST', '', { realm, enabled: true, editUsernameAllowed: true, displayName: 'Example Company' });
  const profile = z
    .looseObject({ attributes: z.array(z.unknown()) })
    .parse(await admin.must('GET', `/${realm}/users/profile`));
  const attributes = [...profile.attributes, ...ownAttributes];
  await admin.must('PUT', `/${realm}/users/profile`, { ...profile, attributes });
  await admin.must('POST', `/${realm}/groups`, { name: 'staff' });
  const app = { clientId: 'app', enabled: true, publicClient: true, directAccessGrantsEnabled: true };
  await admin.must('POST', `/${realm}/clients`, app);
  const service = {
    clientId: 'tenure',
    secret,
    enabled: true,
    serviceAccountsEnabled: true,
    standardFlowEnabled: false,
  };
  await admin.must('POST', `/${realm}/clients`, service);
  const idOf = async (clientId: string): Promise<string> =>
    z.array(withId).parse(await admin.must('GET', `/${realm}/clients?clientId=${clientId}`))[0]?.id ?? '';
  const management = await idOf('realm-management');
  const account = withId.parse(
    await admin.must('GET', `/${realm}/clients/${await idOf('tenure')}/service-account-user`),
  );
  const roles = z
    .array(z.looseObject({ name: z.string() }))
    .parse(await admin.must('GET', `/${realm}/clients/${management}/roles`));
  const held = roles.filter(({ name }) => serviceRoles.includes(name));
  await admin.must('POST', `/${realm}/users/${account.id}/role-mappings/clients/${management}`, held);
}

const withId = z.looseObject({ id: z.string() });

interface Admin {
  /** Fails when it is refused. */
  must(method: string, path: string, body?: unknown): Promise<unknown>;
  may(method: string, path: string): Promise<void>;
}

/** The admin API as the server's administrator, with the first password that is right; a token is good for a minute. */
async function signIn(url: string, passwords: readonly string[]): Promise<Admin> {
  let token: string | undefined;
  for (const password of passwords) {
    const form = { grant_type: 'password', client_id: 'admin-cli', username: firstAdministrator.user, password };
    const answer = await fetch(`${url}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams(form),
    });
    if (answer.ok) token = z.looseObject({ access_token: z.string() }).parse(await answer.json()).access_token;
    if (token !== undefined) break;
  }
  if (token === undefined) throw new Error('Keycloak’s administrator cannot sign in');
  const call = (method: string, path: string, body?: unknown) =>
    fetch(`${url}/admin/realms${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  return {
    must: async (method, path, body) => {
      const answer = await call(method, path, body);
      const text = await answer.text();
      if (!answer.ok) throw new Error(`Keycloak answered ${answer.status} to ${method} ${path}`);
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    },
    may: async (method, path) => {
      await (await call(method, path)).arrayBuffer();
    },
  };
}
