import { ConnectorError } from '../errors.js';
import type { HttpAnswer } from '../shared/http/client.js';
import { sameOrigin } from '../shared/http/guard.js';
import { parseRetryAfter } from '../shared/http/retry-after.js';
import type { JobTemplate } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import { places } from './places.js';
import { render } from './render.js';
import type { Rendering } from './render.js';
import { answerVariables, asText, holds, readAnswer } from './values.js';

/**
 * Looks once at the job that an accepted write began, and gives the job's answer when it is done. Neither waits nor looks again: a job that is not done is AMBIGUOUS
 * with the time after which the operation may be repeated, and the repeat begins by reading. A job that failed is INVALID.
 */
export async function awaitJob(
  rest: RestContext,
  job: JobTemplate,
  answer: HttpAnswer,
  requested: string,
  run: Run,
): Promise<HttpAnswer> {
  const { values } = rest.config;
  if (!holds(places.answer, job.accepted, answerVariables(answer, values))) return answer;
  const named = asText(readAnswer(places.answer, job.url, answerVariables(answer, values), run.operation));
  if (named === undefined || named === '') throw pending(job, answer, run);
  const url = sameOriginAfterWrite(rest, URL.parse(named, requested)?.href ?? named, run);
  const state = await run
    .send({ operation: run.operation, method: 'GET', url, write: false }, run.ctx)
    .catch((error: unknown) => {
      // The write was accepted; that its job cannot be looked at changes nothing about that.
      throw error instanceof ConnectorError ? pending(job, answer, run, error.retryAfterMs) : error;
    });
  if (holds(places.answer, job.failed, answerVariables(state, values))) throw failed(run);
  if (!holds(places.answer, job.done, answerVariables(state, values))) throw pending(job, state, run);
  return state;
}

/** A job of this operation that is still at work is not begun a second time. */
export async function requireNoJob(
  rest: RestContext,
  job: JobTemplate,
  find: NonNullable<JobTemplate['find']>,
  how: Omit<Rendering, 'write'>,
  run: Run,
): Promise<void> {
  const { values } = rest.config;
  const answer = await run.send(render(find.request, { ...how, write: false }), run.ctx);
  const items = readAnswer(places.answer, find.items, answerVariables(answer, values), run.operation);
  const newest: unknown = Array.isArray(items) ? items[0] : undefined;
  if (newest === undefined) return;
  const variables = { values, item: newest, headers: answer.headers };
  const isOver = holds(places.item, find.done, variables) || holds(places.item, find.failed, variables);
  if (!isOver) throw pending(job, answer, run);
}

function sameOriginAfterWrite(rest: RestContext, url: string, run: Run): string {
  try {
    return sameOrigin(rest.baseUrl, url, run.operation);
  } catch {
    throw new ConnectorError({
      code: 'FORBIDDEN',
      operation: run.operation,
      sent: true,
      targetCode: 'job:other-origin',
    });
  }
}

function pending(job: JobTemplate, answer: HttpAnswer, run: Run, named?: number): ConnectorError {
  const retryAfterMs = named ?? parseRetryAfter(answer.headers['retry-after']) ?? job.retryAfterMs;
  const { operation } = run;
  return new ConnectorError({ code: 'AMBIGUOUS', operation, sent: true, targetCode: 'job:pending', retryAfterMs });
}

function failed(run: Run): ConnectorError {
  return new ConnectorError({ code: 'INVALID', operation: run.operation, sent: true, targetCode: 'job:failed' });
}
