import { ConnectorError } from '../errors.js';
import type { HttpAnswer } from '../shared/http/client.js';
import type { Json } from '../shared/http/json.js';
import type { Place } from './expressions.js';
import { ExpressionError } from './expressions.js';

export type Variables = Readonly<Record<string, unknown>>;

/** What an expression about an answer sees; an answer without a body has `body == null`. */
export function answerVariables(answer: HttpAnswer, values: Variables): Variables {
  return { values, status: BigInt(answer.status), body: answer.body ?? null, headers: answer.headers };
}

/** A single value as text; undefined for null, lists and maps, and for what is not there. */
export function asText(value: Json | undefined): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

/**
 * Reads from an answer of the target. What is not there is undefined; an answer that the expression cannot work on is UNAVAILABLE with
 * `unexpected-answer`: it says nothing, so nothing may be concluded.
 */
export function readAnswer(place: Place, source: string, variables: Variables, operation: string): Json | undefined {
  try {
    return place.read(source, variables);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'unexpected-answer' });
  }
}

/** True only when the expression really says true; an answer it cannot work on is not. */
export function holds(place: Place, source: string, variables: Variables): boolean {
  try {
    return place.read(source, variables) === true;
  } catch (error) {
    if (error instanceof ExpressionError) return false;
    throw error;
  }
}
