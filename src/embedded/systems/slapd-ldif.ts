/** OpenLDAP's configuration and first content as LDIF: memberOf, refint, ppolicy and unique, one account that may manage people. Pure. */

export interface SlapdLayout {
  readonly suffix: string;
  /** Folder with the database `db` and the pid file. */
  readonly folder: string;
  /** Where the machine keeps slapd's modules and schema. */
  readonly modules: string;
  readonly schema: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  /** DN of the account that Tenure binds as. */
  readonly service: string;
  readonly rootPassword: string;
  /** false gives up crash safety for speed: tests only. */
  readonly isDurable: boolean;
}

/** cn=config for slapadd. The service account may write people, groups and passwords, and nothing else. */
export function slapdConfiguration(layout: SlapdLayout): string {
  const { suffix, folder, modules, schema, tls, service } = layout;
  return `dn: cn=config
objectClass: olcGlobal
cn: config
olcPidFile: ${folder}/slapd.pid
olcTLSCACertificateFile: ${tls.ca}
olcTLSCertificateFile: ${tls.cert}
olcTLSCertificateKeyFile: ${tls.key}
olcTLSVerifyClient: try
olcAuthzRegexp: cn=tenure-client ${service}

dn: cn=module{0},cn=config
objectClass: olcModuleList
cn: module{0}
olcModulePath: ${modules}
olcModuleLoad: back_mdb
olcModuleLoad: memberof
olcModuleLoad: refint
olcModuleLoad: ppolicy
olcModuleLoad: unique

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file://${schema}/core.ldif
include: file://${schema}/cosine.ldif
include: file://${schema}/inetorgperson.ldif
include: file://${schema}/nis.ldif

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
olcRootPW: ${layout.rootPassword}
olcDbDirectory: ${folder}/db
olcDbMaxSize: 268435456
${layout.isDurable ? '' : 'olcDbNoSync: TRUE\n'}olcDbIndex: objectClass,uid,cn,employeeNumber,member,memberUid,memberOf,entryUUID,entryCSN eq
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

export interface SlapdContent {
  readonly suffix: string;
  readonly organisation: string;
  readonly servicePassword: string;
  readonly groups: readonly string[];
  /** Log-in of the account that the sign-in probes are controlled by; Tenure gives it a password. */
  readonly canary?: string;
}

/** The first entries: units, a password policy, the service account, groups that hold nobody. */
export function slapdContent({ suffix, organisation, servicePassword, groups, canary }: SlapdContent): string {
  const units = ['people', 'disabled', 'groups', 'policies', 'services'].map(
    (name) => `dn: ou=${name},${suffix}\nobjectClass: organizationalUnit\nou: ${name}\n`,
  );
  const empty = groups.map(
    (name) =>
      `dn: cn=${name},ou=groups,${suffix}\nobjectClass: groupOfNames\ncn: ${name}\nmember: cn=nobody,${suffix}\n`,
  );
  const canaries = canary === undefined ? [] : [canary];
  const probes = canaries.map(
    (login) =>
      `dn: uid=${login},ou=people,${suffix}\nobjectClass: inetOrgPerson\nuid: ${login}\ncn: Canary of the sign-in probe\nsn: Canary\n`,
  );
  return `dn: ${suffix}
objectClass: dcObject
objectClass: organization
o: ${organisation}
dc: ${/^dc=([^,]+)/.exec(suffix)?.[1] ?? ''}

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

${[...empty, ...probes].join('\n')}`;
}
