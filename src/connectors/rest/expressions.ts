import { Environment, EvaluationError, Optional } from '@marcbachmann/cel-js';
import type { ParseResult } from '@marcbachmann/cel-js';
import type { Json, JsonObject } from '../shared/http/json.js';

/** What an expression's value is used as. */
export type Use = 'text' | 'bool' | 'list' | 'any';

const RESULT_TYPES: Readonly<Record<Use, RegExp>> = {
  text: /^(string|int|uint|double|bool|dyn|null|list.*|optional<.*>)$/,
  bool: /^(bool|dyn)$/,
  list: /^(list.*|dyn|optional<.*>)$/,
  any: /^(?!bytes|type|timestamp|duration).*$/,
};

/** The type of a variable: a CEL type, or fields with theirs. */
export type VariableType = string | Readonly<Record<string, string>>;

/** An expression failed while running. Names the kind of failure, never a value. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly code: string;
  constructor(code: string) {
    super(`expression failed (${code})`);
    this.code = code;
  }
}

/**
 * Expressions that see the same variables. CEL has no input, no output and no loops without an end, and nothing here gives it a clock or chance: all
 * expressions are pure. What was checked runs without being parsed again.
 */
export class Place {
  readonly #environment = new Environment({
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
    limits: { maxAstNodes: 2000, maxDepth: 50 },
  });
  readonly #parsed = new Map<string, ParseResult>();

  constructor(variables: Readonly<Record<string, VariableType>>) {
    this.#environment.registerFunction('merge(dyn, dyn): dyn', (left: unknown, right: unknown) => ({
      ...asMap(left),
      ...asMap(right),
    }));
    this.#environment.registerFunction('without(dyn, list): dyn', (map: unknown, names: unknown) => {
      const left = Array.isArray(names) ? names : [];
      return Object.fromEntries(Object.entries(asMap(map)).filter(([name]) => !left.includes(name)));
    });
    // A value inside a filter language stays inside its quotes.
    this.#environment.registerFunction('quoted(string): string', (text: string) => JSON.stringify(text));
    this.#environment.registerFunction('odata(string): string', (text: string) => `'${text.replaceAll("'", "''")}'`);
    for (const [name, type] of Object.entries(variables)) {
      if (typeof type === 'string') this.#environment.registerVariable(name, type);
      else this.#environment.registerVariable({ name, schema: { ...type } });
    }
  }

  /** What is wrong with an expression: syntax, an unknown variable or field, operands or a result of the wrong type. Undefined: nothing. */
  problem(source: string, use: Use): string | undefined {
    const shown = `expression ${JSON.stringify(source.length > 80 ? `${source.slice(0, 77)}...` : source)}`;
    const checked = this.#environment.check(source);
    if (!checked.valid) {
      const summary = checked.error?.summary ?? 'invalid expression';
      const known = summary.startsWith('Unknown variable') ? `; known here are ${this.#names().join(', ')}` : '';
      return `${shown}: ${summary}${known}`;
    }
    const type = checked.type ?? 'nothing';
    return RESULT_TYPES[use].test(type) ? undefined : `${shown}: gives ${type}, not ${use}`;
  }

  #names(): readonly string[] {
    return this.#environment.getDefinitions().variables.map((variable) => variable.name);
  }

  /** Runs an expression; a value that is not there is undefined. Throws ExpressionError. Pure. */
  run(source: string, variables: Readonly<Record<string, unknown>>): Json | undefined {
    let parsed = this.#parsed.get(source);
    if (parsed === undefined) {
      parsed = this.#environment.parse(source);
      this.#parsed.set(source, parsed);
    }
    let value: unknown;
    try {
      value = parsed({ ...variables }) as unknown;
    } catch (error) {
      throw new ExpressionError(error instanceof EvaluationError ? error.code : 'unexpected');
    }
    return toJson(value);
  }

  /** As `run`; what the target's answer does not have is undefined, too. */
  read(source: string, variables: Readonly<Record<string, unknown>>): Json | undefined {
    try {
      return this.run(source, variables);
    } catch (error) {
      if (error instanceof ExpressionError && ['no_such_key', 'index_out_of_bounds'].includes(error.code)) {
        return undefined;
      }
      throw error;
    }
  }
}

function asMap(value: unknown): Readonly<Record<string, unknown>> {
  const plain: unknown = value instanceof Optional ? value.orValue({}) : value;
  if (plain instanceof Map) return Object.fromEntries(plain) as Record<string, unknown>;
  return typeof plain === 'object' && plain !== null && !Array.isArray(plain) ? (plain as Record<string, unknown>) : {};
}

/** A CEL value as JSON: integers are numbers, an optional that holds nothing is left out. Throws ExpressionError for what JSON cannot say. */
export function toJson(value: unknown): Json | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return finite(value);
  if (typeof value === 'bigint') return finite(Number(value));
  if (value === undefined) return undefined;
  if (value instanceof Optional) return value.hasValue() ? toJson(value.value()) : undefined;
  if (Array.isArray(value)) return value.map(toJson).filter((item) => item !== undefined);
  if (value instanceof Map) return objectOf([...value]);
  if (typeof value === 'object' && isPlain(value)) return objectOf(Object.entries(value));
  throw new ExpressionError('not_json');
}

/** By name: an answer's objects may come from another realm than this module. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as { readonly constructor?: { readonly name?: string } } | null;
  return prototype === null || prototype.constructor?.name === 'Object';
}

function objectOf(entries: readonly (readonly [unknown, unknown])[]): JsonObject {
  const kept: [string, Json][] = [];
  for (const [name, value] of entries) {
    const json = toJson(value);
    if (json !== undefined) kept.push([String(name), json]);
  }
  return Object.fromEntries(kept);
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new ExpressionError('not_json');
  return value;
}
