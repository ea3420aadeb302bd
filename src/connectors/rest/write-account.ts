import type {
  AccountRef,
  AccountSpec,
  AttributeDelta,
  Attributes,
  AttributeValue,
  MutationResult,
  OperationContext,
} from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import { Secret } from '../secret.js';
import { effectiveDeltas } from '../shared/attributes.js';
import type { HttpAnswer } from '../shared/http/client.js';
import { requireSeen, searchAccounts } from './accounts.js';
import type { RestConfig } from './config.js';
import type { Step } from './config-parts.js';
import type { RestContext, Run } from './context.js';
import { refOf, runOf } from './context.js';
import { accountVariables } from './observe.js';
import { places } from './places.js';
import { runSteps } from './steps.js';
import { answerVariables, asText, readAnswer } from './values.js';
import type { Variables } from './values.js';
import { requireAccount } from '../shared/object-class.js';

type CreateConfig = NonNullable<RestConfig['operations']['create']>;

/**
 * Creates an account. One that carries the adoption key already is adopted, so that a lost answer never makes a second one; a login that is taken by
 * another is ALREADY_EXISTS. The steps under `then` are done again by a repeat as far as their `when` says that they are needed.
 */
export async function createAccount(
  rest: RestContext,
  create: CreateConfig,
  spec: AccountSpec,
  ctx: OperationContext,
): Promise<MutationResult> {
  requireAccount(spec.objectClass, 'create');
  const run = runOf(rest, 'create', ctx);
  const { adoptionKey } = rest.config;
  const key = adoptionKey === undefined ? undefined : (asKey(spec.attributes[adoptionKey]) ?? ctx.idempotencyKey);
  const attributes =
    adoptionKey === undefined || key === undefined ? spec.attributes : { ...spec.attributes, [adoptionKey]: key };
  for (const [name, value] of Object.entries(spec.attributes)) requireValue(rest, name, value, 'create');
  requireComplete(rest, attributes);
  const variables = { login: spec.login, enabled: spec.enabled, attributes: withoutEmpty(attributes) };
  const adopted = await byKey(rest, key, run);
  if (adopted !== undefined) {
    const done = await finish(rest, create, adopted, variables, 0, run);
    return { outcome: done === 0 ? 'already-in-state' : 'applied', ref: adopted, changed: [] };
  }
  try {
    const ref = await createNew(rest, create, spec, variables, key, run);
    await finish(rest, create, ref, variables, 1, run);
    return { outcome: 'applied', ref, changed: createdDeltas(spec) };
  } catch (error) {
    // Two tries of one step at the same time: the other one won, and its account is ours.
    const isTaken = isConnectorError(error) && error.code === 'ALREADY_EXISTS';
    const winner = isTaken ? await byKey(rest, key, run) : undefined;
    if (winner === undefined) throw error;
    await finish(rest, create, winner, variables, 0, run);
    return { outcome: 'already-in-state', ref: winner, changed: [] };
  }
}

async function createNew(
  rest: RestContext,
  create: CreateConfig,
  spec: AccountSpec,
  variables: Variables,
  key: string | undefined,
  run: Run,
): Promise<AccountRef> {
  // Not every target refuses a login that is taken.
  const taken = await searchAccounts(rest, { attribute: 'login', value: spec.login }, run);
  if (taken.length > 0) throw new ConnectorError({ code: 'ALREADY_EXISTS', operation: 'create', sent: false });
  let answer: HttpAnswer | undefined;
  const onAnswer = (last: HttpAnswer): void => void (answer = last);
  // For targets that insist on a first password: nobody knows it.
  const withSecret = { ...variables, randomText: Secret.random().reveal() };
  await runSteps(rest, create.steps, { place: places.create, variables: withSecret, onAnswer }, run);
  return createdRef(rest, create, answer, spec, key, run);
}

async function createdRef(
  rest: RestContext,
  create: CreateConfig,
  answer: HttpAnswer | undefined,
  spec: AccountSpec,
  key: string | undefined,
  run: Run,
): Promise<AccountRef> {
  const seen = answer === undefined ? undefined : answerVariables(answer, rest.config.values);
  const id = seen === undefined ? undefined : asText(readAnswer(places.answer, create.id, seen, 'create'));
  if (id !== undefined && id !== '') return refOf(rest, id);
  const found =
    (await byKey(rest, key, run)) ??
    (await searchAccounts(rest, { attribute: 'login', value: spec.login }, run))[0]?.observed.ref;
  if (found !== undefined) return found;
  throw new ConnectorError({ code: 'AMBIGUOUS', operation: 'create', sent: true, targetCode: 'no-id' });
}

async function finish(
  rest: RestContext,
  create: CreateConfig,
  ref: AccountRef,
  variables: Variables,
  doneBefore: number,
  run: Run,
): Promise<number> {
  if (create.then === undefined) return 0;
  const account = accountVariables(await requireSeen(rest, ref, run));
  const scope = { place: places.afterCreate, variables: { ...variables, account }, ref, doneBefore };
  return runSteps(rest, create.then, scope, run);
}

async function byKey(rest: RestContext, key: string | undefined, run: Run): Promise<AccountRef | undefined> {
  const { adoptionKey } = rest.config;
  if (adoptionKey === undefined || key === undefined) return undefined;
  const found = await searchAccounts(rest, { attribute: adoptionKey, value: key }, run);
  if (found.length > 1) {
    throw new ConnectorError({ code: 'CONFLICT', operation: run.operation, sent: false, targetCode: 'two-accounts' });
  }
  return found[0]?.observed.ref;
}

/** Applies what really changes of the deltas; `login` renames and keeps the id where the target can. */
export async function updateAccount(
  rest: RestContext,
  steps: readonly Step[],
  ref: AccountRef,
  deltas: readonly AttributeDelta[],
  ctx: OperationContext,
): Promise<MutationResult> {
  const run = runOf(rest, 'update', ctx);
  for (const { attribute, value } of deltas) {
    if (attribute !== 'login') requireValue(rest, attribute, value, 'update');
  }
  const seen = await requireSeen(rest, ref, run);
  const before = { ...seen.observed.attributes, login: seen.observed.login };
  const changed = effectiveDeltas(before, deltas);
  if (changed.length === 0) return { outcome: 'already-in-state', ref, changed: [] };
  const { login, ...attributes } = Object.fromEntries([
    ...Object.entries(before),
    ...changed.map(({ attribute, value }) => [attribute, value] as const),
  ]) as Record<string, AttributeValue>;
  requireLogin(rest, login, changed);
  for (const { attribute, value } of changed) requireNotEmptied(rest, attribute, value);
  const changes = Object.fromEntries(changed.map(({ attribute, value }) => [attribute, value]));
  const variables = { login, attributes: withoutEmpty(attributes), changes, account: accountVariables(seen) };
  const done = await runSteps(rest, steps, { place: places.update, variables, ref }, run);
  // No step is for these attributes: the target cannot take them.
  if (done === 0) throw invalid('update', changed[0]?.attribute ?? 'login');
  return { outcome: 'applied', ref, changed };
}

function requireLogin(
  rest: RestContext,
  login: AttributeValue | undefined,
  changed: readonly AttributeDelta[],
): asserts login is string {
  const isRenamed = changed.some(({ attribute }) => attribute === 'login');
  if (typeof login !== 'string' || (isRenamed && login === '')) throw invalid('update', 'login');
  if (isRenamed && !rest.config.rename) {
    throw new ConnectorError({ code: 'UNSUPPORTED', operation: 'update', sent: false, attribute: 'login' });
  }
}

function requireNotEmptied(rest: RestContext, attribute: string, value: AttributeValue): void {
  if (rest.config.attributes[attribute]?.required === true && isEmpty(value)) throw invalid('update', attribute);
}

function requireComplete(rest: RestContext, attributes: Attributes): void {
  for (const [name, config] of Object.entries(rest.config.attributes)) {
    if (config.required && isEmpty(attributes[name])) throw invalid('create', name);
  }
}

/** Refuses what the configuration does not know, does not write, or has another type for. */
function requireValue(rest: RestContext, name: string, value: AttributeValue, operation: string): void {
  const config = Object.hasOwn(rest.config.attributes, name) ? rest.config.attributes[name] : undefined;
  if (config === undefined || !config.writable) throw invalid(operation, name);
  if (value === null || value === '') return;
  // A single value in a delta of a list is added to it or taken from it.
  const isRight = config.type === 'strings' ? true : typeof value === config.type;
  if (!isRight) throw invalid(operation, name);
}

function isEmpty(value: AttributeValue | undefined): boolean {
  return value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

/** Attributes without a value are not there for expressions: `attributes.?title`. */
function withoutEmpty(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => !isEmpty(value)));
}

function asKey(value: AttributeValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function createdDeltas(spec: AccountSpec): readonly AttributeDelta[] {
  const all = { login: spec.login, ...spec.attributes };
  return Object.entries(all).map(([attribute, value]) => ({ attribute, op: 'replace', value }));
}

function invalid(operation: string, attribute: string): ConnectorError {
  return new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
}
