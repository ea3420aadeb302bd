import type { Capabilities, Finding } from '../connector.js';
import type { ConnectorFactory } from '../registry.js';
import { LdapDirectory } from '../shared/ldap/client.js';
import { mappedAttributes } from '../shared/ldap/config.js';
import { createDirectoryConnector, directoryCapabilities } from '../shared/ldap/connector.js';
import type { DirectoryConfig } from '../shared/ldap/dialect.js';
import { connectionSettings } from '../shared/ldap/settings.js';
import type { LdapConfig } from './config.js';
import { ldapConfigSchema } from './config.js';
import { ldapDialect } from './dialect.js';
import { describeKind, factoryOf } from '../shared/factory.js';

export const ldapDescriptor = describeKind('ldap', 'LDAP directory', ldapConfigSchema);

/** The connector for LDAP v3 directories; see docs/connectors.md. */
export const ldapFactory: ConnectorFactory = factoryOf(
  ldapDescriptor,
  ldapConfigSchema,
  (application, config, deps) => {
    const { bind } = config;
    const settings = connectionSettings(config, deps.secrets, {
      bind: bind.method === 'simple' ? { name: bind.dn, password: deps.secrets(bind.password) } : undefined,
      referrals: 'refuse',
      binaryAttributes: [],
    });
    const context = {
      application,
      config: directoryConfig(config),
      dialect: ldapDialect(config),
      directory: new LdapDirectory(settings),
    };
    return createDirectoryConnector(ldapDescriptor, context, (controls) => findings(config, controls));
  },
);

/** What a configuration makes possible: data only, no request. */
export function ldapCapabilities(config: LdapConfig): Capabilities {
  return directoryCapabilities(directoryConfig(config));
}

function directoryConfig(config: LdapConfig): DirectoryConfig {
  const { accounts, groups } = config;
  return {
    accounts: {
      base: accounts.base,
      container: accounts.container,
      filter: accounts.filter ?? `(objectClass=${accounts.objectClasses[0] ?? 'inetOrgPerson'})`,
      login: accounts.login,
      rdn: accounts.login,
    },
    attributes: mappedAttributes(config.attributes),
    adoptionKey: config.adoptionKey,
    groups:
      groups === undefined
        ? undefined
        : {
            base: groups.base,
            filter: `(objectClass=${groups.objectClass})`,
            name: groups.name,
            member: groups.member,
            memberIs: groups.member === 'memberUid' ? 'login' : 'dn',
            memberOf: groups.memberOf,
            placeholder: groups.placeholder,
          },
    archive: config.archive,
    searchPageSize: config.searchPageSize,
    consistencyWindowMs: config.consistencyWindowMs,
  };
}

/** The password policy's answer is what tells a locked account from a wrong password. */
function findings(config: LdapConfig, supportedControls: readonly string[]): readonly Finding[] {
  return config.lock === 'ppolicy' && !supportedControls.includes('1.3.6.1.4.1.42.2.27.8.5.1')
    ? [
        {
          severity: 'warning',
          code: 'no-ppolicy',
          message: 'the server does not announce the password policy control: cuts are proven by reading only',
        },
      ]
    : [];
}
