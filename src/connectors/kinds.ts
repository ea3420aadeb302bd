import { activeDirectoryFactory } from './active-directory/index.js';
import { ldapFactory } from './ldap/index.js';
import { mailFactory } from './mail/index.js';
import { manualFactory } from './manual/index.js';
import type { ConnectorRegistry } from './registry.js';
import { createRegistry } from './registry.js';
import { scimFactory } from './scim/index.js';
import { sqlFactory } from './sql/index.js';

/** The registry of every connector kind that ships. */
export function createShippedRegistry(): ConnectorRegistry {
  return createRegistry([activeDirectoryFactory, ldapFactory, mailFactory, manualFactory, scimFactory, sqlFactory]);
}
