import { z } from 'zod';
import { ROUTES } from './routes.js';
import type { Route } from './routes.js';

const PROBLEM = {
  type: 'object',
  description: 'RFC 9457 problem details.',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', description: 'What kind of problem; stable.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message', 'expected'],
        properties: {
          path: { type: 'string', description: 'Where.' },
          message: { type: 'string', description: 'What is wrong; never the value.' },
          expected: { type: 'string' },
        },
      },
    },
  },
};

/** The OpenAPI 3.1 document, made from the route table and the zod schemas that the door itself uses. */
export function openApiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of ROUTES) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tenure',
      version: '1',
      description:
        'Identity lifecycle: what HR says becomes access, proven, and is taken away the same way. Ids of processes contain slashes: percent-encode them. Lists are keyset pages: pass `next` as `after`.',
    },
    security: [{ token: [] }],
    tags: [...new Set(ROUTES.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: PROBLEM },
    },
  };
}

function operation(route: Route): object {
  const roles = route.access === 'public' ? 'Public.' : `Roles: ${route.access.join(', ')}.`;
  const problem = { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } };
  const answers = Object.entries(route.answers).map(([status, description]): [string, object] => [
    status,
    Number(status) < 400 ? { description } : { description, ...problem },
  ]);
  return {
    operationId: operationId(route),
    summary: route.summary,
    description: route.isIdempotent === true ? `${roles} Honours the Idempotency-Key header.` : roles,
    tags: [route.tag],
    ...(route.access === 'public' ? { security: [] } : {}),
    parameters: parametersOf(route),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(route.body) } } } }),
    responses: {
      ...Object.fromEntries(answers),
      ...(route.access === 'public'
        ? {}
        : {
            400: { description: 'Not valid', ...problem },
            401: { description: 'No valid token', ...problem },
            403: { description: 'Not allowed', ...problem },
          }),
    },
  };
}

function operationId(route: Route): string {
  const words = route.path.split(/[/:]+/).filter((word) => word !== '' && word !== 'v1');
  return [route.method.toLowerCase(), ...words].join('-');
}

function parametersOf(route: Route): object[] {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map((match) => ({
    name: match[1] ?? '',
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const key = { name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', maxLength: 200 } };
  const query =
    route.query === undefined ? undefined : (jsonSchema(route.query) as { properties?: Record<string, object> });
  const inQuery = Object.entries(query?.properties ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: false,
    schema,
  }));
  return [...inPath, ...inQuery, ...(route.isIdempotent === true ? [key] : [])];
}

function jsonSchema(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return rest;
}
