import type { z } from 'zod';
import { applicationSchema, lifecycleSchema, policyFileKind, roleSchema } from './schemas.js';
import type { ApplicationFile, LifecycleFile, RoleFile } from './schemas.js';
import type { PolicyFile, PolicyFiles, PolicyProblem } from './types.js';
import { lineOfKey, parseYamlSource } from './yaml-source.js';
import type { YamlSource } from './yaml-source.js';

export interface SourcedFile<T> {
  readonly source: YamlSource;
  readonly value: T;
}

export interface ReadPolicy {
  readonly applications: readonly SourcedFile<ApplicationFile>[];
  readonly roles: readonly SourcedFile<RoleFile>[];
  readonly lifecycle: SourcedFile<LifecycleFile> | undefined;
  readonly problems: readonly PolicyProblem[];
  /** Some application could not be read: what refers to an unknown one may mean that. */
  readonly isApplicationMissing: boolean;
}

/** Parses every file and checks it against the schema of its kind. Files with problems are left out of the lists. Pure. */
export function readPolicyFiles(files: PolicyFiles): ReadPolicy {
  const problems: PolicyProblem[] = [];
  const applications: SourcedFile<ApplicationFile>[] = [];
  const roles: SourcedFile<RoleFile>[] = [];
  let lifecycle: SourcedFile<LifecycleFile> | undefined;
  for (const file of files) {
    const kind = policyFileKind(file.path);
    if (kind === undefined) {
      problems.push({
        file: file.path,
        line: 1,
        path: '',
        message: 'this file has no place in a policy',
        expected: 'lifecycle.yaml, applications/NAME.yaml or roles/NAME.yaml',
      });
    } else if (kind === 'application') {
      pushIf(applications, readFile(file, applicationSchema, problems));
    } else if (kind === 'role') {
      pushIf(roles, readFile(file, roleSchema, problems));
    } else {
      lifecycle = readFile(file, lifecycleSchema, problems);
    }
  }
  if (!files.some((file) => file.path === 'lifecycle.yaml')) {
    problems.push({
      file: 'lifecycle.yaml',
      line: 1,
      path: '',
      message: 'the file is missing',
      expected: 'one lifecycle.yaml',
    });
  }
  const found = files.filter((file) => policyFileKind(file.path) === 'application').length;
  return { applications, roles, lifecycle, problems, isApplicationMissing: applications.length < found };
}

function pushIf<T>(list: T[], item: T | undefined): void {
  if (item !== undefined) {
    list.push(item);
  }
}

function readFile<T>(file: PolicyFile, schema: z.ZodType<T>, problems: PolicyProblem[]): SourcedFile<T> | undefined {
  const source = parseYamlSource(file);
  if (source.problems.length > 0) {
    problems.push(...source.problems);
    return undefined;
  }
  const result = schema.safeParse(source.value);
  if (result.success) {
    return { source, value: result.data };
  }
  problems.push(...result.error.issues.flatMap((issue) => issueProblems(file, source, issue)));
  return undefined;
}

function issueProblems(file: PolicyFile, source: YamlSource, issue: z.core.$ZodIssue): readonly PolicyProblem[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      file: file.path,
      line: lineOfKey(file.text, path, key),
      path: [...path, key].join('.'),
      message: `unknown key "${key}"`,
      expected: 'a key of the JSON Schema in policy/schemas',
    }));
  }
  const problem = { file: file.path, line: source.lineOf(path), path: path.join('.') };
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
  return [{ ...problem, message: isMissing ? 'is missing' : issue.message, expected: expectedOf(issue) }];
}

function expectedOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected;
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return `text of the form ${issue.pattern ?? issue.format}`;
    case 'too_small':
      return `at least ${issue.minimum}`;
    case 'too_big':
      return `at most ${issue.maximum}`;
    default:
      return 'what the JSON Schema in policy/schemas says';
  }
}
