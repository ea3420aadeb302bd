import type { AccountStatus, ObservedAccount } from '../connector.js';
import type { ScimContext } from './client.js';
import { refOf } from './client.js';
import type { JsonObject } from '../shared/http/json.js';
import { asObject } from '../shared/http/json.js';
import { activeOf } from './quirks.js';
import { asArray, asText, flatten } from './paths.js';

/** What a user resource says. `active` missing is unknown, never enabled. */
export function observe(
  scim: ScimContext,
  resource: JsonObject,
  entitlements: readonly string[] | undefined,
  version?: string,
): ObservedAccount {
  const active = activeOf(scim.quirks, resource['active']);
  const status: AccountStatus = active === undefined ? 'unknown' : active ? 'enabled' : 'disabled';
  return {
    ref: refOf(scim, asText(resource['id'])),
    login: asText(resource['userName']),
    status,
    attributes: flatten(resource),
    entitlements,
    ...(version === undefined ? {} : { version }),
  };
}

/** The groups a user resource itself shows; a list answer without them says nothing about entitlements. */
export function groupsShown(resource: JsonObject): readonly string[] | undefined {
  return resource['groups'] === undefined
    ? undefined
    : asArray(resource['groups']).map((group) => asText(asObject(group)['display'] ?? asObject(group)['value']));
}
