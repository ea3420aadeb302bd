import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'ldapts';
import { directoryGroups } from '../targets/sandbox-data.js';
import { loopbackServer, makeAuthority, makeSigned } from './certificates.js';
import { startDaemon } from './daemon.js';
import { makeOnce, ownFile, ownFolder } from './folder.js';
import { findProgram, missingPrograms, outputOf, runProgram } from './programs.js';
import { slapdConfiguration, slapdContent } from './slapd-ldif.js';
import type { Found, RealSystem, SystemContext } from './system.js';

const suffix = 'dc=example,dc=com';
const service = `cn=tenure,ou=services,${suffix}`;
/** What slapd needs beside itself, and in which packages Debian has it. */
const programs = ['slapd', 'slapadd', 'openssl'];
const remedy = 'install it with: apt-get install slapd openssl';
/** Modules and schema: Debian, Fedora, Arch. */
const layouts = [
  { modules: '/usr/lib/ldap', schema: '/etc/ldap/schema' },
  { modules: '/usr/lib64/openldap', schema: '/etc/openldap/schema' },
  { modules: '/usr/lib/openldap', schema: '/etc/openldap/schema' },
] as const;

/** The company directory on OpenLDAP, over LDAPS with a certificate authority of its own. */
export const slapd: RealSystem = {
  slug: 'directory',
  overlay: 'slapd',
  find,
  prepare: (context) => makeOnce(context.folder, context.user, () => provision(context)),
  start: async (context) => {
    const { folder, port, user, logFile, signal } = context;
    const url = `ldaps://127.0.0.1:${port}`;
    const [ca, password] = await Promise.all(['tls/ca.pem', 'service-password'].map((name) => read(context, name)));
    const command = (await findProgram('slapd')) ?? 'slapd';
    const args = ['-d', '0', '-F', join(folder, 'config'), '-h', url];
    const isReady = () => canBind(url, ca ?? '', password ?? '');
    return startDaemon({ command, args, logFile, user, cwd: folder, isReady, readyWithinMs: 30_000, signal });
  },
  facts: async (context) => ({
    values: {
      LDAP_URL: `ldaps://127.0.0.1:${context.port}`,
      LDAP_CA: `file:${join(context.folder, 'tls', 'ca.pem')}`,
      LDAP_PASSWORD: `file:${join(context.folder, 'service-password')}`,
    },
    access: {
      url: `ldaps://127.0.0.1:${context.port}`,
      ca: join(context.folder, 'tls', 'ca.pem'),
      suffix,
      adminDn: `cn=admin,${suffix}`,
      adminPassword: await read(context, 'root-password'),
    },
  }),
};

async function find(): Promise<Found> {
  const missing = await missingPrograms(programs);
  if (missing.length > 0) return { missing: `${missing.join(' and ')} not on this machine: ${remedy}` };
  if ((await layoutHere()) === undefined) return { missing: 'slapd is here, but not its modules and schema' };
  const said = await outputOf((await findProgram('slapd')) ?? 'slapd', ['-VV']);
  return { program: `OpenLDAP slapd ${/slapd (\d[\w.]*)/.exec(said)?.[1] ?? '(version unknown)'}` };
}

async function layoutHere(): Promise<(typeof layouts)[number] | undefined> {
  for (const layout of layouts) {
    const there = await Promise.all([layout.modules, layout.schema].map((path) => stat(path).catch(() => undefined)));
    if (there.every((one) => one?.isDirectory())) return layout;
  }
  return undefined;
}

async function provision(context: SystemContext): Promise<void> {
  const { folder, user } = context;
  const layout = await layoutHere();
  if (layout === undefined) throw new Error('slapd’s modules are gone');
  const tls = join(folder, 'tls');
  for (const name of ['tls', 'config', 'db']) await ownFolder(join(folder, name), user);
  const authority = { folder: tls, name: 'ca', days: 3_650, user };
  await makeAuthority(authority);
  await makeSigned(authority, 'server', '/CN=localhost', loopbackServer());
  const [rootPassword, servicePassword] = [secret(), secret()];
  await ownFile(join(folder, 'root-password'), rootPassword, user);
  await ownFile(join(folder, 'service-password'), servicePassword, user);
  const at = (name: string): string => join(tls, name);
  const configuration = slapdConfiguration({
    ...layout,
    suffix,
    folder,
    tls: { ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key') },
    service,
    rootPassword,
    isDurable: true,
  });
  const content = slapdContent({
    suffix,
    organisation: 'Example Company',
    servicePassword,
    groups: directoryGroups,
    canary: 'tenure-canary',
  });
  const slapadd = (await findProgram('slapadd')) ?? 'slapadd';
  const database = (number: string, input: string) =>
    runProgram(slapadd, ['-n', number, '-F', join(folder, 'config')], { user, cwd: folder, input });
  await database('0', configuration);
  await database('1', content);
}

async function canBind(url: string, ca: string, password: string): Promise<boolean> {
  const client = new Client({ url, connectTimeout: 2_000, timeout: 2_000, tlsOptions: { ca: [ca] } });
  try {
    await client.bind(service, password);
    return true;
  } catch {
    return false;
  } finally {
    await client.unbind().catch(() => undefined);
  }
}

function secret(): string {
  return randomBytes(24).toString('base64url');
}

async function read({ folder }: SystemContext, name: string): Promise<string> {
  return readFile(join(folder, name), 'utf8');
}
