import { z } from 'zod';
import { expects } from '../../hr/problems.js';
import { invalid } from './problem.js';

export const MAX_PAGE = 200;
export const limitSchema = z.coerce
  .number(expects(`a whole number from 1 to ${MAX_PAGE}`))
  .int(expects(`a whole number from 1 to ${MAX_PAGE}`))
  .min(1)
  .max(MAX_PAGE)
  .default(50);
export const afterSchema = z.string().max(1000).optional();

/** A keyset page: `next` goes into `after` of the following request; null at the end. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** Cuts a list that was read one longer than the limit. */
export function pageOf<R, T>(
  rows: readonly R[],
  limit: number,
  keyOf: (row: R) => readonly (string | number)[],
  itemOf: (row: R) => T,
): Page<T> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next = rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null;
  return { items: shown.map(itemOf), next };
}

export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** The keys of a cursor; raises a 400 problem for one that we did not make. */
export function decodeCursor<T extends z.ZodType>(cursor: string | undefined, schema: T): z.output<T> | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw invalid([{ path: 'after', message: 'not valid', expected: 'the `next` of an earlier answer' }]);
  }
}
