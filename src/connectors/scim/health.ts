import { randomUUID } from 'node:crypto';
import type { Finding, Health, OperationContext } from '../connector.js';
import { isConnectorError } from '../errors.js';
import { listOf } from './answers.js';
import type { ScimContext } from './client.js';
import { search } from './client.js';
import { keyAttribute } from './create.js';
import { filterOf } from './paths.js';
import { measureHealth } from '../shared/health.js';

/** One small read of users; never throws. */
export function health(scim: ScimContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(async () => {
    // Users, not ServiceProviderConfig: many servers show the latter to anybody.
    const url = `${scim.baseUrl}/Users?startIndex=1&count=1&attributes=id`;
    const call = { operation: 'health', method: 'GET', url, write: false } as const;
    listOf(call, await scim.http.send(call, ctx));
  });
}

/** What the configuration takes for granted and this server does not keep; reads only. */
export async function validate(scim: ScimContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const state = await health(scim, ctx);
  if (!state.ok) {
    return [
      { severity: 'error', code: state.code ?? 'UNAVAILABLE', message: 'the users of the server cannot be read' },
    ];
  }
  const findings: Finding[] = [];
  const features = await scim.features(ctx);
  const say = (severity: Finding['severity'], code: string, message: string): void =>
    void findings.push({ severity, code, message });
  if (!features.patch) {
    say('info', 'no-patch', 'the server does not announce PATCH: whole users are replaced');
  }
  if (!features.etag) {
    say('info', 'no-etag', 'the server does not announce ETags: two writers are not noticed');
  }
  if (scim.config.signIn === undefined) {
    say('warning', 'no-sign-in', 'no sign-in is configured: cuts are proven by reading only');
  }
  const key = filterOf(keyAttribute(scim) ?? 'login', `nobody-${randomUUID()}`, 'validate');
  if (!(await filtersBy(scim, 'Users', key, ctx))) {
    say('error', 'no-key-filter', 'users cannot be filtered by the adoption key: see quirks.adoptBy');
  }
  const member = `members.value eq ${JSON.stringify(randomUUID())}`;
  if (scim.config.groups && scim.quirks.memberFilter !== false && !(await filtersBy(scim, 'Groups', member, ctx))) {
    say('error', 'no-member-filter', 'groups cannot be filtered by member: see quirks.memberFilter');
  }
  return findings;
}

/** A filter that nothing fits must give nothing: a server that ignores it gives everything, and one that lacks it refuses. */
async function filtersBy(
  scim: ScimContext,
  endpoint: 'Users' | 'Groups',
  filter: string,
  ctx: OperationContext,
): Promise<boolean> {
  try {
    return (await search(scim, endpoint, filter, { operation: 'validate', count: 1 }, ctx)).length === 0;
  } catch (error) {
    if (isConnectorError(error) && (error.code === 'INVALID' || error.code === 'UNSUPPORTED')) return false;
    throw error;
  }
}
