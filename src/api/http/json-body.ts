import type { FastifyInstance } from 'fastify';
import { ApiProblem } from './problem.js';

/** Reads request bodies: JSON in UTF-8 and nothing else. What cannot be read is told without quoting it. */
export function acceptJsonOnly(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const fail = (title: string): void => done(new ApiProblem(400, 'malformed-json', title), undefined);
    if (body.length === 0) return fail('The body is empty; JSON was expected.');
    let text: string;
    try {
      text = utf8.decode(body as Buffer);
    } catch {
      return fail('The body is not in UTF-8.');
    }
    void parse(request, text, (error, value) =>
      error === null ? done(null, value) : fail('The body is not valid JSON.'),
    );
  });
}
