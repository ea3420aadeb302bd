/** OpenLDAP slapd (Debian) with memberOf, refint, ppolicy and unique, in a folder and on ports of its own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../src/embedded/processes.js';
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
  const daemon = await startDaemon(
    'slapd',
    ['-d', '0', '-F', join(folder, 'config'), '-h', `${url} ${ldapsUrl}`],
    join(folder, 'slapd.log'),
    () =>
      search(suffix, '(objectClass=*)', 'dn').then(
        () => true,
        () => false,
      ),
  );
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
    stop: async () => {
      await daemon.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function configuration(folder: string, { ca, cert, key }: Certificates, service: string): string {
  return `dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: ${folder}/slapd.pid
olcTLSCACertificateFile: ${ca}
olcTLSCertificateFile: ${cert}
olcTLSCertificateKeyFile: ${key}
olcTLSVerifyClient: try
olcAuthzRegexp: cn=tenure-client ${service}

dn: cn=module{0},cn=config
objectClass: olcModuleList
cn: module{0}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb
olcModuleLoad: memberof
olcModuleLoad: refint
olcModuleLoad: ppolicy
olcModuleLoad: unique

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif
include: file:///etc/ldap/schema/nis.ldif

dn: olcDatabase={-1}frontend,cn=config
objectClass: olcDatabaseConfig
objectClass: olcFrontendConfig
olcDatabase: {-1}frontend

dn: olcDatabase={1}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {1}mdb
olcSuffix: ${suffix}
olcRootDN: cn=admin,${suffix}
olcRootPW: ${rootPassword}
olcDbDirectory: ${folder}/db
olcDbMaxSize: 268435456
olcDbNoSync: TRUE
olcDbIndex: objectClass,uid,cn,employeeNumber,member,memberUid,memberOf,entryUUID,entryCSN eq
olcLimits: dn.exact="${service}" size.soft=unlimited size.hard=unlimited size.prtotal=unlimited
olcAccess: to attrs=userPassword by dn.exact="${service}" write by anonymous auth by * none
olcAccess: to dn.subtree="ou=people,${suffix}" by dn.exact="${service}" write by * none
olcAccess: to dn.subtree="ou=disabled,${suffix}" by dn.exact="${service}" write by * none
olcAccess: to dn.subtree="ou=groups,${suffix}" by dn.exact="${service}" write by * none
olcAccess: to * by dn.exact="${service}" read by * none

dn: olcOverlay={0}memberof,olcDatabase={1}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcMemberOf
olcOverlay: {0}memberof
olcMemberOfGroupOC: groupOfNames
olcMemberOfMemberAD: member
olcMemberOfMemberOfAD: memberOf
olcMemberOfRefInt: TRUE

dn: olcOverlay={1}refint,olcDatabase={1}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcRefintConfig
olcOverlay: {1}refint
olcRefintAttribute: member
olcRefintNothing: cn=nobody,${suffix}

dn: olcOverlay={2}ppolicy,olcDatabase={1}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: {2}ppolicy
olcPPolicyDefault: cn=default,ou=policies,${suffix}
olcPPolicyHashCleartext: TRUE
olcPPolicyUseLockout: TRUE

dn: olcOverlay={3}unique,olcDatabase={1}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcUniqueConfig
olcOverlay: {3}unique
olcUniqueURI: ldap:///?uid,employeeNumber?sub
`;
}

function content(servicePassword: string): string {
  const units = ['people', 'disabled', 'groups', 'policies', 'services'].map(
    (name) => `dn: ou=${name},${suffix}\nobjectClass: organizationalUnit\nou: ${name}\n`,
  );
  return `dn: ${suffix}
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

${units.join('\n')}
dn: cn=tenure,ou=services,${suffix}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: tenure
userPassword: ${servicePassword}

dn: cn=default,ou=policies,${suffix}
objectClass: device
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 4
pwdCheckQuality: 1
pwdMinLength: 8
pwdAllowUserChange: TRUE

dn: cn=staff,ou=groups,${suffix}
objectClass: groupOfNames
cn: staff
member: cn=nobody,${suffix}

dn: cn=unix,ou=groups,${suffix}
objectClass: posixGroup
cn: unix
gidNumber: 4000
`;
}
