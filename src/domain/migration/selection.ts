import { checkExpression, createEnvironments, runExpression } from '../policy/expressions.js';
import type { ExpressionFinding } from '../policy/expressions.js';
import type { RuleContext, SubjectFields } from '../policy/types.js';

export type Selection =
  | { readonly ok: true; readonly selects: (context: RuleContext) => boolean }
  | { readonly ok: false; readonly finding: ExpressionFinding };

/**
 * A CEL expression that says who moves, over `person` and `employment` as a role's rule has them. What is wrong with it comes back as a finding; running it may
 * throw PolicyEvaluationError. Pure.
 */
export function compileSelection(source: string): Selection {
  const checked = checkExpression(createEnvironments(), 'rule', { source, file: 'selection', line: 1 });
  if (!checked.ok) return checked;
  const blank = Object.fromEntries(
    [...checked.checked.reads].flatMap((read) => {
      const name = /^(?:person|employment)\.custom\.(.+)$/.exec(read)?.[1];
      return name === undefined ? [] : [[name, '']];
    }),
  );
  const completed = (subject: SubjectFields): SubjectFields => ({
    ...subject,
    custom: { ...blank, ...subject.custom },
  });
  return {
    ok: true,
    selects: (context) =>
      runExpression(checked.checked, {
        ...context,
        person: completed(context.person),
        employment: completed(context.employment),
      }) === true,
  };
}
