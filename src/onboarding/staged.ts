import type { ObservedAccount } from '../connectors/connector.js';
import { normalised } from '../domain/correlation/correlate.js';
import type { ApplicationPolicy } from '../domain/policy/types.js';
import type { Json } from '../domain/process/json.js';

/** What an import keeps of an account, sealed: what a person must see to decide, and what a link records. Nothing that policy does not map or read. */
export interface StagedBody {
  readonly login: string;
  readonly attributes: Readonly<Record<string, string | number | boolean | null | readonly string[]>>;
  readonly entitlements: readonly string[];
}

export function stagedBody(application: ApplicationPolicy, account: ObservedAccount): StagedBody {
  const mapped = new Set([...Object.keys(application.attributes), ...(application.serviceAccounts?.reads ?? [])]);
  return {
    login: account.login,
    attributes: Object.fromEntries(Object.entries(account.attributes).filter(([name]) => mapped.has(name))),
    entitlements: account.entitlements ?? [],
  };
}

/** The sealed form as JSON, and back. */
export function bodyAsJson(body: StagedBody): Json {
  return { login: body.login, attributes: body.attributes, entitlements: body.entitlements };
}
export function bodyFromJson(json: Json | undefined): StagedBody {
  return json as unknown as StagedBody;
}

/** The keys of an application's correlation that a set of values has, in the form in which they are compared. Lists count when they hold one value. */
export function keysOf(
  application: ApplicationPolicy,
  login: string,
  attributes: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, string> {
  const { strong, weak } = application.correlation;
  const found = new Map<string, string>();
  for (const key of [...strong, ...weak]) {
    const value = key === 'login' ? login : attributes[key];
    const single: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
    const text = typeof single === 'string' || typeof single === 'number' ? normalised(String(single)) : '';
    if (text !== '') found.set(key, text);
  }
  return found;
}

/** Scope of the blind indexes of one import: those of two imports never meet. */
export function keyScope(importId: string, key: string): string {
  return `import/${importId}/${key}`;
}
/** Context of what is sealed for one import. */
export function stagedContext(importId: string): string {
  return `import/${importId}`;
}
