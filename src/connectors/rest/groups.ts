import type { AccountRef, Cursor, EntitlementRef, MutationResult, OperationContext, Page } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { readAccount } from './accounts.js';
import type { RestConfig } from './config.js';
import type { RestContext, Run } from './context.js';
import { refOf, runOf } from './context.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import { allItems, itemText, requireText } from './items.js';
import { accountVariables } from './observe.js';
import { readPage, start } from './pages.js';
import { places } from './places.js';
import { runSteps } from './steps.js';
import type { Variables } from './values.js';
import { requireAccount } from '../shared/object-class.js';

type GroupsConfig = NonNullable<RestConfig['groups']>;

/** The names of an account's groups, read from the target's own list; undefined where none is configured. */
export async function entitlementsOf(
  rest: RestContext,
  nativeId: string,
  run: Run,
): Promise<readonly string[] | undefined> {
  const { groups } = rest.config;
  if (groups === undefined) return undefined;
  const items = await allItems(rest, groups.ofAccount, places.byId, { account: { id: nativeId } }, run);
  return items.map((item) => requireText(rest, groups.name, item, run));
}

/** The group of that name. Missing = INVALID (NOT_FOUND is for accounts); two of one name = CONFLICT. */
async function requireGroup(rest: RestContext, groups: GroupsConfig, name: string, run: Run): Promise<Variables> {
  const items = await allItems(rest, groups.find, places.groupByName, { group: { name } }, run);
  const found = items.filter((item) => itemText(rest, groups.name, item, run) === name);
  const [item] = found;
  if (item === undefined || found.length > 1) {
    const code = item === undefined ? 'INVALID' : 'CONFLICT';
    throw new ConnectorError({ code, operation: run.operation, sent: false, attribute: 'entitlement' });
  }
  return { id: requireText(rest, groups.id, item, run), name, item };
}

/** Adds or removes; the account's own list of groups says whether there is something to do. */
export async function changeMember(
  rest: RestContext,
  groups: GroupsConfig,
  entitlement: EntitlementRef,
  ref: AccountRef,
  wanted: boolean,
  ctx: OperationContext,
): Promise<MutationResult> {
  const run = runOf(rest, wanted ? 'addMember' : 'removeMember', ctx);
  requireAccount(ref.objectClass, run.operation);
  const group = await requireGroup(rest, groups, entitlement.name, run);
  const seen = await readAccount(rest, ref, run);
  if (seen === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation: run.operation, sent: false, ref });
  }
  const held = (await entitlementsOf(rest, ref.nativeId, run)) ?? [];
  if (held.includes(entitlement.name) === wanted) return { outcome: 'already-in-state', ref, changed: [] };
  const variables = { account: accountVariables(seen), group };
  await runSteps(rest, wanted ? groups.add : groups.remove, { place: places.member, variables, ref }, run);
  const change = { attribute: 'entitlements', op: wanted ? 'add' : 'remove', value: [entitlement.name] } as const;
  return { outcome: 'applied', ref, changed: [change] };
}

const PAGE = 100;

/** One page of a group's members. */
export async function listMembers(
  rest: RestContext,
  groups: GroupsConfig,
  entitlement: EntitlementRef,
  cursor: Cursor | undefined,
  ctx: OperationContext,
): Promise<Page<AccountRef>> {
  const run = runOf(rest, 'listMembers', ctx);
  const from = decodeCursor(cursor, run.operation) ?? start;
  const group = await requireGroup(rest, groups, entitlement.name, run);
  const idOf = (item: Parameters<typeof itemText>[2]): string => requireText(rest, groups.memberId, item, run);
  const variables = { values: rest.config.values, group };
  const page = await readPage(rest, { listing: groups.members, place: places.group, variables, idOf }, from, PAGE, run);
  const items = page.items.map((item) => refOf(rest, idOf(item)));
  return page.next === undefined
    ? { items, complete: page.complete }
    : { items, complete: false, next: encodeCursor(page.next) };
}
