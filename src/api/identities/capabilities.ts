import type { ConnectorOperation } from '../../connectors/connector.js';
import type { ConnectorRegistry } from '../../connectors/registry.js';
import { Secret } from '../../connectors/secret.js';
import type { ApplicationPolicy, CompiledPolicy } from '../../domain/policy/types.js';
import type { OperationKind } from '../../domain/process/kinds.js';
import type { CapabilityMap } from '../../planning/plan-service.js';

/** MAINTENANCE: as in src/activities/connector-pool.ts, which the API may not import. */
const CONNECTOR_OPERATION: Readonly<Record<Exclude<OperationKind, 'manual'>, ConnectorOperation>> = {
  create: 'create',
  update: 'update',
  rename: 'update',
  enable: 'enable',
  disable: 'disable',
  seal: 'seal',
  'revoke-sessions': 'revokeSessions',
  'hand-over-credential': 'setSecret',
  'add-entitlement': 'addMember',
  'remove-entitlement': 'removeMember',
  archive: 'archive',
  delete: 'delete',
};
const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/**
 * What every application of a policy can do, as the planner asks it. Connectors are made to be asked and closed again: none opens a connection, none sees
 * a secret, because the API never talks to a target.
 */
export async function capabilitiesOf(registry: ConnectorRegistry, policy: CompiledPolicy): Promise<CapabilityMap> {
  const entries = await Promise.all(
    policy.applications.map(async (application) => [application.slug, await kindsOf(registry, application)] as const),
  );
  return new Map(entries);
}

async function kindsOf(registry: ConnectorRegistry, application: ApplicationPolicy): Promise<readonly OperationKind[]> {
  if (application.mode === 'manual') return [];
  const deps = { secrets: () => new Secret('never-used'), logger: SILENT };
  const connector = registry.create(application.connector, application.slug, application.config, deps);
  try {
    const capabilities = connector.capabilities();
    const operations = new Set(capabilities.objectClasses.account.operations);
    const kinds = Object.entries(CONNECTOR_OPERATION) as [OperationKind, ConnectorOperation][];
    return kinds
      .filter(([kind, operation]) => operations.has(operation) && (kind !== 'rename' || capabilities.rename))
      .map(([kind]) => kind);
  } finally {
    await connector.close();
  }
}
