import { ConnectorError } from '../errors.js';
import type { HttpCall } from '../shared/http/client.js';
import type { Json } from '../shared/http/json.js';
import type { RequestTemplate } from './config-parts.js';
import type { Place } from './expressions.js';
import { ExpressionError } from './expressions.js';
import { parsePath } from './path.js';
import { asText } from './values.js';
import type { Variables } from './values.js';

export interface Rendering {
  readonly place: Place;
  readonly variables: Variables;
  readonly operation: string;
  readonly write: boolean;
  readonly baseUrl: string;
}

/**
 * Makes a request of its template. Values become path parts, query values, headers and JSON by construction, never by putting text together, so no value
 * can leave its place. A value that cannot be there (an empty path part, `..`, a line break in a header) raises INVALID before anything is sent. Pure.
 */
export function render(template: RequestTemplate, how: Rendering): HttpCall {
  const path = renderPath(template.path, how);
  const query = renderPairs('query', template.query, how).toString().replaceAll('+', '%20');
  const headers: Record<string, string> = {};
  for (const [name, source] of Object.entries(template.headers)) {
    const value = asText(evaluate(source, `headers.${name}`, how));
    if (value === undefined) continue;
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw refused(`headers.${name}`, 'not-a-header', how);
    headers[name.toLowerCase()] = value;
  }
  const call = { operation: how.operation, method: template.method, write: how.write };
  const url = `${how.baseUrl}${path}${query === '' ? '' : `?${query}`}`;
  if (template.form !== undefined) {
    const body = renderPairs('form', template.form, how).toString();
    return { ...call, url, body, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } };
  }
  const body = template.body === undefined ? undefined : renderBody(template.body, 'body', how);
  return { ...call, url, headers, ...(body === undefined ? {} : { body }) };
}

function renderPath(template: string, how: Rendering): string {
  const rendered = parsePath(template)
    .map((part) => {
      if ('text' in part) return part.text;
      const value = asText(evaluate(part.source, 'path', how));
      if (value === undefined || value === '' || hasLoneSurrogate(value)) throw refused('path', 'empty-path-part', how);
      return encodeURIComponent(value);
    })
    .join('');
  // Dots are not encoded, and a URL with /../ is another URL.
  if (rendered.split('/').some((segment) => segment === '.' || segment === '..'))
    throw refused('path', 'dot-path-part', how);
  return rendered;
}

function renderPairs(part: string, pairs: Readonly<Record<string, string>>, how: Rendering): URLSearchParams {
  const rendered = new URLSearchParams();
  for (const [name, source] of Object.entries(pairs)) {
    const value = evaluate(source, `${part}.${name}`, how);
    for (const each of Array.isArray(value) ? (value as readonly Json[]) : [value]) {
      const text = asText(each);
      if (text !== undefined) rendered.append(name, text);
    }
  }
  return rendered;
}

function renderBody(template: unknown, at: string, how: Rendering): Json | undefined {
  if (typeof template === 'string') return evaluate(template, at, how);
  if (Array.isArray(template)) {
    return template.map((item, index) => renderBody(item, `${at}.${index}`, how)).filter((item) => item !== undefined);
  }
  if (typeof template === 'object' && template !== null) {
    const entries = Object.entries(template).map(
      ([name, item]) => [name, renderBody(item, `${at}.${name}`, how)] as const,
    );
    return Object.fromEntries(entries.filter((entry): entry is [string, Json] => entry[1] !== undefined));
  }
  return template as Json;
}

function evaluate(source: string, at: string, how: Rendering): Json | undefined {
  try {
    return how.place.run(source, how.variables);
  } catch (error) {
    if (error instanceof ExpressionError) throw refused(at, error.code, how);
    throw error;
  }
}

/** Names the place in the template, never the value. */
function refused(at: string, why: string, how: Rendering): ConnectorError {
  return new ConnectorError({
    code: 'INVALID',
    operation: how.operation,
    sent: false,
    attribute: at,
    targetCode: `expression:${why}`,
  });
}

/** Half of a surrogate pair cannot be encoded. */
function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}
