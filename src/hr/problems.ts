import type { z } from 'zod';

/** What is wrong with one field: where, what, and what was expected. Never the value that was sent. */
export interface Problem {
  /** Path in the record, e.g. `attributes.department` or `records[3].startOn`; empty for the whole. */
  readonly path: string;
  readonly message: string;
  readonly expected: string;
}

const READABLE_NAME = /^[\w.-]{1,60}$/;

/** Turns zod's findings into problems, the first per path; names of unknown fields are told, values never. */
export function problemsOf(error: z.core.$ZodError, prefix = ''): Problem[] {
  const byPath = new Map<string, Problem>();
  for (const problem of error.issues.flatMap((issue) => problemsOfIssue(issue, prefix)))
    if (!byPath.has(problem.path)) byPath.set(problem.path, problem);
  return [...byPath.values()];
}

type Issue = z.core.$ZodIssue;

function problemsOfIssue(issue: Issue, prefix: string): Problem[] {
  const path = joinPath(prefix, issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: joinPath(path, [key]),
        message: 'unknown field',
        expected: expectedIn(issue) ?? 'only the documented fields',
      }));
    case 'invalid_union':
      return unionProblems(issue, path, prefix);
    case 'invalid_type':
      return [
        issue.input === undefined && !('received' in issue)
          ? { path, message: 'missing', expected: expectedIn(issue) ?? issue.expected }
          : { path, message: 'wrong type', expected: expectedIn(issue) ?? issue.expected },
      ];
    case 'invalid_value':
      return [
        { path, message: 'not an allowed value', expected: expectedIn(issue) ?? `one of ${listOf(issue.values)}` },
      ];
    case 'too_big':
      return [
        {
          path,
          message: 'too large',
          expected: expectedIn(issue) ?? `at most ${issue.maximum} ${unitOf(issue.origin)}`,
        },
      ];
    case 'too_small':
      return [
        {
          path,
          message: 'too small',
          expected: expectedIn(issue) ?? `at least ${issue.minimum} ${unitOf(issue.origin)}`,
        },
      ];
    case 'invalid_format':
      return [{ path, message: 'wrong form', expected: expectedIn(issue) ?? issue.format }];
    case 'custom':
      return [{ path, message: customMessage(issue), expected: expectedIn(issue) ?? 'see the documentation' }];
    default:
      return [{ path, message: 'not valid', expected: 'see the documentation' }];
  }
}

function unionProblems(issue: Extract<Issue, { code: 'invalid_union' }>, path: string, prefix: string): Problem[] {
  if (typeof issue.discriminator === 'string')
    return [{ path, message: 'not an allowed value', expected: expectedIn(issue) ?? 'another kind' }];
  // A branch of another type as a whole is not what was meant; of the others the one with the fewest findings.
  const isOther = (found: readonly Issue[]): boolean =>
    found.some((one) => one.code === 'invalid_type' && one.path.length === 0);
  const nearest =
    [...issue.errors].sort((a, b) => Number(isOther(a)) - Number(isOther(b)) || a.length - b.length)[0] ?? [];
  const inner = nearest.flatMap((one) => problemsOfIssue(one, joinPath(prefix, issue.path)));
  return inner.length === 0 ? [{ path, message: 'not valid', expected: 'see the documentation' }] : inner;
}

function customMessage(issue: Extract<Issue, { code: 'custom' }>): string {
  const params: Readonly<Record<string, unknown>> = issue.params ?? {};
  return typeof params['problem'] === 'string' ? params['problem'] : 'not valid';
}

/** Our schemas say what they expect in the error text (`expects(...)`); zod's own texts are not shown, they may quote the input. */
const MARK = 'expected: ';
export function expects(text: string): { readonly error: string } {
  return { error: MARK + text };
}

function expectedIn(issue: Issue): string | undefined {
  return issue.message.startsWith(MARK) ? issue.message.slice(MARK.length) : undefined;
}

function unitOf(origin: string): string {
  return origin === 'string' ? 'characters' : origin === 'array' ? 'entries' : '';
}

function listOf(values: readonly unknown[]): string {
  return values.map((value) => String(value)).join(', ');
}

function joinPath(prefix: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const name = READABLE_NAME.test(String(part)) ? String(part) : '(unreadable name)';
    return text === '' ? name : `${text}.${name}`;
  }, prefix);
}
