import type { ConnectorRegistry } from '../connectors/registry.js';
import type { ConfigCheck } from '../domain/policy/cross-check.js';

/** The registry's configuration checks in the form that `compilePolicy` takes. Opens nothing, resolves no secret. */
export function connectorChecks(registry: ConnectorRegistry): ReadonlyMap<string, ConfigCheck> {
  return new Map(registry.kinds().map((kind) => [kind, (config) => registry.check(kind, config).map(findingOf)]));
}

/** `accounts.key: message` -> path and message; the registry writes `(root)` for the configuration itself. */
function findingOf(problem: string): { readonly path: readonly (string | number)[]; readonly message: string } {
  const [, where = '(root)', message = problem] = /^([^\s:]+|\(root\)): (.*)$/s.exec(problem) ?? [];
  const path = where === '(root)' ? [] : where.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  return { path, message };
}
