import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import { injectFaults } from '../connectors/fault-injecting-connector.js';
import type { FaultRule } from '../connectors/fault-injecting-connector.js';

/** The shipped connectors, failing as planned, by application. */
export function faultyRegistry(rules: Readonly<Record<string, readonly FaultRule[]>>): {
  readonly registry: ConnectorRegistry;
  /** Throws when a planned fault never happened. */
  assertFired(): void;
} {
  const shipped = createShippedRegistry();
  const checks: (() => void)[] = [];
  return {
    registry: {
      ...shipped,
      create(kind, application, config, deps) {
        const planned = rules[application];
        const inner = shipped.create(kind, application, config, deps);
        if (planned === undefined) return inner;
        const faulty = injectFaults(inner, planned, application);
        checks.push(() => {
          faulty.assertFired();
        });
        return faulty.connector;
      },
    },
    assertFired() {
      if (checks.length === 0) throw new Error('no faulty connector was made');
      for (const check of checks) check();
    },
  };
}
