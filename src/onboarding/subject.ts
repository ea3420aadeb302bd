import { compilePolicy } from '../domain/policy/compile.js';
import type { ConfigCheck } from '../domain/policy/cross-check.js';
import { readPolicyFiles } from '../domain/policy/read-files.js';
import type { SourcedFile } from '../domain/policy/read-files.js';
import type { ApplicationFile } from '../domain/policy/schemas.js';
import type { PolicyFile, PolicyFiles, PolicyProblem } from '../domain/policy/types.js';

/** An application's file by itself: what can be read of it, and what is wrong with it. */
export interface Subject {
  readonly file: PolicyFile;
  /** Undefined when the file does not fit its schema. */
  readonly application: SourcedFile<ApplicationFile> | undefined;
  readonly problems: readonly PolicyProblem[];
}

/**
 * Reads one application file as the policy would, among the files it will live with (references to other applications are checked against those). Problems of
 * other files are not told. Pure.
 */
export function subjectOf(
  file: PolicyFile,
  others: PolicyFiles,
  connectors: ReadonlyMap<string, ConfigCheck>,
): Subject {
  const read = readPolicyFiles([file]);
  const neighbours = others.filter((other) => other.path !== file.path);
  const result = compilePolicy([...neighbours, file], { connectors });
  const [application] = read.applications;
  return {
    file,
    application,
    problems: result.ok ? [] : result.problems.filter((problem) => problem.file === file.path),
  };
}
