import type {
  AccountRef,
  CorrelationKey,
  ListQuery,
  MutationResult,
  ObservedAccount,
  OperationContext,
  Page,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import { sameValue } from '../shared/compare.js';
import type { Step } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import { runOf } from './context.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import { entitlementsOf } from './groups.js';
import { accountVariables, idOf, observe } from './observe.js';
import type { SeenAccount } from './observe.js';
import { readAll, readPage, start } from './pages.js';
import type { Source } from './pages.js';
import { places } from './places.js';
import { render } from './render.js';
import { runSteps } from './steps.js';
import { answerVariables, holds, readAnswer } from './values.js';
import { requireAccount } from '../shared/object-class.js';

/** Reads one account; undefined when the target says there is none. An answer about another account is UNAVAILABLE. */
export async function readAccount(rest: RestContext, ref: AccountRef, run: Run): Promise<SeenAccount | undefined> {
  requireAccount(ref.objectClass, run.operation);
  const { values, operations } = rest.config;
  const variables = { values, account: { id: ref.nativeId } };
  const how = { place: places.byId, variables, operation: run.operation, write: false, baseUrl: rest.baseUrl };
  const isAbsent = (answer: Parameters<typeof answerVariables>[0]): boolean =>
    holds(places.answer, operations.get.absent, answerVariables(answer, values));
  const answer = await run.send(render(operations.get.request, how), run.ctx, isAbsent);
  if (isAbsent(answer)) return undefined;
  const item = readAnswer(places.answer, operations.get.item, answerVariables(answer, values), run.operation);
  const seen = observe(rest, item ?? null, answer.headers, run.operation);
  if (seen.observed.ref.nativeId !== ref.nativeId) {
    throw new ConnectorError({
      code: 'UNAVAILABLE',
      operation: run.operation,
      sent: false,
      targetCode: 'other-account',
    });
  }
  return seen;
}

/** As `readAccount`; a missing account is NOT_FOUND. */
export async function requireSeen(rest: RestContext, ref: AccountRef, run: Run): Promise<SeenAccount> {
  const seen = await readAccount(rest, ref, run);
  if (seen !== undefined) return seen;
  throw new ConnectorError({ code: 'NOT_FOUND', operation: run.operation, sent: false, ref });
}

export async function getAccount(
  rest: RestContext,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<ObservedAccount | undefined> {
  const run = runOf(rest, 'get', ctx);
  const seen = await readAccount(rest, ref, run);
  return seen === undefined ? undefined : withEntitlements(rest, seen.observed, run);
}

async function withEntitlements(rest: RestContext, observed: ObservedAccount, run: Run): Promise<ObservedAccount> {
  return { ...observed, entitlements: await entitlementsOf(rest, observed.ref.nativeId, run) };
}

/** One page of accounts. */
export async function listAccounts(
  rest: RestContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  requireAccount(query.objectClass, 'list');
  const from = decodeCursor(query.cursor, 'list') ?? start;
  const run = runOf(rest, 'list', ctx);
  const page = await readPage(rest, listSource(rest), from, query.pageSize, run);
  const items = page.items.map((item) => observe(rest, item, {}, 'list').observed);
  return page.next === undefined
    ? { items, complete: page.complete }
    : { items, complete: false, next: encodeCursor(page.next) };
}

export function listSource(rest: RestContext): Source {
  const { config } = rest;
  const variables = { values: config.values };
  return {
    listing: config.operations.list,
    place: places.plain,
    variables,
    idOf: (item) => idOf(rest, item, {}, 'list'),
  };
}

/** Accounts by login or an attribute, with their entitlements. What the target finds is compared with the value again. */
export async function findAccounts(
  rest: RestContext,
  by: CorrelationKey,
  ctx: OperationContext,
): Promise<readonly ObservedAccount[]> {
  const run = runOf(rest, 'find', ctx);
  const found: ObservedAccount[] = [];
  for (const { observed } of await searchAccounts(rest, by, run)) {
    found.push(await withEntitlements(rest, observed, run));
  }
  return found;
}

export async function searchAccounts(rest: RestContext, by: CorrelationKey, run: Run): Promise<readonly SeenAccount[]> {
  const { operations, values } = rest.config;
  const listing = Object.hasOwn(operations.find, by.attribute) ? operations.find[by.attribute] : undefined;
  if (listing === undefined) {
    throw new ConnectorError({ code: 'INVALID', operation: run.operation, sent: false, attribute: by.attribute });
  }
  if (by.value === '') return [];
  const variables = { values, value: by.value };
  const items = await readAll(
    rest,
    { listing, place: places.find, variables, idOf: (item) => idOf(rest, item, {}, run.operation) },
    run,
  );
  if (items === undefined) {
    throw new ConnectorError({
      code: 'UNAVAILABLE',
      operation: run.operation,
      sent: false,
      targetCode: 'moved-while-read',
    });
  }
  return items
    .map((item) => observe(rest, item, {}, run.operation))
    .filter(({ observed }) =>
      by.attribute === 'login'
        ? sameLogin(rest, observed.login, by.value)
        : sameValue(observed.attributes[by.attribute], by.value) || hasValue(observed, by),
    );
}

function hasValue(observed: ObservedAccount, by: CorrelationKey): boolean {
  const value = observed.attributes[by.attribute];
  return Array.isArray(value) ? value.includes(by.value) : value !== undefined && String(value) === by.value;
}

function sameLogin(rest: RestContext, left: string, right: string): boolean {
  const fold = (text: string): string =>
    rest.config.accounts.loginIsCaseSensitive ? text : text.normalize('NFC').toLowerCase();
  return fold(left) === fold(right);
}

/** A change of the account's state: nothing is written when it is so already. */
export async function changeState(
  rest: RestContext,
  ref: AccountRef,
  steps: readonly Step[],
  isDone: (seen: SeenAccount) => boolean,
  run: Run,
): Promise<MutationResult> {
  const seen = await requireSeen(rest, ref, run);
  if (isDone(seen)) return { outcome: 'already-in-state', ref, changed: [] };
  const account = accountVariables(seen);
  const done = await runSteps(rest, steps, { place: places.write, variables: { account }, ref }, run);
  return { outcome: done === 0 ? 'already-in-state' : 'applied', ref, changed: [] };
}

/** Removes the account; the memberships that went with it are reported. */
export async function deleteAccount(
  rest: RestContext,
  ref: AccountRef,
  steps: readonly Step[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const run = runOf(rest, 'delete', ctx);
  const seen = await readAccount(rest, ref, run);
  if (seen === undefined) return { outcome: 'already-in-state', ref, changed: [] };
  const held = (await entitlementsOf(rest, ref.nativeId, run)) ?? [];
  const account = accountVariables(seen);
  await runSteps(rest, steps, { place: places.write, variables: { account }, ref }, run);
  return { outcome: 'applied', ref, changed: [{ attribute: 'entitlements', op: 'remove', value: held }] };
}
