import { activeDirectoryFactory } from './active-directory/index.js';
import { fileFactory } from './file/index.js';
import { identityProviderFactory } from './identity-provider/index.js';
import { ldapFactory } from './ldap/index.js';
import { mailFactory } from './mail/index.js';
import { manualFactory } from './manual/index.js';
import { powershellFactory } from './powershell/index.js';
import { radiusFactory } from './radius/index.js';
import { restFactory } from './rest/index.js';
import { scimFactory } from './scim/index.js';
import { sqlFactory } from './sql/index.js';
import { vaultFactory } from './vault/index.js';
import type { ConnectorRegistry } from './registry.js';
import { createRegistry } from './registry.js';

/** The registry of every connector kind that ships. */
export function createShippedRegistry(): ConnectorRegistry {
  return createRegistry([
    activeDirectoryFactory,
    fileFactory,
    identityProviderFactory,
    ldapFactory,
    mailFactory,
    manualFactory,
    powershellFactory,
    radiusFactory,
    restFactory,
    scimFactory,
    sqlFactory,
    vaultFactory,
  ]);
}
