import type { AccountRef, MutationResult, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { asObject } from '../shared/http/json.js';
import type { BulkStep } from './bulk.js';
import { sendSteps } from './bulk.js';
import type { ScimContext } from './client.js';
import { readUser } from './client.js';
import { groupWriteOf, memberStep, readGroup } from './groups.js';
import { groupsHolding } from './memberships.js';
import { asText } from './paths.js';
import { requireAccount } from '../shared/object-class.js';

/**
 * Deletes the account. With `delete: with-memberships` it is taken out of its groups first, all in one Bulk where the server has that: groups of an
 * account that is gone already are looked at, too, so that repeating completes what an earlier try left.
 */
export async function deleteAccount(
  scim: ScimContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(ref.objectClass, 'delete');
  const user = await readUser(scim, ref.nativeId, 'delete', ctx);
  const steps = scim.config.delete === 'account' ? [] : await leaveGroups(scim, ref, ctx);
  if (user !== undefined) {
    steps.push({ method: 'DELETE', path: `/Users/${encodeURIComponent(ref.nativeId)}`, version: user.version });
  }
  if (steps.length === 0) {
    return { outcome: 'already-in-state', ref, changed: [] };
  }
  await sendSteps(scim, steps, 'delete', ref, ctx);
  return { outcome: 'applied', ref, changed: [] };
}

async function leaveGroups(scim: ScimContext, ref: AccountRef, ctx: OperationContext): Promise<BulkStep[]> {
  const groups = await groupsHolding(scim, ref.nativeId, 'delete', ctx);
  if (groups === undefined) {
    if (!scim.config.groups) return [];
    throw new ConnectorError({ code: 'UNAVAILABLE', operation: 'delete', sent: false, targetCode: 'groups-unknown' });
  }
  const way = await groupWriteOf(scim, ctx);
  const steps: BulkStep[] = [];
  for (const group of groups) {
    const id = asText(group['id']);
    const version = asText(asObject(group['meta'])['version']);
    const known = { resource: group, version: version === '' ? undefined : version };
    const current = way === 'put' ? await readGroup(scim, id, true, 'delete', ctx) : known;
    steps.push(memberStep(scim, way, id, current, ref.nativeId, false));
  }
  return steps;
}
