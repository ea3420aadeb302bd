/**
 * Samba's Active Directory domain controller (Debian), LDAP alone, in a folder of its own. Its ports cannot be chosen, so
 * it listens on a loopback address of its own. Root only.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { runFolder } from '../support/run-folder.js';
import type { Certificates, LdifEntry } from './debian.js';
import { makeCertificates, parseLdif, reasonToSkip, run, startDaemon, systemEnvironment } from './debian.js';

const domain = 'ad.corp.test';
const suffix = 'DC=ad,DC=corp,DC=test';
const password = 'Adm1n-Secret-of-the-tests!';

export const sambaPackages = [
  'samba',
  'samba-ad-dc',
  'samba-ad-provision',
  'samba-dsdb-modules',
  'samba-vfs-modules',
  'winbind',
  'python3-samba',
  'ldb-tools',
  'ldap-utils',
  'openssl',
];

export interface SambaAd {
  readonly domain: string;
  readonly suffix: string;
  readonly address: string;
  readonly url: string;
  readonly certificates: Certificates;
  /** A member of Account Operators. */
  readonly service: { readonly name: string; readonly password: string };
  /** The oracle: OpenLDAP's client, as the domain's administrator. */
  search(base: string, filter: string, ...attributes: string[]): Promise<readonly LdifEntry[]>;
  /** Changes by LDIF, as the administrator. */
  apply(ldif: string): Promise<void>;
  stop(): Promise<void>;
}

/** Why the domain controller cannot be had here, or undefined when it can. */
export async function reasonToSkipSambaAd(): Promise<string | undefined> {
  const files = ['/usr/sbin/samba', '/usr/bin/samba-tool', '/usr/share/samba/setup', '/usr/bin/ldapsearch'];
  const reason = await reasonToSkip('samba', files, sambaPackages);
  return reason ?? (process.getuid?.() === 0 ? undefined : 'samba: needs root for its fixed ports');
}

/** Provisions a domain (about 10 s) and starts its controller: OUs People, Disabled and Groups, and Tenure's account. */
export async function startSambaAd(): Promise<SambaAd> {
  const folder = await mkdtemp(join(runFolder(), 'samba-'));
  const address = await freeAddress();
  const certificates = await makeCertificates(join(folder, 'tls'), [`IP:${address}`, `DNS:dc1.${domain}`]);
  for (const name of ['lock', 'cache', 'run', 'ncalrpc']) await mkdir(join(folder, name));
  await provision(folder, address);
  await writeFile(join(folder, 'smb.conf'), configuration(folder, address, certificates));
  const url = `ldaps://${address}:636`;
  const as = ['-x', '-H', url, '-D', `Administrator@${domain}`, '-w', password];
  const options = { env: { ...systemEnvironment, LDAPTLS_CACERT: certificates.ca }, maxBuffer: 1e8 };
  const search: SambaAd['search'] = async (base, filter, ...attributes) => {
    const args = ['-LLL', '-o', 'ldif-wrap=no', ...as, '-b', base, filter, ...attributes];
    return parseLdif((await run('ldapsearch', args, options)).stdout);
  };
  const apply: SambaAd['apply'] = async (ldif) => {
    const file = join(folder, `change-${crypto.randomUUID()}.ldif`);
    await writeFile(file, ldif);
    await run('ldapmodify', [...as, '-f', file], options);
  };
  const args = ['-F', '--no-process-group', '-M', 'single', '-s', join(folder, 'smb.conf'), '--debug-stdout'];
  const daemon = await startDaemon('samba', args, join(folder, 'samba.log'), () =>
    search(suffix, '(objectClass=domain)', 'dn').then(
      () => true,
      () => false,
    ),
  );
  const stop = async (): Promise<void> => {
    await daemon.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const service = { name: `tenure@${domain}`, password: 'Serv1ce-Secret-of-the-tests!' };
  try {
    await apply(content(service.password));
  } catch (error) {
    await stop();
    throw error;
  }
  return { domain, suffix, address, url, certificates, service, search, apply, stop };
}

/** An address of the loopback network on which nobody has taken the ports. */
async function freeAddress(): Promise<string> {
  for (let tries = 0; tries < 50; tries += 1) {
    const part = (): number => 1 + Math.floor(Math.random() * 250);
    const address = `127.${part()}.${part()}.${part()}`;
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(636, address, () => server.close(() => resolve(true)));
    });
    if (isFree) return address;
  }
  throw new Error('no loopback address has port 636 free');
}

async function provision(folder: string, address: string): Promise<void> {
  const args = [
    'domain',
    'provision',
    // Debian's own settings must not leak into the new domain.
    '--configfile=/dev/null',
    `--realm=${domain.toUpperCase()}`,
    '--domain=CORP',
    '--server-role=dc',
    '--dns-backend=NONE',
    `--adminpass=${password}`,
    '--host-name=dc1',
    `--host-ip=${address}`,
    `--targetdir=${folder}`,
  ];
  const options = { env: systemEnvironment, maxBuffer: 1e8 };
  try {
    await run('samba-tool', args, options);
  } catch {
    // Some file systems have no extended attributes for root: Samba then keeps them in a file.
    for (const name of ['private', 'state', 'etc']) await rm(join(folder, name), { recursive: true, force: true });
    await run('samba-tool', [...args, `--option=posix:eadb=${folder}/private/eadb.tdb`], options);
  }
}

function configuration(folder: string, address: string, { ca, cert, key }: Certificates): string {
  return `[global]
netbios name = DC1
realm = ${domain.toUpperCase()}
workgroup = CORP
server role = active directory domain controller
server services = ldap
interfaces = ${address}/8
bind interfaces only = yes
disable netbios = yes
private dir = ${folder}/private
state directory = ${folder}/state
lock directory = ${folder}/lock
cache directory = ${folder}/cache
pid directory = ${folder}/run
ncalrpc dir = ${folder}/ncalrpc
binddns dir = ${folder}/bind-dns
winbindd socket directory = ${folder}/winbindd
ntp signd socket directory = ${folder}/ntp_signd
tls enabled = yes
tls keyfile = ${key}
tls certfile = ${cert}
tls cafile = ${ca}
load printers = no
printcap name = /dev/null
log file = ${folder}/log.%m
`;
}

function content(servicePassword: string): string {
  const unit = (name: string): string => `dn: OU=${name},${suffix}\nchangetype: add\nobjectClass: organizationalUnit\n`;
  const secret = Buffer.from(`"${servicePassword}"`, 'utf16le').toString('base64');
  return `${['People', 'Disabled', 'Groups'].map(unit).join('\n')}
dn: CN=tenure,CN=Users,${suffix}
changetype: add
objectClass: user
sAMAccountName: tenure
userPrincipalName: tenure@${domain}
unicodePwd:: ${secret}
userAccountControl: 512

dn: CN=Account Operators,CN=Builtin,${suffix}
changetype: modify
add: member
member: CN=tenure,CN=Users,${suffix}

dn: CN=staff,OU=Groups,${suffix}
changetype: add
objectClass: group
sAMAccountName: staff
`;
}
