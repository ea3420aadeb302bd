import { createHash } from 'node:crypto';
import type { Connector } from '../connectors/connector.js';
import type { ConnectorDeps, ConnectorRegistry } from '../connectors/registry.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import type { ApplicationSlug } from '../domain/process/ids.js';
import type { OperationKind } from '../domain/process/kinds.js';
import { manualKinds, operationKinds } from '../planning/capabilities.js';
import type { CapabilityMap } from '../planning/plan-service.js';
import type { ConnectorPool } from './deps.js';

/** Opens connectors on first use and keeps them as long as the application's configuration stays the same. */
export function createConnectorPool(registry: ConnectorRegistry, deps: ConnectorDeps): ConnectorPool {
  const open = new Map<string, Connector>();
  // A compiled application never changes, and its key is asked for at every step of a visit.
  const keys = new WeakMap<ApplicationPolicy, string>();
  const keyOf = (application: ApplicationPolicy): string => {
    const known = keys.get(application);
    if (known !== undefined) return known;
    const digest = createHash('sha256').update(JSON.stringify(application.config)).digest('hex');
    keys.set(application, `${application.slug}/${digest}`);
    return `${application.slug}/${digest}`;
  };
  return {
    registry,
    connectorDeps: deps,
    connectorFor(application) {
      const key = keyOf(application);
      const known = open.get(key);
      if (known !== undefined) return known;
      const connector = registry.create(application.connector, application.slug, application.config, deps);
      open.set(key, connector);
      return connector;
    },
    async close() {
      await Promise.allSettled([...open.values()].map((connector) => connector.close()));
      open.clear();
    },
  };
}

/** What every application of a policy can do, as the planner asks it. A connector that cannot be opened can do nothing: a person is asked. */
export function capabilitiesOf(
  pool: ConnectorPool,
  policy: CompiledPolicy,
  former: readonly ApplicationPolicy[] = [],
): CapabilityMap {
  return new Map(
    [...policy.applications, ...former].map((application) => [application.slug, kindsOf(pool, application, policy)]),
  );
}

function kindsOf(
  pool: ConnectorPool,
  application: ApplicationPolicy,
  policy: CompiledPolicy,
): readonly OperationKind[] {
  if (application.mode === 'manual') return manualKinds(application);
  const capabilities = opened(pool, application, policy)?.capabilities();
  if (capabilities === undefined) return [];
  return operationKinds(capabilities);
}

/** One application with a wrong setting or a missing secret must not stop the plans of everybody. */
function opened(pool: ConnectorPool, application: ApplicationPolicy, policy: CompiledPolicy): Connector | undefined {
  try {
    return pool.connectorFor(application, policy);
  } catch {
    return undefined;
  }
}

/** Finds an application of a policy; undefined when the policy no longer has it. */
export function applicationOf(policy: CompiledPolicy, slug: ApplicationSlug): ApplicationPolicy | undefined {
  return policy.applications.find((application) => application.slug === slug);
}
