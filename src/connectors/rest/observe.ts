import type { AccountStatus, Attributes, AttributeValue, ObservedAccount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Json } from '../shared/http/json.js';
import type { RestContext } from './context.js';
import { refOf } from './context.js';
import { places } from './places.js';
import { asText, holds, readAnswer } from './values.js';
import type { Variables } from './values.js';

/** An account as the target showed it: what Tenure makes of it, and the raw item for the requests that follow. */
export interface SeenAccount {
  readonly observed: ObservedAccount;
  readonly item: Json;
  readonly archived: boolean;
  readonly anonymised: boolean;
}

/** Reads an item by the configured expressions. An item without an id says nothing: UNAVAILABLE. */
export function observe(
  rest: RestContext,
  item: Json,
  headers: Readonly<Record<string, string>>,
  operation: string,
): SeenAccount {
  const { accounts, attributes, values } = rest.config;
  const variables = { values, item, headers };
  const text = (source: string): string | undefined => asText(readAnswer(places.item, source, variables, operation));
  const version = accounts.version === undefined ? undefined : text(accounts.version);
  const observed: ObservedAccount = {
    ref: refOf(rest, idOf(rest, item, headers, operation)),
    login: text(accounts.login) ?? '',
    status: statusOf(accounts.status, variables),
    attributes: attributesOf(attributes, variables, operation),
    entitlements: undefined,
    ...(version === undefined ? {} : { version }),
  };
  const marked = (source: string | undefined): boolean => source !== undefined && holds(places.item, source, variables);
  return { observed, item, archived: marked(accounts.archived), anonymised: marked(accounts.anonymised) };
}

/** The id of an item. Throws UNAVAILABLE when it has none. */
export function idOf(
  rest: RestContext,
  item: Json,
  headers: Readonly<Record<string, string>>,
  operation: string,
): string {
  const variables = { values: rest.config.values, item, headers };
  const id = asText(readAnswer(places.item, rest.config.accounts.id, variables, operation));
  if (id !== undefined && id !== '') return id;
  throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'no-id' });
}

/** Unknown is never enabled, and never disabled. */
function statusOf(source: string, variables: Variables): AccountStatus {
  let value: Json | undefined;
  try {
    value = readAnswer(places.item, source, variables, 'get');
  } catch {
    return 'unknown';
  }
  switch (value) {
    case true:
    case 'enabled':
      return 'enabled';
    case false:
    case 'disabled':
      return 'disabled';
    case 'locked':
      return 'locked';
    default:
      return 'unknown';
  }
}

type AttributeConfigs = RestContext['config']['attributes'];

function attributesOf(configs: AttributeConfigs, variables: Variables, operation: string): Attributes {
  const found: Record<string, AttributeValue> = {};
  for (const [name, { read, type }] of Object.entries(configs)) {
    const value = typed(readAnswer(places.item, read, variables, operation), type);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** A value of the attribute's type; what is of another type is not there. */
function typed(value: Json | undefined, type: AttributeConfigs[string]['type']): AttributeValue | undefined {
  switch (type) {
    case 'string':
      return asText(value);
    case 'number':
      return typeof value === 'number' ? value : undefined;
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'strings':
      return Array.isArray(value)
        ? (value as readonly Json[]).map(asText).filter((text) => text !== undefined)
        : undefined;
  }
}

/** What a request about an account sees of it. */
export function accountVariables(seen: SeenAccount): Variables {
  const { ref, login, status, attributes, version } = seen.observed;
  return { id: ref.nativeId, login, status, attributes, version: version ?? null, item: seen.item };
}
