import { createHash } from 'node:crypto';
import type { Capabilities, Connector, ConnectorLogger } from '../connectors/connector.js';
import type { ConnectorDeps, ConnectorRegistry } from '../connectors/registry.js';
import { SECRET_STAND_IN, SecretReferenceError } from '../connectors/secret.js';
import type { SecretStore } from '../connectors/secret-store.js';
import { vaultReferencesIn } from '../domain/policy/secret-reference.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import type { ApplicationSlug } from '../domain/process/ids.js';
import type { OperationKind } from '../domain/process/kinds.js';
import { operationKinds } from '../planning/capabilities.js';
import type { CapabilityMap } from '../planning/plan-service.js';
import type { ConnectorPool } from './deps.js';

export interface PoolOptions {
  readonly registry: ConnectorRegistry;
  readonly secrets: SecretStore;
  readonly logger: ConnectorLogger;
  /** A connector that another one has replaced may still be in the hands of a visit; it is closed after this time. */
  readonly retireAfterMs?: number;
}

/** Longer than any call at a target may take. */
const RETIRE_AFTER_MS = 10 * 60_000;

interface Open {
  readonly connector: Connector;
  readonly credential: string;
}

/** Opens connectors on first use and keeps them as long as the application's configuration and credential stay the same. */
export function createConnectorPool(options: PoolOptions): ConnectorPool {
  const { registry, secrets, logger } = options;
  const connectorDeps: ConnectorDeps = { secrets: secrets.resolve, logger };
  const open = new Map<string, Open>();
  const retired = new Map<Connector, NodeJS.Timeout>();
  const retire = (connector: Connector): void => {
    const close = (): void => {
      retired.delete(connector);
      void connector.close().catch(() => undefined);
    };
    retired.set(connector, setTimeout(close, options.retireAfterMs ?? RETIRE_AFTER_MS).unref());
  };
  const credentialOf = (application: ApplicationPolicy): string => secrets.stampOf(factsOf(application).vault);
  const connectorFor = (application: ApplicationPolicy): Connector => {
    const { key } = factsOf(application);
    const credential = credentialOf(application);
    const known = open.get(key);
    if (known?.credential === credential) return known.connector;
    const connector = registry.create(application.connector, application.slug, application.config, connectorDeps);
    open.set(key, { connector, credential });
    if (known !== undefined) retire(known.connector);
    return connector;
  };
  return {
    registry,
    connectorDeps,
    connectorFor,
    prepare: (config, signal) => secrets.prepare(vaultReferencesIn(config), signal),
    capabilitiesFor(application) {
      const { vault } = factsOf(application);
      if (vault.length > 0) return withStandIns(options, application);
      try {
        return connectorFor(application).capabilities();
      } catch {
        // One application with a wrong setting or a missing secret must not stop the plans of everybody.
        return undefined;
      }
    },
    credentialOf,
    async refused(application, credential, signal) {
      const { vault } = factsOf(application);
      if (vault.length === 0) return 'same';
      if (credentialOf(application) !== credential) return 'renewed';
      secrets.refused(vault);
      await secrets.prepare(vault, signal);
      if (credentialOf(application) !== credential) return 'renewed';
      return vault.every((reference) => isKnown(secrets, reference)) ? 'same' : 'unknown';
    },
    async close() {
      for (const timer of retired.values()) clearTimeout(timer);
      const all = [...retired.keys(), ...[...open.values()].map((one) => one.connector)];
      await Promise.allSettled(all.map((connector) => connector.close()));
      open.clear();
      retired.clear();
      await secrets.close();
    },
  };
}

interface Facts {
  /** Application and configuration. */
  readonly key: string;
  readonly vault: readonly string[];
}

/** A compiled application never changes, and this is asked for at every step of a visit. */
const facts = new WeakMap<ApplicationPolicy, Facts>();

function factsOf(application: ApplicationPolicy): Facts {
  const known = facts.get(application);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(JSON.stringify(application.config)).digest('hex');
  const made = { key: `${application.slug}/${digest}`, vault: vaultReferencesIn(application.config) };
  facts.set(application, made);
  return made;
}

/** False where Vault could not be asked. That it has no such secret is an answer. */
function isKnown(secrets: SecretStore, reference: string): boolean {
  try {
    secrets.resolve(reference);
    return true;
  } catch (error) {
    return !(error instanceof SecretReferenceError && error.temporary);
  }
}

const standIns = new WeakMap<ApplicationPolicy, Capabilities>();

/** What a connector can do follows from its configuration alone, so it is asked of one that never sees a secret of Vault's. */
function withStandIns(
  { registry, secrets, logger }: PoolOptions,
  application: ApplicationPolicy,
): Capabilities | undefined {
  const known = standIns.get(application);
  if (known !== undefined) return known;
  const standIn = (reference: string) =>
    reference.startsWith('vault:') ? SECRET_STAND_IN : secrets.resolve(reference);
  try {
    const deps = { secrets: standIn, logger };
    const connector = registry.create(application.connector, application.slug, application.config, deps);
    const capabilities = connector.capabilities();
    standIns.set(application, capabilities);
    void connector.close().catch(() => undefined);
    return capabilities;
  } catch {
    return undefined;
  }
}

/** What every application of a policy can do, as the planner asks it. A connector that cannot be opened can do nothing: a person is asked. */
export function capabilitiesOf(
  pool: ConnectorPool,
  policy: CompiledPolicy,
  former: readonly ApplicationPolicy[] = [],
): CapabilityMap {
  return new Map(
    [...policy.applications, ...former].map((application) => [application.slug, kindsOf(pool, application)]),
  );
}

function kindsOf(pool: ConnectorPool, application: ApplicationPolicy): readonly OperationKind[] {
  if (application.mode === 'manual') return [];
  const capabilities = pool.capabilitiesFor(application);
  return capabilities === undefined ? [] : operationKinds(capabilities);
}

/** Finds an application of a policy; undefined when the policy no longer has it. */
export function applicationOf(policy: CompiledPolicy, slug: ApplicationSlug): ApplicationPolicy | undefined {
  return policy.applications.find((application) => application.slug === slug);
}
