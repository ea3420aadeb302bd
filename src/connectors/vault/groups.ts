import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Send } from '../shared/http/client.js';
import type { VaultContext } from './entities.js';
import { asTexts, refOf, requireEntity } from './entities.js';

const PAGE = 200;

interface Group {
  readonly id: string;
  readonly type: string;
  readonly members: readonly string[];
}

/** Names of the groups that hold an account directly; a group that is gone meanwhile holds nobody. Undefined: groups are not Tenure's. */
export async function entitlementsOf(
  vault: VaultContext,
  groupIds: readonly string[],
  operation: string,
  ctx: OperationContext,
): Promise<readonly string[] | undefined> {
  if (!vault.config.groups) return undefined;
  const names = await Promise.all(
    groupIds.map(async (id) => {
      const path = `identity/group/id/${encodeURIComponent(id)}`;
      return (await vault.client.send({ operation, method: 'GET', path, accept: [404] }, ctx)).data['name'];
    }),
  );
  return names.filter((name) => typeof name === 'string');
}

/** Which of these groups hold the account, from the groups' own side. */
export async function heldOf(
  vault: VaultContext,
  names: readonly string[],
  nativeId: string,
  ctx: OperationContext,
  road: Send,
): Promise<readonly string[]> {
  const held = await Promise.all(
    names.map(async (name) => {
      const group = await readGroup(vault, name, 'verify', ctx, road);
      return group?.members.includes(nativeId) === true ? [name] : [];
    }),
  );
  return held.flat();
}

async function readGroup(
  vault: VaultContext,
  name: string,
  operation: string,
  ctx: OperationContext,
  road?: Send,
): Promise<Group | undefined> {
  const request = { operation, method: 'POST', path: 'identity/lookup/group', body: { name } } as const;
  const { status, data } = await vault.client.send(request, ctx, road);
  const [id, type] = [data['id'], data['type']];
  if (status === 204 || typeof id !== 'string') return undefined;
  return { id, type: typeof type === 'string' ? type : '', members: asTexts(data['member_entity_ids']) };
}

async function requireGroup(
  vault: VaultContext,
  name: string,
  operation: string,
  ctx: OperationContext,
): Promise<Group> {
  const group = await readGroup(vault, name, operation, ctx);
  if (group === undefined)
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: 'entitlement' });
  return group;
}

/** Members of a group, 200 at a time, in the order of their ids. */
export async function listMembers(
  vault: VaultContext,
  group: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const { members } = await requireGroup(vault, group.name, 'listMembers', ctx);
  const after = [...members].sort().filter((id) => cursor === undefined || id > cursor);
  const page = after.slice(0, PAGE);
  const items = page.map((id) => refOf(vault, id));
  const last = page.at(-1);
  return last === undefined || after.length <= PAGE
    ? { items, complete: true }
    : { items, complete: false, next: last };
}

/**
 * Vault knows no "add one member": a write names them all, and of two at once the later one wins. Writes of one group therefore follow each
 * other inside this process, and each reads its group again afterwards; a member that another process's write took or gave back
 * is CONFLICT, and the step is repeated.
 */
export function createMembership(vault: VaultContext) {
  const last = new Map<string, Promise<unknown>>();
  const inOrder = async <T>(group: string, work: () => Promise<T>): Promise<T> => {
    const turn = (last.get(group) ?? Promise.resolve()).then(work, work);
    const settled = turn.catch(() => undefined);
    last.set(group, settled);
    try {
      return await turn;
    } finally {
      if (last.get(group) === settled) last.delete(group);
    }
  };
  return (group: EntitlementRef, ref: AccountRef, wanted: boolean, ctx: OperationContext): Promise<MutationResult> =>
    inOrder(group.name, () => setMember(vault, group.name, ref, wanted, ctx));
}

async function setMember(
  vault: VaultContext,
  name: string,
  ref: AccountRef,
  wanted: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = wanted ? 'addMember' : 'removeMember';
  const group = await requireGroup(vault, name, operation, ctx);
  if (wanted) await requireEntity(vault, ref, operation, ctx);
  if (group.members.includes(ref.nativeId) === wanted) return { outcome: 'already-in-state', ref, changed: [] };
  if (group.type !== 'internal') {
    // Members of an external group come from another directory at each sign-in.
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false, targetCode: 'external-group' });
  }
  const others = group.members.filter((id) => id !== ref.nativeId);
  const body = { member_entity_ids: wanted ? [...others, ref.nativeId] : others };
  const path = `identity/group/id/${encodeURIComponent(group.id)}`;
  await vault.client.send({ operation, method: 'POST', path, body, write: true }, ctx);
  const after = await readGroup(vault, name, operation, ctx);
  if (after?.members.includes(ref.nativeId) !== wanted) {
    throw new ConnectorError({ code: 'CONFLICT', operation, sent: true, ref, targetCode: 'overwritten' });
  }
  const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [name] } as const;
  return { outcome: 'applied', ref, changed: [change] };
}
