import type { ConnectorRegistry } from '../../connectors/registry.js';
import { SECRET_STAND_IN } from '../../connectors/secret.js';
import type { ApplicationPolicy, CompiledPolicy } from '../../domain/policy/types.js';
import type { OperationKind } from '../../domain/process/kinds.js';
import { operationKinds } from '../../planning/capabilities.js';
import type { CapabilityMap } from '../../planning/plan-service.js';

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
  const deps = { secrets: () => SECRET_STAND_IN, logger: SILENT };
  const connector = registry.create(application.connector, application.slug, application.config, deps);
  try {
    return operationKinds(connector.capabilities());
  } finally {
    await connector.close();
  }
}
