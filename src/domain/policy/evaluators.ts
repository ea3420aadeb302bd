import type { AttributeValue } from '../plan/types.js';
import { runExpression } from './expressions.js';
import type { CheckedExpression } from './expressions.js';
import type { ExpressionFields, MappingContext, PolicyEvaluators, RuleContext, SubjectFields } from './types.js';

export interface PolicyExpressions {
  readonly rules: ReadonlyMap<string, CheckedExpression>;
  readonly logins: ReadonlyMap<string, CheckedExpression>;
  readonly attributes: ReadonlyMap<string, ReadonlyMap<string, CheckedExpression>>;
  readonly userNames: readonly CheckedExpression[];
  readonly serviceAccounts: ReadonlyMap<string, CheckedExpression>;
}

const ATTRIBUTE = 'account.attributes.';

/** The target's attributes that an expression about service accounts reads. */
export function attributesReadBy(expression: CheckedExpression): readonly string[] {
  return [...expression.reads].flatMap((path) => (path.startsWith(ATTRIBUTE) ? [path.slice(ATTRIBUTE.length)] : []));
}

/** Binds checked expressions to the four questions a policy answers. The evaluators are pure; see PolicyEvaluators for what they promise. */
export function createEvaluators(expressions: PolicyExpressions): PolicyEvaluators {
  const complete = contextCompleter(expressions);
  return {
    roleHolds(role, context) {
      const rule = expressions.rules.get(role);
      return rule !== undefined && runExpression(rule, complete(context)) === true;
    },
    login(application, context) {
      const login = expressions.logins.get(application);
      return login === undefined ? '' : String(runExpression(login, complete(context)));
    },
    attributes(application, context) {
      const filled = complete(context);
      const values: Record<string, AttributeValue> = {};
      for (const [name, expression] of expressions.attributes.get(application) ?? []) {
        const value = attributeValue(expression, runExpression(expression, filled), context);
        if (value !== undefined) {
          values[name] = value;
        }
      }
      return values;
    },
    isServiceAccount(application, { login, attributes, entitlements }) {
      const expression = expressions.serviceAccounts.get(application);
      if (expression === undefined) return false;
      // What the target does not say reads as empty text.
      const values = Object.fromEntries(attributesReadBy(expression).map((name) => [name, textOf(attributes[name])]));
      const account = { login, attributes: values, entitlements: [...entitlements] };
      return runExpression(expression, { account }) === true;
    },
    userName(index, name, n) {
      const pattern = expressions.userNames[index];
      return pattern === undefined ? '' : String(runExpression(pattern, { name, n: BigInt(n) }));
    },
    usesCounter: (index) => expressions.userNames[index]?.reads.has('n') ?? false,
  };
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** Empty text means: clear when HR cleared one of the fields it was made from, leave alone when HR never stated them, else empty text itself. */
function attributeValue(
  expression: CheckedExpression,
  result: unknown,
  context: MappingContext,
): AttributeValue | undefined {
  if (typeof result === 'bigint') {
    return Number(result);
  }
  if (Array.isArray(result)) {
    return result.map(String);
  }
  if (result !== '') {
    return typeof result === 'string' || typeof result === 'boolean' || typeof result === 'number' ? result : null;
  }
  const origins = [...expression.reads].map((field) => emptiness(field, context));
  if (origins.includes('cleared')) {
    return null;
  }
  return origins.includes('missing') ? undefined : '';
}

function emptiness(field: string, context: MappingContext): 'cleared' | 'missing' | undefined {
  const known = context.empty.get(field);
  if (known !== undefined || !field.includes('.custom.')) {
    return known;
  }
  const [subject, , ...rest] = field.split('.');
  const custom = subject === 'employment' ? context.employment.custom : context.person.custom;
  return custom[rest.join('.')] === undefined ? 'missing' : undefined;
}

/** Custom attributes that some expression reads and this person does not have read as empty text. Completed once per subject. */
function contextCompleter(expressions: PolicyExpressions): (context: RuleContext) => Record<string, unknown> {
  const all = [
    ...expressions.rules.values(),
    ...expressions.logins.values(),
    ...[...expressions.attributes.values()].flatMap((mappings) => [...mappings.values()]),
  ];
  const names = [...new Set(all.flatMap((expression) => [...expression.reads]))]
    .map((field) => /^(?:person|employment)\.custom\.(.+)$/.exec(field)?.[1])
    .filter((name): name is string => name !== undefined);
  const blank: ExpressionFields = Object.fromEntries(names.map((name) => [name, '']));
  const cache = new WeakMap<SubjectFields, SubjectFields>();
  const completed = (subject: SubjectFields): SubjectFields => {
    const known = cache.get(subject) ?? { ...subject, custom: { ...blank, ...subject.custom } };
    cache.set(subject, known);
    return known;
  };
  return (context) => ({
    ...context,
    person: completed(context.person),
    employment: completed(context.employment),
  });
}
