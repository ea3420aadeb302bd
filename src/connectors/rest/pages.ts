import { ConnectorError } from '../errors.js';
import type { HttpAnswer, HttpCall } from '../shared/http/client.js';
import { sameOrigin } from '../shared/http/guard.js';
import type { Json } from '../shared/http/json.js';
import type { Listing, Paging } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import { nextLink } from './links.js';
import type { Place } from './expressions.js';
import { places } from './places.js';
import { render } from './render.js';
import { answerVariables, asText, holds, readAnswer } from './values.js';
import type { Variables } from './values.js';

/** Where a list goes on. `last` is the id of the last item seen: it is asked for again, to notice that positions have moved. */
export interface Position {
  readonly index: number;
  readonly url?: string;
  readonly token?: string;
  /** How many items of this very answer were given out already. */
  readonly skip?: number;
  readonly last?: string;
  readonly shifted?: boolean;
}

export interface Source {
  readonly listing: Listing;
  readonly place: Place;
  readonly variables: Variables;
  idOf(item: Json): string;
}

export interface ItemPage {
  readonly items: readonly Json[];
  readonly headers: Readonly<Record<string, string>>;
  readonly next?: Position;
  /** Only on the last page: nothing moved while the list was read. */
  readonly complete: boolean;
}

export const start: Position = { index: 0 };

/** One page of a list. Never more than `size` items; see Page for what `complete` promises. */
export async function readPage(
  rest: RestContext,
  source: Source,
  from: Position,
  size: number,
  run: Run,
): Promise<ItemPage> {
  const { paging } = source.listing;
  switch (paging.type) {
    case 'none':
    case 'link':
    case 'url':
    case 'cursor':
      return readLinked(rest, source, paging, from, size, run);
    case 'offset':
      return readAtOffset(rest, source, paging, from, size, run);
    case 'page':
      return readNumbered(rest, source, paging, from, size, run);
  }
}

const MOST_PAGES = 50;

/** All items of a list that belongs to one account or one value. Undefined: it moved while it was read. Throws UNAVAILABLE when it does not end. */
export async function readAll(rest: RestContext, source: Source, run: Run): Promise<readonly Json[] | undefined> {
  const items: Json[] = [];
  let position: Position | undefined = start;
  let page: ItemPage | undefined;
  for (let pages = 0; position !== undefined; pages += 1) {
    if (pages >= MOST_PAGES) throw unavailable(run, 'too-many-pages');
    page = await readPage(rest, source, position, 100, run);
    items.push(...page.items);
    position = page.next;
  }
  return page?.complete === true ? items : undefined;
}

type Linked = Extract<Paging, { type: 'none' | 'link' | 'url' | 'cursor' }>;

async function readLinked(
  rest: RestContext,
  source: Source,
  paging: Linked,
  from: Position,
  size: number,
  run: Run,
): Promise<ItemPage> {
  const limit =
    paging.type !== 'none' && paging.size !== undefined ? { [paging.size.param]: Math.min(size, paging.size.max) } : {};
  const token = paging.type === 'cursor' && from.token !== undefined ? { [paging.param]: from.token } : {};
  const first = requestOf(rest, source, { ...limit, ...token }, run);
  // A cursor has been outside: its URL is checked like one of an answer.
  const call = from.url === undefined ? first : { ...first, url: sameOrigin(rest.baseUrl, from.url, run.operation) };
  const { answer, items: all, isAbsent } = await ask(rest, source, call, run);
  const skip = from.skip ?? 0;
  const before = all[skip - 1];
  const shifted = from.shifted === true || (skip > 0 && (before === undefined || source.idOf(before) !== from.last));
  const items = all.slice(skip, skip + size);
  const last = items.at(-1);
  const lastId = last === undefined ? {} : { last: source.idOf(last) };
  if (skip + size < all.length) {
    return {
      items,
      headers: answer.headers,
      complete: false,
      next: { ...from, skip: skip + size, ...lastId, shifted },
    };
  }
  const next = isAbsent ? undefined : nextOf(rest, paging, answer, call, run);
  if (next === undefined) return { items, headers: answer.headers, complete: !shifted };
  if (next.url === call.url || (next.token !== undefined && next.token === from.token))
    throw unavailable(run, 'cursor-repeats');
  return { items, headers: answer.headers, complete: false, next: { index: from.index + 1, ...next, shifted } };
}

function nextOf(
  rest: RestContext,
  paging: Linked,
  answer: HttpAnswer,
  call: HttpCall,
  run: Run,
): { readonly url?: string; readonly token?: string } | undefined {
  const named =
    paging.type === 'none'
      ? undefined
      : paging.type === 'link'
        ? nextLink(answer.headers['link'])
        : asText(readAnswer(places.answer, paging.next, answerVariables(answer, rest.config.values), run.operation));
  if (named === undefined || named === '') return undefined;
  if (paging.type === 'cursor') return { token: named };
  const url = URL.parse(named, call.url)?.href ?? named;
  return { url: sameOrigin(rest.baseUrl, url, run.operation) };
}

type ByOffset = Extract<Paging, { type: 'offset' }>;

/** Each page begins with the last item of the one before; when that is not so, items may have been missed. It ends with a page that has nothing new. */
async function readAtOffset(
  rest: RestContext,
  source: Source,
  paging: ByOffset,
  from: Position,
  size: number,
  run: Run,
): Promise<ItemPage> {
  const overlap = from.last === undefined ? 0 : 1;
  const count = Math.min(size + overlap, paging.size.max);
  const parameters = { [paging.param]: paging.first + from.index - overlap, [paging.size.param]: count };
  const { items: all, answer } = await ask(rest, source, requestOf(rest, source, parameters, run), run);
  const matches = overlap === 0 || (all[0] !== undefined && source.idOf(all[0]) === from.last);
  const shifted = from.shifted === true || !matches;
  const items = (matches ? all.slice(overlap) : all).slice(0, size);
  const last = items.at(-1);
  const index = from.index + (matches ? items.length : Math.max(0, items.length - overlap));
  return last === undefined
    ? { items, headers: answer.headers, complete: !shifted }
    : { items, headers: answer.headers, complete: false, next: { index, last: source.idOf(last), shifted } };
}

type ByNumber = Extract<Paging, { type: 'page' }>;

/** Numbered pages cannot overlap: the page before is read once more, and must still end as it did. Ends with an empty page. */
async function readNumbered(
  rest: RestContext,
  source: Source,
  paging: ByNumber,
  from: Position,
  size: number,
  run: Run,
): Promise<ItemPage> {
  const count = Math.min(size, paging.size.max);
  const pageAt = async (index: number) => {
    const parameters = { [paging.param]: paging.first + index, [paging.size.param]: count };
    const { answer, items } = await ask(rest, source, requestOf(rest, source, parameters, run), run);
    if (items.length > size) throw unavailable(run, 'page-too-large');
    return { items, headers: answer.headers };
  };
  const { items, headers } = await pageAt(from.index);
  const before = from.last === undefined ? undefined : (await pageAt(from.index - 1)).items.at(-1);
  const moved = from.last !== undefined && (before === undefined || source.idOf(before) !== from.last);
  const shifted = from.shifted === true || moved;
  const last = items.at(-1);
  return last === undefined
    ? { items, headers, complete: !shifted }
    : { items, headers, complete: false, next: { index: from.index + 1, last: source.idOf(last), shifted } };
}

function requestOf(
  rest: RestContext,
  source: Source,
  parameters: Readonly<Record<string, string | number>>,
  run: Run,
): HttpCall {
  const { place, variables, listing } = source;
  const call = render(listing.request, {
    place,
    variables,
    operation: run.operation,
    write: false,
    baseUrl: rest.baseUrl,
  });
  const url = new URL(call.url);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, String(value));
  return { ...call, url: Object.keys(parameters).length === 0 ? call.url : url.href };
}

/** Sends a list's request. An answer that says "there is nothing" has no items, and nothing follows it. */
async function ask(
  rest: RestContext,
  source: Source,
  call: HttpCall,
  run: Run,
): Promise<{ readonly answer: HttpAnswer; readonly items: readonly Json[]; readonly isAbsent: boolean }> {
  const { items: expression, absent } = source.listing;
  const variables = (answer: HttpAnswer): Variables => answerVariables(answer, rest.config.values);
  const saysNothing = (answer: HttpAnswer): boolean =>
    absent !== undefined && holds(places.answer, absent, variables(answer));
  const answer = await run.send(call, run.ctx, saysNothing);
  if (saysNothing(answer)) return { answer, items: [], isAbsent: true };
  const items = readAnswer(places.answer, expression, variables(answer), run.operation);
  // An answer without its list is not an empty list.
  if (!Array.isArray(items)) throw unavailable(run, 'no-items');
  return { answer, items: items as readonly Json[], isAbsent: false };
}

function unavailable(run: Run, targetCode: string): ConnectorError {
  return new ConnectorError({ code: 'UNAVAILABLE', operation: run.operation, sent: false, targetCode });
}
