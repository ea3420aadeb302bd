import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { inheritedEnvironment } from '../../src/config.js';
import { startNodeChild } from '../../src/embedded/node-child.js';
import { groupIn, identityProviderHarness } from '../../test/connectors/identity-provider-harness.js';
import type { Harness } from '../../test/connectors/kit/harness.js';
import { mailConnector, newMailbox } from '../../test/connectors/mail-setup.js';
import { keycloakRestHarness } from '../../test/connectors/rest-harness.js';
import { scimHarness } from '../../test/connectors/scim-harness.js';
import { startVaultWorld, vaultHarness } from '../../test/connectors/vault-harness.js';
import { recordMark, runFolder } from '../../test/support/run-folder.js';
import { acquirePostgres } from '../../test/support/stack.js';
import { reasonToSkipKeycloak, startKeycloak } from '../../test/systems/keycloak.js';
import { reasonToSkipMail, startMail } from '../../test/systems/mail.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../../test/systems/openldap.js';
import { reasonToSkipScim2Server, startScim2Server } from '../../test/systems/scim-server.js';
import { startVault, vaultBuild } from '../../test/systems/vault.js';
import { httpLibrary } from './libraries.js';
import type { Carry, HttpResult } from './libraries.js';
import type { Kind, Subject } from './subject.js';

/** Longer than a bench: the token that the recorded calls carry is good to its end. */
const longTokens = { realm: { accessTokenLifespan: 7_200 } };

export const identityProvider: Kind = {
  name: 'identity-provider',
  connector: 'identity-provider',
  system: 'Keycloak',
  reasonToSkip: reasonToSkipKeycloak,
  async start() {
    const realm = await (await startKeycloak()).createRealm(longTokens);
    await groupIn(realm, 'staff');
    const config = { archive: { attribute: 'archivedAt', value: 'archived' } };
    const entitlement = { name: 'group:/staff', hold: unused, held: unused };
    return subject(await identityProviderHarness(realm, 'full', config, entitlement));
  },
};

export const rest: Kind = {
  name: 'rest',
  connector: 'rest',
  system: 'Keycloak admin API',
  reasonToSkip: reasonToSkipKeycloak,
  start: async () => subject(await keycloakRestHarness(await (await startKeycloak()).createRealm(longTokens))),
};

export const scimPython: Kind = {
  name: 'scim-scim2-server',
  connector: 'scim',
  system: 'scim2-server',
  reasonToSkip: reasonToSkipScim2Server,
  async start() {
    const server = await startScim2Server();
    const config = { secret: 'attribute' };
    const base = await scimHarness({ name: 'x', ...server, config, variant: 'secretByAttribute', group: 'staff' });
    return subject(base);
  },
};

export const scimSandbox: Kind = {
  name: 'scim-sandbox',
  connector: 'scim',
  system: 'sandbox directory (scimmy on Postgres)',
  reasonToSkip: () => Promise.resolve(undefined),
  async start() {
    const child = await startNodeChild({
      name: 'targets',
      entry: join(fileURLToPath(new URL('../..', import.meta.url)), 'src', 'embedded', 'targets', 'main.js'),
      env: { ...inheritedEnvironment(), TENURE_SANDBOX_POSTGRES_URL: (await acquirePostgres()).adminUrl },
      logFile: join(runFolder(), 'targets.log'),
    });
    await recordMark(runFolder(), 'targets', child.mark);
    const { TENURE_SANDBOX_SCIM_URL: baseUrl = '', TENURE_SANDBOX_SCIM_TOKEN: token = '' } = child.ready.env;
    const config = { secret: 'attribute' };
    const base = { name: 'x', baseUrl, token, config, variant: 'secretByAttribute', group: 'all-staff' };
    return subject(await scimHarness({ ...base, stop: () => child.stop() }));
  },
};

export const vault: Kind = {
  name: 'vault',
  connector: 'vault',
  system: 'Vault 1.13',
  reasonToSkip: async () => {
    const build = await vaultBuild();
    return build.program === undefined ? build.skip : undefined;
  },
  async start() {
    const { program } = await vaultBuild();
    if (program === undefined) throw new Error('Vault is not built');
    const ldap = (await reasonToSkipOpenLdap()) === undefined ? await startOpenLdap() : undefined;
    const server = await startVault(program);
    const harness = vaultHarness(await startVaultWorld(server, ldap));
    const ca = readFileSync(server.certificates.ca, 'utf8');
    return { ...subject(harness), library: httpLibrary({ ca }, carryMembers) };
  },
};

/** Dovecot sees a new mailbox in its file after a second at most. */
const SEEN_MS = 1_500;

export const mail: Kind = {
  name: 'mail',
  connector: 'mail',
  system: 'Dovecot (doveadm over HTTP)',
  reasonToSkip: reasonToSkipMail,
  async start() {
    const system = await startMail();
    const connector = mailConnector(system);
    return {
      connector,
      library: httpLibrary(),
      group: undefined,
      sample: () => {
        throw new Error('the directory makes mailboxes');
      },
      make: async (count) => {
        const refs = [];
        for (let made = 0; made < count; made += 1) refs.push((await newMailbox(system)).ref);
        await delay(SEEN_MS);
        return refs;
      },
      stop: async () => {
        await connector.close();
        await system.stop();
      },
    };
  },
};

function subject({ connector, sampleAccount, group, stop }: Harness): Subject {
  return { connector, library: httpLibrary({}, carryVersion), sample: sampleAccount, group, idIn, stop };
}

/** Where a Location, SCIM's body and Vault's data say it. */
function idIn(result: unknown): string | undefined {
  const { location, body, method } = result as HttpResult;
  if (method === 'GET') return undefined;
  if (location !== undefined) return location.split('/').at(-1);
  const { id, data } = (body ?? {}) as { readonly id?: unknown; readonly data?: { readonly id?: unknown } | null };
  const found = id ?? data?.id;
  return typeof found === 'string' ? found : undefined;
}

/** SCIM: a change names the version that was read. */
const carryVersion: Carry = (request, answers) => {
  if (request.headers['if-match'] === undefined) return request;
  const pathOf = (url: string): string | undefined => url.split('?')[0];
  const same = answers.find(({ url }) => pathOf(url) === pathOf(request.url));
  const version = (same?.body as { readonly meta?: { readonly version?: string } } | undefined)?.meta?.version;
  return version === undefined ? request : { ...request, headers: { ...request.headers, 'if-match': version } };
};

/** Vault: a group is written with all its members, so those that were just read go into the write. */
const carryMembers: Carry = (request, answers, account) => {
  if (request.body?.includes('"member_entity_ids"') !== true) return request;
  const written = JSON.parse(request.body) as { member_entity_ids: string[] };
  const read = answers.map(
    ({ body }) => (body as { data?: { member_entity_ids?: string[] } } | undefined)?.data?.member_entity_ids,
  );
  const others = (read.find((members) => members !== undefined) ?? []).filter((id) => id !== account);
  const isHeld = account !== undefined && written.member_entity_ids.includes(account);
  const member_entity_ids = isHeld ? [...others, account] : others;
  return { ...request, body: JSON.stringify({ ...written, member_entity_ids }) };
};

function unused(): never {
  throw new Error('the bench plants nothing');
}
