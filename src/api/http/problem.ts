import { HttpException } from '@nestjs/common';
import type { Problem } from '../../hr/problems.js';
import { LifecycleUnreachable, RefusedDecision } from '../dispatch/lifecycle.js';
import type { Refusal } from '../dispatch/lifecycle.js';

/** RFC 9457 body. `type` is a name from docs/api.md; `errors` tells fields, never their values. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly errors?: readonly Problem[];
  readonly retryAfterSeconds?: number;
}

/** The API's own error: says exactly what the caller is told. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem';
  readonly body: ProblemBody;
  constructor(status: number, type: string, title: string, more: Pick<ProblemBody, 'detail' | 'errors'> = {}) {
    super(title);
    this.body = { type: `/problems/${type}`, title, status, ...more };
  }
}

export function notFound(what: string): ApiProblem {
  return new ApiProblem(404, 'not-found', `There is no such ${what}.`);
}

export function invalid(errors: readonly Problem[]): ApiProblem {
  return new ApiProblem(400, 'invalid-request', 'The request is not valid.', { errors });
}

const REFUSALS: Readonly<Record<Refusal, { readonly status: number; readonly type: string; readonly title: string }>> =
  {
    NotFound: { status: 404, type: 'not-found', title: 'The process has no such open question.' },
    GuardTripped: { status: 409, type: 'legal-hold', title: 'A legal hold is on this person.' },
    NotYourDecision: { status: 403, type: 'not-your-decision', title: 'This decision is not yours.' },
    AlreadyDecided: { status: 409, type: 'already-decided', title: 'This has been decided already.' },
    DeadlinePassed: { status: 410, type: 'deadline-passed', title: 'The time for this decision has passed.' },
  };

/** The problem of a process that said no. */
export function refusalProblem(reason: Refusal): ApiProblem {
  const { status, type, title } = REFUSALS[reason];
  return new ApiProblem(status, type, title);
}

/** What Fastify's own errors mean; its texts may quote the request, so ours are told. */
const FASTIFY: Readonly<Record<string, readonly [number, string, string]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: [400, 'malformed-json', 'The body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: [400, 'malformed-json', 'The body is empty; JSON was expected.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    400,
    'malformed-request',
    'The body does not have the length that was announced.',
  ],
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'body-too-large', 'The body is larger than allowed here.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'unsupported-media-type', 'The body must be application/json.'],
  FST_ERR_BAD_URL: [400, 'malformed-request', 'The path cannot be decoded.'],
};
const BY_STATUS: Readonly<Record<number, readonly [string, string]>> = {
  400: ['malformed-request', 'The request cannot be read.'],
  401: ['unauthorized', 'A valid bearer token is needed.'],
  403: ['forbidden', 'This token may not do that.'],
  404: ['not-found', 'There is no such resource.'],
  405: ['method-not-allowed', 'This method is not offered here.'],
  413: ['body-too-large', 'The body is larger than allowed here.'],
  415: ['unsupported-media-type', 'The body must be application/json.'],
  429: ['too-many-requests', 'Too many requests; try again later.'],
};

/** Turns whatever was thrown into a problem. Nothing from inside gets out: an unexpected error is a 500 without details. */
export function toProblem(error: unknown): ProblemBody {
  if (error instanceof ApiProblem) return error.body;
  if (error instanceof RefusedDecision) return refusalProblem(error.reason).body;
  if (error instanceof LifecycleUnreachable)
    return new ApiProblem(
      503,
      'lifecycle-unreachable',
      'The process could not be asked in time; send the request again.',
    ).body;
  const { code, statusCode } = error as { readonly code?: unknown; readonly statusCode?: unknown };
  const known = typeof code === 'string' ? FASTIFY[code] : undefined;
  if (known !== undefined) return new ApiProblem(...known).body;
  const status = error instanceof HttpException ? error.getStatus() : statusCode;
  if (isDatabaseDown(error))
    return new ApiProblem(
      503,
      'database-unreachable',
      'The database cannot be reached; nothing was recorded, send the request again.',
    ).body;
  if (isUnstorableText(error))
    return new ApiProblem(400, 'malformed-request', 'A text in the request has a character that no text may have.')
      .body;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    const [type, title] = BY_STATUS[status] ?? ['refused', 'The request was refused.'];
    return new ApiProblem(status, type, title).body;
  }
  return new ApiProblem(500, 'internal-error', 'Something went wrong here; nothing more is known.').body;
}

/** Postgres takes no U+0000, as text or in JSON, and its transaction is rolled back: the request is wrong, and nothing of it was kept. */
function isUnstorableText(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === '22021' || code === '22P05';
}

function isDatabaseDown(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return (
    typeof code === 'string' && /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|57P0[123]|3D000|08\w{3}|53300)$/.test(code)
  );
}
