import type { AccountRef, MutationResult, OperationContext, OwnedCount } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { readAccount, requireSeen } from './accounts.js';
import type { RestConfig } from './config.js';
import type { RestContext } from './context.js';
import { runOf } from './context.js';
import { allItems, requireText } from './items.js';
import { accountVariables } from './observe.js';
import { places } from './places.js';
import { runSteps } from './steps.js';

type OwnedConfig = NonNullable<RestConfig['owned']>;

export async function listOwned(
  rest: RestContext,
  owned: OwnedConfig,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<OwnedCount> {
  const run = runOf(rest, 'listOwned', ctx);
  const account = accountVariables(await requireSeen(rest, ref, run));
  const items = await allItems(rest, owned.list, places.ofAccount, { account }, run);
  return { count: items.length, road: 'http:owned-list' };
}

/** Gives one thing after the other to the heir; a repeat goes on with what is left. An heir that is not there takes nothing. */
export async function transferOwned(
  rest: RestContext,
  owned: OwnedConfig,
  ref: AccountRef,
  heirRef: AccountRef,
  ctx: OperationContext,
): Promise<MutationResult> {
  const run = runOf(rest, 'transferOwned', ctx);
  const seen = await requireSeen(rest, ref, run);
  const heirSeen = await readAccount(rest, heirRef, run);
  if (heirSeen === undefined) {
    throw new ConnectorError({ code: 'NOT_FOUND', operation: run.operation, sent: false, attribute: 'heir' });
  }
  const account = accountVariables(seen);
  const items = await allItems(rest, owned.list, places.ofAccount, { account }, run);
  const heir = { id: heirRef.nativeId, login: heirSeen.observed.login, item: heirSeen.item };
  let doneBefore = 0;
  for (const item of items) {
    const thing = { id: requireText(rest, owned.id, item, run), item };
    const scope = { place: places.owned, variables: { account, owned: thing, heir }, ref, doneBefore };
    doneBefore += await runSteps(rest, owned.transfer, scope, run);
  }
  return { outcome: items.length === 0 ? 'already-in-state' : 'applied', ref, changed: [] };
}
