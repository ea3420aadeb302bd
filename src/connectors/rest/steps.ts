import type { AccountRef } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import type { ConnectorErrorCode } from '../errors.js';
import type { HttpAnswer } from '../shared/http/client.js';
import type { Step } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import type { Place } from './expressions.js';
import { ExpressionError } from './expressions.js';
import { awaitJob, requireNoJob } from './jobs.js';
import { render } from './render.js';
import type { Variables } from './values.js';

export interface Scope {
  readonly place: Place;
  readonly variables: Variables;
  readonly ref?: AccountRef;
  /** Writes of this operation that were done before these steps. */
  readonly doneBefore?: number;
  /** The last answer, for what has to be read from it. */
  onAnswer?(answer: HttpAnswer): void;
}

/** Codes after which the same operation may simply be tried again: what was done stays, and the repeat does the rest. */
const retried: readonly ConnectorErrorCode[] = ['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED', 'AMBIGUOUS'];

/**
 * Does the writes of an operation in order and gives how many were sent. A step whose `when` is not true has nothing to do. When one is refused after another was done:
 * PARTIAL, and the same operation again does what is left. What the caller's marker throws passes through.
 */
export async function runSteps(rest: RestContext, steps: readonly Step[], scope: Scope, run: Run): Promise<number> {
  let done = scope.doneBefore ?? 0;
  const variables = { values: rest.config.values, key: run.ctx.idempotencyKey, ...scope.variables };
  for (const [index, step] of steps.entries()) {
    if (step.when !== undefined && !isWanted(scope.place, step.when, variables, run)) continue;
    try {
      const answer = await runStep(rest, step, scope.place, variables, index, run);
      scope.onAnswer?.(answer);
    } catch (error) {
      if (done > 0 && isConnectorError(error) && !retried.includes(error.code)) throw partial(error, scope.ref);
      throw error;
    }
    done += 1;
  }
  return done - (scope.doneBefore ?? 0);
}

async function runStep(
  rest: RestContext,
  step: Step,
  place: Place,
  variables: Variables,
  index: number,
  run: Run,
): Promise<HttpAnswer> {
  const how = { place, variables, operation: run.operation, baseUrl: rest.baseUrl };
  if (step.job?.find !== undefined) await requireNoJob(rest, step.job, step.job.find, how, run);
  const call = render(step, { ...how, write: true });
  const { idempotencyHeader } = rest.config;
  const key =
    idempotencyHeader === undefined
      ? {}
      : { [idempotencyHeader.toLowerCase()]: `${run.ctx.idempotencyKey}${index === 0 ? '' : `:${index}`}` };
  const accepted = (answer: HttpAnswer): boolean => step.accept.includes(answer.status);
  const answer = await run.send({ ...call, headers: { ...key, ...call.headers } }, run.ctx, accepted);
  return step.job === undefined ? answer : awaitJob(rest, step.job, answer, call.url, run);
}

function isWanted(place: Place, when: string, variables: Variables, run: Run): boolean {
  try {
    return place.run(when, variables) === true;
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const { operation } = run;
    throw new ConnectorError({
      code: 'INVALID',
      operation,
      sent: false,
      attribute: 'when',
      targetCode: `expression:${error.code}`,
    });
  }
}

function partial(error: ConnectorError, ref: AccountRef | undefined): ConnectorError {
  const { operation, targetCode, attribute } = error;
  return new ConnectorError({ code: 'PARTIAL', operation, sent: true, targetCode, attribute, ref });
}
