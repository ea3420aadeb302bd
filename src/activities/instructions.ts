import type { Instructions, ManualOperation } from '../connectors/connector.js';
import type { OperatorTaskTable } from '../db/schema.js';
import type { Operation } from '../domain/plan/types.js';
import type { OperationKind } from '../domain/process/kinds.js';
import { TenureError } from './lib/boundary.js';
import type { VisitContext } from './visit/load.js';
import type { AccountRow } from './visit/load.js';

/** The words of the manual templates for an operation of a plan. */
const WORD_OF: Readonly<Record<OperationKind, ManualOperation | undefined>> = {
  create: 'create',
  update: 'update',
  rename: 'update',
  enable: 'enable',
  disable: 'disable',
  seal: 'disable',
  'revoke-sessions': 'disable',
  'revoke-credentials': 'revoke-credentials',
  'check-in': 'check-in',
  'hand-over-credential': undefined,
  'add-entitlement': 'grant',
  'remove-entitlement': 'revoke',
  'transfer-ownership': 'transfer-ownership',
  'set-forwarding': 'set-forwarding',
  archive: 'archive',
  anonymise: 'anonymise',
  delete: 'delete',
  manual: undefined,
};

const GENERAL: Readonly<Record<OperatorTaskTable['kind'], string>> = {
  visit: 'Something about this person needs a decision.',
  manual: 'Do this by hand and say how it can be seen.',
  leave: 'A leave of absence begins or ends: suspend the access, or give it back, by hand.',
  correlation: 'Decide to whom the account belongs.',
  process:
    'This process cannot go on by itself. Put right what the code names (a failing expression: publish a corrected policy), then retry: it goes on with the newest policy.',
  orphan: 'A service account cannot be ended, or kept, without a word of yours.',
  'came-back': 'An account that a cut had closed lives again. It was cut once more; find out who or what opened it.',
  'last-administrator':
    'Nobody else is left who administers what is named here; this person’s access ends all the same, and on time. Give the administrative right to somebody who works here and let them try it, then answer "done by hand". Code administrators-unknown: the target could not say who else there is, so look there.',
  'contract-end':
    'The contract ends soon, and there was nobody to tell, or no mail server to tell them by. Find out who answers for this person, and whether HR has to extend it: the access ends with it.',
  'do-not-rehire': 'HR set the do-not-rehire flag, so nothing was provisioned. Clear it with HR, or skip.',
};

/**
 * What the operator of a task reads: for work by hand each step from the application's templates, for a visit in trouble what was planned. May hold
 * personal values: it is encrypted into the database and never reaches Temporal.
 */
export function taskInstructions(
  kind: OperatorTaskTable['kind'],
  visit: VisitContext | undefined,
  account: AccountRow | undefined,
): string {
  if (visit === undefined) return GENERAL[kind];
  const { application, planned } = visit;
  const steps = planned.operations.flatMap((operation) => operation.steps ?? [operation]);
  const rendered = steps.flatMap((step) => {
    const word = WORD_OF[step.kind];
    return word === undefined ? [] : [wordsFor(visit, word, valuesOf(step, account))];
  });
  const lines = [...new Set(rendered.map((one) => `- ${one.text}`))];
  const intro = application.instructions ?? rendered[0]?.system ?? application.name;
  const proof = kind === 'manual' && rendered[0] !== undefined ? ['', `Proof: ${rendered[0].proof}`] : [];
  return [intro, '', ...lines, ...proof].join('\n');
}

/** The connector's own words, else general ones. */
function wordsFor(
  visit: VisitContext,
  word: ManualOperation,
  values: Readonly<Record<string, string | undefined>>,
): Instructions {
  const own = ownWords(visit, word, values);
  if (own !== undefined) return own;
  const what = [word, values['entitlement'], values['login'], values['changes']].filter((part) => part !== undefined);
  const proof = 'Say what you did, and where it can be seen.';
  return { system: visit.application.name, text: what.join(' '), proof, missing: [] };
}

/** A connector that cannot be opened has no words of its own; the person is asked all the same. */
function ownWords(
  visit: VisitContext,
  word: ManualOperation,
  values: Readonly<Record<string, string | undefined>>,
): Instructions | undefined {
  try {
    return visit.connector.instructions?.(word, values);
  } catch (error) {
    if (error instanceof TenureError) return undefined;
    throw error;
  }
}

function valuesOf(step: Operation, account: AccountRow | undefined): Readonly<Record<string, string | undefined>> {
  const texts = Object.entries(step.attributes ?? account?.attributes ?? {}).map(([name, value]) => [
    name,
    value === null ? '' : String(value),
  ]);
  const changes = (step.differences ?? []).map(
    ({ attribute, to }) => `${attribute} = ${to === null ? '(empty)' : String(to)}`,
  );
  return {
    ...(Object.fromEntries(texts) as Record<string, string>),
    login: step.login ?? account?.login,
    entitlement: step.entitlement,
    changes: changes.join(', '),
    heir: step.heir?.login,
    delegate: step.forwarding?.to,
    reply: step.forwarding?.autoReply === undefined ? '(no answer)' : step.forwarding.autoReply.text,
  };
}
