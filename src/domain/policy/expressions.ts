import { Environment, EvaluationError } from '@marcbachmann/cel-js';
import type { ASTNode, ParseResult } from '@marcbachmann/cel-js';
import { ATTRIBUTE_NAMES } from '../ledger/types.js';
import { fileTime } from '../time/instants.js';
import type { Expression, PolicyProblem } from './types.js';

export type ExpressionUse = 'rule' | 'login' | 'attribute' | 'user-name' | 'service-account';

/** Fields beside HR's attributes. MAINTENANCE: docs/policy.md lists them, `src/domain/plan/context.ts` fills them. */
export const PERSON_FIELDS = ['id', 'worker', 'lifecycle'] as const;
export const EMPLOYMENT_FIELDS = [
  'id',
  'worker',
  'status',
  'zone',
  'startOn',
  'lastWorkingDay',
  'contractEndsAt',
] as const;
export const ACCOUNT_FIELDS = ['userName', 'mail'] as const;
export const MANAGER_FIELDS = ['userName', 'mail', 'displayName', 'nativeId'] as const;
export const NAME_FIELDS = ['given', 'family', 'middle', 'preferred', 'givenInitial', 'familyInitial'] as const;

const RESULT_TYPES: Readonly<Record<ExpressionUse, readonly string[]>> = {
  rule: ['bool'],
  login: ['string'],
  attribute: ['string', 'bool', 'int', 'double', 'list<string>'],
  'user-name': ['string'],
  'service-account': ['bool'],
};

/** A checked expression with what it reads: `person.title`, `person.custom.site`, `n` … */
export interface CheckedExpression {
  readonly expression: Expression;
  readonly run: ParseResult;
  readonly reads: ReadonlySet<string>;
  /** CEL type of the result. */
  readonly type: string;
}

/** An expression failed while running. The text names place and kind of failure, never a value. */
export class PolicyEvaluationError extends Error {
  override readonly name = 'PolicyEvaluationError';
  readonly file: string;
  readonly line: number;
  constructor(expression: Expression, code: string) {
    super(`${expression.file}:${expression.line}: expression failed (${code})`);
    this.file = expression.file;
    this.line = expression.line;
  }
}

export type ExpressionEnvironments = Readonly<Record<ExpressionUse, Environment>>;

/** The declared variables and functions per use. Expensive to make, so once per compiled policy. */
export function createEnvironments(): ExpressionEnvironments {
  const rule = base(['person', PERSON_FIELDS], ['employment', EMPLOYMENT_FIELDS]);
  const mapping = base(['person', PERSON_FIELDS], ['employment', EMPLOYMENT_FIELDS]);
  mapping.registerVariable({ name: 'account', schema: texts(ACCOUNT_FIELDS) });
  mapping.registerVariable({ name: 'manager', schema: texts(MANAGER_FIELDS) });
  const names = base();
  names.registerVariable({ name: 'name', schema: texts(NAME_FIELDS) });
  names.registerVariable('n', 'int');
  const accounts = base();
  const account = { login: 'string', attributes: 'map<string, string>', entitlements: 'list<string>' };
  accounts.registerVariable({ name: 'account', schema: account });
  return { rule, login: mapping, attribute: mapping, 'user-name': names, 'service-account': accounts };
}

function base(...subjects: readonly (readonly [string, readonly string[]])[]): Environment {
  const environment = new Environment({ limits: { maxAstNodes: 2000, maxDepth: 50 } });
  environment.registerFunction('coalesce(string, string): string', (a: string, b: string) => (a === '' ? b : a));
  environment.registerFunction('fileTime(string): string', fileTime);
  for (const [name, own] of subjects) {
    const schema = { ...texts(ATTRIBUTE_NAMES), ...texts(own), custom: 'map<string, string>' };
    environment.registerVariable({ name, schema });
  }
  return environment;
}

function texts(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, 'string']));
}

export type ExpressionFinding = Pick<PolicyProblem, 'message' | 'expected'> & { readonly offset: number };

/**
 * Parses and type-checks one expression against the variables that its use declares. Never throws: what is wrong comes back as a finding with
 * its offset in the source and what was expected. Pure.
 */
export function checkExpression(
  environments: ExpressionEnvironments,
  use: ExpressionUse,
  expression: Expression,
):
  | { readonly ok: true; readonly checked: CheckedExpression }
  | { readonly ok: false; readonly finding: ExpressionFinding } {
  const environment = environments[use];
  const result = environment.check(expression.source);
  if (!result.valid) {
    const message = result.error?.summary ?? 'invalid expression';
    return fail(message, expectedFor(environment, use, message), result.error?.range?.start ?? 0);
  }
  const allowed = RESULT_TYPES[use];
  if (!allowed.includes(result.type ?? '')) {
    return fail(
      `the expression gives ${result.type ?? 'nothing'}`,
      `an expression that gives ${allowed.join(', ')}`,
      0,
    );
  }
  const run = environment.parse(expression.source);
  const walked = readsOf(run.ast);
  return 'reads' in walked
    ? { ok: true, checked: { expression, run, reads: walked.reads, type: result.type ?? '' } }
    : { ok: false, finding: walked };
}

function fail(message: string, expected: string, offset: number): { ok: false; finding: ExpressionFinding } {
  return { ok: false, finding: { message, expected, offset } };
}

function expectedFor(environment: Environment, use: ExpressionUse, message: string): string {
  if (message.startsWith('Unknown variable')) {
    return `one of ${environment
      .getDefinitions()
      .variables.map((variable) => variable.name)
      .join(', ')}`;
  }
  if (message.startsWith('No such key')) {
    return 'a declared field (docs/policy.md); a free HR attribute is read as person.custom.NAME or employment.custom.NAME';
  }
  if (message.startsWith('no such overload')) {
    return 'operands of one type; HR attributes are text';
  }
  return `a CEL expression that gives ${RESULT_TYPES[use].join(', ')}`;
}

/** Every field an expression reads, or a finding when it reads in a way that cannot be known beforehand. */
function readsOf(ast: ASTNode): { readonly reads: ReadonlySet<string> } | ExpressionFinding {
  const reads = new Set<string>();
  let finding: ExpressionFinding | undefined;
  const visit = (node: ASTNode): void => {
    const path = fieldPath(node);
    if (path !== undefined) {
      reads.add(path.join('.'));
      if (path.at(-1) === 'custom' && path.length === 2) {
        finding ??= {
          message: 'a custom attribute is read without its name',
          expected: `${path.join('.')}.NAME`,
          offset: node.start,
        };
      }
      return;
    }
    if (node.op === 'call' && node.args[0] === 'has') {
      finding ??= {
        message: 'has() is always true here',
        expected: 'a comparison with "": a missing value reads as empty text',
        offset: node.start,
      };
    }
    childrenOf(node).forEach(visit);
  };
  visit(ast);
  return finding ?? { reads };
}

function fieldPath(node: ASTNode): readonly string[] | undefined {
  if (node.op === 'id') {
    return [node.args];
  }
  if (node.op === '.') {
    const parent = fieldPath(node.args[0]);
    return parent && parent.length < 3 ? [...parent, node.args[1]] : undefined;
  }
  if (node.op === '[]' && node.args[1].op === 'value' && typeof node.args[1].args === 'string') {
    const parent = fieldPath(node.args[0]);
    return parent?.length === 2 ? [...parent, node.args[1].args] : undefined;
  }
  return undefined;
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  const found: ASTNode[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) {
      value.forEach(collect);
    } else if (typeof value === 'object' && value !== null && 'op' in value && 'args' in value) {
      found.push(value as ASTNode);
    }
  };
  collect(node.args);
  return found;
}

/** Runs a checked expression. Throws PolicyEvaluationError without any value in its text. Pure. */
export function runExpression(checked: CheckedExpression, context: Record<string, unknown>): unknown {
  try {
    return checked.run(context) as unknown;
  } catch (error) {
    throw new PolicyEvaluationError(checked.expression, error instanceof EvaluationError ? error.code : 'unexpected');
  }
}
