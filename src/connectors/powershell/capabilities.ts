import type { Capabilities, ConnectorOperation } from '../connector.js';
import { connectorOperations } from '../connector.js';
import type { PowershellConfig } from './config.js';
import { operationsOf } from './host.js';
import { scriptSets } from './script-sets.js';

/** True when the configured scripts can change a login. */
export function mayRename(config: PowershellConfig): boolean {
  return config.rename ?? scriptSets[config.scripts]?.rename ?? false;
}

/** What a configuration makes possible: data only, no host is started. */
export function powershellCapabilities(config: PowershellConfig): Capabilities {
  const offered = operationsOf(config);
  const isThere = (operation: ConnectorOperation): boolean => {
    if (operation === 'verify') return true;
    return (operation === 'resetCredentials' ? 'setSecret' : operation) in offered;
  };
  return {
    objectClasses: {
      account: {
        operations: connectorOperations.filter(isThere),
        findBy: Object.entries(config.attributes)
          .filter(([, { type }]) => type === 'string')
          .map(([name]) => name),
      },
    },
    signInProbe: 'probeSignIn' in offered,
    atomicSeal: false,
    entitlements: 'addMember' in offered,
    rename: mayRename(config),
    sessions: 'listSessions' in offered,
    archive: false,
    consistencyWindowMs: config.consistencyWindowMs,
    ...('create' in offered ? { adoptionKey: config.adoptionKey } : {}),
  };
}
