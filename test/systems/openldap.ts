/** OpenLDAP slapd (Debian) with memberOf, refint, ppolicy and unique, in a folder and on ports of its own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/processes.js';
import { slapdConfiguration, slapdContent } from '../../src/embedded/systems/slapd-ldif.js';
import { runFolder } from '../support/run-folder.js';
import type { Certificates, LdifEntry } from './debian.js';
import { makeCertificates, parseLdif, reasonToSkip, run, startDaemon, systemEnvironment } from './debian.js';

const suffix = 'dc=corp,dc=test';
const rootPassword = 'root-secret-of-the-tests';

export interface OpenLdap {
  readonly suffix: string;
  /** Without encryption, StartTLS offered; and LDAPS. */
  readonly port: number;
  readonly url: string;
  readonly ldapsUrl: string;
  readonly certificates: Certificates;
  /** The account that Tenure binds as; it may write accounts and groups and nothing else. */
  readonly service: { readonly dn: string; readonly password: string };
  /** The oracle: the server's own client, as its administrator. */
  search(base: string, filter: string, ...attributes: string[]): Promise<readonly LdifEntry[]>;
  /** Changes by LDIF, as the administrator. */
  apply(ldif: string): Promise<void>;
  /** The server dies at once, as a machine does; its database stays. */
  kill(): Promise<void>;
  /** The same server again, on its ports. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Why slapd cannot be had here, or undefined when it can. */
export function reasonToSkipOpenLdap(): Promise<string | undefined> {
  const files = ['/usr/sbin/slapd', '/usr/bin/ldapsearch', '/usr/bin/openssl'];
  return reasonToSkip('slapd', files, ['slapd', 'ldap-utils', 'openssl']);
}

/** Starts a server with an empty directory: people, disabled, groups, a password policy and Tenure's account. */
export async function startOpenLdap(): Promise<OpenLdap> {
  const folder = await mkdtemp(join(runFolder(), 'slapd-'));
  const [port, securePort] = [await freePort(), await freePort()];
  const certificates = await makeCertificates(join(folder, 'tls'));
  const service = { dn: `cn=tenure,ou=services,${suffix}`, password: 'service-secret-of-the-tests' };
  await mkdir(join(folder, 'config'));
  await mkdir(join(folder, 'db'));
  await writeFile(join(folder, 'config.ldif'), configuration(folder, certificates, service.dn));
  await writeFile(join(folder, 'base.ldif'), content(service.password));
  const options = { env: systemEnvironment };
  for (const [database, file] of [
    ['0', 'config.ldif'],
    ['1', 'base.ldif'],
  ] as const) {
    await run('slapadd', ['-n', database, '-F', join(folder, 'config'), '-l', join(folder, file)], options);
  }
  const url = `ldap://127.0.0.1:${port}`;
  const ldapsUrl = `ldaps://127.0.0.1:${securePort}`;
  const asRoot = ['-x', '-H', url, '-D', `cn=admin,${suffix}`, '-w', rootPassword];
  const search: OpenLdap['search'] = async (base, filter, ...attributes) => {
    const args = ['-LLL', '-o', 'ldif-wrap=no', ...asRoot, '-M', '-b', base, filter, ...attributes];
    // 32: there is no such base, and so nothing below it.
    const { stdout } = await run('ldapsearch', args, { ...options, maxBuffer: 1e8 }).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === 32) return { stdout: '' };
      throw error;
    });
    return parseLdif(stdout);
  };
  const isReady = (): Promise<boolean> =>
    search(suffix, '(objectClass=*)', 'dn').then(
      () => true,
      () => false,
    );
  const args = ['-d', '0', '-F', join(folder, 'config'), '-h', `${url} ${ldapsUrl}`];
  const start = () => startDaemon('slapd', args, join(folder, 'slapd.log'), isReady);
  let daemon = await start();
  return {
    suffix,
    port,
    url,
    ldapsUrl,
    certificates,
    service,
    search,
    apply: async (ldif) => {
      const file = join(folder, `change-${crypto.randomUUID()}.ldif`);
      await writeFile(file, ldif);
      await run('ldapmodify', [...asRoot, '-M', '-f', file], options);
    },
    kill: () => daemon.stop('SIGKILL'),
    restart: async () => {
      daemon = await start();
    },
    stop: async () => {
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function configuration(folder: string, { ca, cert, key }: Certificates, service: string): string {
  return slapdConfiguration({
    suffix,
    folder,
    modules: '/usr/lib/ldap',
    schema: '/etc/ldap/schema',
    tls: { ca, cert, key },
    service,
    rootPassword,
    isDurable: false,
  });
}

function content(servicePassword: string): string {
  return `${slapdContent({ suffix, organisation: 'Corp', servicePassword, groups: ['staff'] })}
dn: cn=unix,ou=groups,${suffix}
objectClass: posixGroup
cn: unix
gidNumber: 4000
`;
}
