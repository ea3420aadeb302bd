import { ConnectorError } from '../errors.js';
import type { Json } from '../shared/http/json.js';
import type { Listing } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import type { Place } from './expressions.js';
import { readAll } from './pages.js';
import { places } from './places.js';
import { asText, readAnswer } from './values.js';
import type { Variables } from './values.js';

/** A text of an item that is no account: a group, a session, a credential. */
export function itemText(rest: RestContext, source: string, item: Json, run: Run): string | undefined {
  const variables = { values: rest.config.values, item, headers: {} };
  return asText(readAnswer(places.item, source, variables, run.operation));
}

/** As `itemText`; an item without it says nothing: UNAVAILABLE. */
export function requireText(rest: RestContext, source: string, item: Json, run: Run): string {
  const text = itemText(rest, source, item, run);
  if (text !== undefined && text !== '') return text;
  throw unavailable(run, 'no-id');
}

/** Every item of a short list; one that moves while it is read is UNAVAILABLE, so that nothing is overlooked. */
export async function allItems(
  rest: RestContext,
  listing: Listing,
  place: Place,
  variables: Variables,
  run: Run,
): Promise<readonly Json[]> {
  const values = { values: rest.config.values, ...variables };
  const source = { listing, place, variables: values, idOf: (item: Json) => JSON.stringify(item) };
  const items = await readAll(rest, source, run);
  if (items === undefined) throw unavailable(run, 'moved-while-read');
  return items;
}

function unavailable(run: Run, targetCode: string): ConnectorError {
  return new ConnectorError({ code: 'UNAVAILABLE', operation: run.operation, sent: false, targetCode });
}
