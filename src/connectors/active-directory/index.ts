import type { Capabilities } from '../connector.js';
import type { ConnectorFactory } from '../registry.js';
import { LdapDirectory } from '../shared/ldap/client.js';
import { mappedAttributes } from '../shared/ldap/config.js';
import { createDirectoryConnector, directoryCapabilities } from '../shared/ldap/connector.js';
import type { DirectoryConfig } from '../shared/ldap/dialect.js';
import { connectionSettings } from '../shared/ldap/settings.js';
import type { ActiveDirectoryConfig } from './config.js';
import { activeDirectoryConfigSchema } from './config.js';
import { activeDirectoryDialect } from './dialect.js';
import { describeKind, factoryOf } from '../shared/factory.js';

export const activeDirectoryDescriptor = describeKind(
  'active-directory',
  'Active Directory',
  activeDirectoryConfigSchema,
);

/** The connector for Active Directory domains; see docs/connectors.md. */
export const activeDirectoryFactory: ConnectorFactory = factoryOf(
  activeDirectoryDescriptor,
  activeDirectoryConfigSchema,
  (application, config, deps) => {
    const settings = connectionSettings(config, deps.secrets, {
      bind: { name: config.bind.name, password: deps.secrets(config.bind.password) },
      // A search at the root of a domain always names the domain's other partitions (DNS, configuration).
      referrals: 'ignore',
      binaryAttributes: ['objectGUID', 'objectSid'],
    });
    const context = {
      application,
      config: directoryConfig(config),
      dialect: activeDirectoryDialect(config),
      directory: new LdapDirectory(settings),
    };
    return createDirectoryConnector(activeDirectoryDescriptor, context, () => []);
  },
);

/** What a configuration makes possible: data only, no request. */
export function activeDirectoryCapabilities(config: ActiveDirectoryConfig): Capabilities {
  return directoryCapabilities(directoryConfig(config));
}

function directoryConfig(config: ActiveDirectoryConfig): DirectoryConfig {
  const { accounts, groups } = config;
  return {
    accounts: {
      base: accounts.base,
      container: accounts.container,
      filter: accounts.filter ?? '(&(objectCategory=person)(objectClass=user))',
      login: 'sAMAccountName',
      rdn: 'CN',
    },
    attributes: mappedAttributes(config.attributes),
    adoptionKey: config.adoptionKey,
    groups:
      groups === undefined
        ? undefined
        : {
            base: groups.base,
            filter: '(objectClass=group)',
            name: groups.name,
            member: 'member',
            memberIs: 'dn',
            memberOf: 'memberOf',
            placeholder: undefined,
          },
    archive: config.archive,
    searchPageSize: config.searchPageSize,
    consistencyWindowMs: config.consistencyWindowMs,
  };
}
