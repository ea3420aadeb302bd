import { z } from 'zod';
import { connectorErrorCodes } from '../errors.js';
import type { Use } from './expressions.js';
import { pathExpressions } from './path.js';
import { places } from './places.js';
import type { PlaceName } from './places.js';

/** A CEL expression that sees the variables of its place; checked when the configuration is read. */
export function expression(place: PlaceName, use: Use) {
  return z.string().superRefine((source, issues) => {
    const problem = places[place].problem(source, use);
    if (problem !== undefined) issues.addIssue({ code: 'custom', message: problem });
  });
}

/** `/users/{account.id}`: what stands in braces is CEL, and its value becomes a part of the path, encoded. */
function pathTemplate(place: PlaceName) {
  return z
    .string()
    .regex(/^\/[^\s?#]*$/, 'must be a path that starts with a slash; a query belongs under query')
    .or(z.string().regex(/^\/[^?#]*\{.*\}[^?#]*$/, 'must be a path that starts with a slash'))
    .superRefine((template, issues) => {
      for (const source of pathExpressions(template)) {
        const problem = places[place].problem(source, 'text');
        if (problem !== undefined) issues.addIssue({ code: 'custom', message: problem });
      }
    });
}

/** A JSON body whose texts are CEL expressions; numbers, booleans and null stand for themselves. */
function bodyTemplate(place: PlaceName) {
  return z.unknown().superRefine((template, issues) => {
    const walk = (node: unknown, path: (string | number)[]): void => {
      if (typeof node === 'string') {
        const problem = places[place].problem(node, 'any');
        if (problem !== undefined) issues.addIssue({ code: 'custom', message: problem, path });
      } else if (Array.isArray(node)) {
        node.forEach((item, index) => walk(item, [...path, index]));
      } else if (typeof node === 'object' && node !== null) {
        for (const [name, item] of Object.entries(node)) walk(item, [...path, name]);
      }
    };
    walk(template, []);
  });
}

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be a header name');
const statuses = z.array(z.int().min(100).max(599));

function requestShape(place: PlaceName) {
  return {
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
    path: pathTemplate(place),
    query: z.record(z.string(), expression(place, 'text')).default({}),
    headers: z.record(headerName, expression(place, 'text')).default({}),
    body: bodyTemplate(place).optional(),
    /** Instead of a body: an HTML form (application/x-www-form-urlencoded). */
    form: z.record(z.string(), expression(place, 'text')).optional(),
  };
}

export function request(place: PlaceName) {
  return z.strictObject(requestShape(place));
}

/** A job that the target does on its own time after it has answered. */
function job(place: PlaceName) {
  return z.strictObject({
    /** Whether an answer means "accepted, not done". */
    accepted: expression('answer', 'bool').default('status == 202'),
    /** Where the job's state is; must be at the target's own origin. */
    url: expression('answer', 'text').default('headers[?"location"]'),
    done: expression('answer', 'bool'),
    failed: expression('answer', 'bool').default('false'),
    /** Finds the job of this very operation again; asked before anything is written. The newest one comes first. */
    find: z
      .strictObject({
        request: request(place),
        items: expression('answer', 'list'),
        done: expression('item', 'bool'),
        failed: expression('item', 'bool').default('false'),
      })
      .optional(),
    retryAfterMs: z.int().positive().default(5_000),
  });
}

/** One write. Several are done in order; `when` says whether one still has something to do, so that a repeat does only what is left. */
export function step(place: PlaceName) {
  return z.strictObject({
    ...requestShape(place),
    method: z.enum(['POST', 'PUT', 'PATCH', 'DELETE']),
    when: expression(place, 'bool').optional(),
    /** Statuses that mean "it is so already", for instance 404 of a DELETE. */
    accept: statuses.default([]),
    job: job(place).optional(),
  });
}

export const steps = (place: PlaceName) => z.array(step(place)).min(1);

const query = z.string().min(1);
const size = z.strictObject({ param: query, max: z.int().positive().default(100) });

export const paging = z
  .discriminatedUnion('type', [
    /** Everything comes in one answer. */
    z.strictObject({ type: z.literal('none') }),
    /** The Link header with rel="next" (RFC 8288). */
    z.strictObject({ type: z.literal('link'), size: size.optional() }),
    /** A URL in the body, for instance `body[?"@odata.nextLink"]`. */
    z.strictObject({ type: z.literal('url'), next: expression('answer', 'text'), size: size.optional() }),
    z.strictObject({
      type: z.literal('cursor'),
      param: query,
      next: expression('answer', 'text'),
      size: size.optional(),
    }),
    z.strictObject({ type: z.literal('page'), param: query, first: z.int().min(0).default(1), size }),
    z.strictObject({ type: z.literal('offset'), param: query, first: z.int().min(0).default(0), size }),
  ])
  .default({ type: 'none' });

/** A list: the request, where its items are in the answer, and how it goes on. */
export function listing(place: PlaceName) {
  return z.strictObject({
    request: request(place),
    items: expression('answer', 'list').default('body'),
    /** Whether an answer says "there is nothing", where that is no empty list; be as exact as the target allows. */
    absent: expression('answer', 'bool').optional(),
    paging,
  });
}

export const errorRow = z.strictObject({
  status: statuses.min(1).optional(),
  when: expression('answer', 'bool').optional(),
  /** Connector operations; absent: all. */
  operations: z.array(z.string()).min(1).optional(),
  code: z.enum(connectorErrorCodes),
  attribute: z.string().optional(),
});

export const signInAnswer = z.strictObject({
  status: z.int().min(100).max(599),
  when: expression('answer', 'bool').optional(),
  answer: z.enum(['accepted', 'disabled', 'wrong-secret', 'locked']),
});

export type RequestTemplate = z.infer<ReturnType<typeof request>>;
export type Step = z.infer<ReturnType<typeof step>>;
export type JobTemplate = NonNullable<Step['job']>;
export type Listing = z.infer<ReturnType<typeof listing>>;
export type Paging = z.infer<typeof paging>;
export type ErrorRow = z.infer<typeof errorRow>;
