import type { z } from 'zod';
import { problemsOf } from '../../hr/problems.js';
import { invalid } from './problem.js';

/** Checks input against its schema; raises the 400 problem that names every wrong field and no value. */
export function validated<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (!parsed.success) throw invalid(problemsOf(parsed.error));
  return parsed.data;
}
