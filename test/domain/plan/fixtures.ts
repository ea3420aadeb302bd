import { compilePolicy } from '../../../src/domain/policy/compile.js';
import type { CompiledPolicy, PolicyFiles } from '../../../src/domain/policy/types.js';
import { stateAt } from '../../../src/domain/ledger/state.js';
import type { Fact, PersonState, Statement } from '../../../src/domain/ledger/types.js';
import type { DesiredInput } from '../../../src/domain/plan/grants.js';
import { desiredAccounts } from '../../../src/domain/plan/desired.js';
import { planPhase } from '../../../src/domain/plan/plan.js';
import type { PlanInput } from '../../../src/domain/plan/plan.js';
import type { ActualAccount, Plan } from '../../../src/domain/plan/types.js';
import type {
  AccountId,
  ApplicationSlug,
  EmploymentId,
  FactId,
  IdentityId,
  Instant,
  LocalDate,
  ZoneId,
} from '../../../src/domain/process/ids.js';
import type { OperationKind } from '../../../src/domain/process/kinds.js';
import { loadPolicyFiles } from '../../../src/policy/load.js';

export const sampleFiles: PolicyFiles = await loadPolicyFiles('policy');

export function compiled(files: PolicyFiles): CompiledPolicy {
  const result = compilePolicy(files);
  if (!result.ok) {
    throw new Error(JSON.stringify(result.problems, null, 1));
  }
  return result.policy;
}

/** The sample policy with some files changed by plain text replacement; refuses a replacement that does not happen. */
export function changedFiles(changes: Readonly<Record<string, readonly (readonly [string, string])[]>>): PolicyFiles {
  return sampleFiles.map((file) => ({
    ...file,
    text: (changes[file.path] ?? []).reduce((text, [from, to]) => {
      if (!text.includes(from)) {
        throw new Error(`${file.path} does not contain ${from}`);
      }
      return text.replace(from, to);
    }, file.text),
  }));
}

export const samplePolicy = compiled(sampleFiles);

export const slug = (text: string): ApplicationSlug => text as ApplicationSlug;
export const instant = (text: string): Instant => text as Instant;
export const date = (text: string): LocalDate => text as LocalDate;
export const BERLIN = 'Europe/Berlin' as ZoneId;

let sequence = 0;

export function fact(employment: string, statement: Statement): Fact {
  sequence += 1;
  return {
    factId: `f-${sequence}` as FactId,
    identityId: 'i-1' as IdentityId,
    employmentId: employment as EmploymentId,
    source: 'hr',
    sourceEventId: `e-${sequence}`,
    sourceVersion: sequence,
    recordedAt: instant('2026-01-01T00:00:00.000Z'),
    statement,
  };
}

export function hire(
  employment: string,
  startOn: string,
  attributes: Readonly<Record<string, string | null>>,
  more: Partial<Extract<Statement, { kind: 'hire' }>> = {},
): Fact {
  const names = { givenName: 'Ada', familyName: 'Berger', employeeNumber: '1001', ...attributes };
  return fact(employment, {
    kind: 'hire',
    startOn: date(startOn),
    zone: BERLIN,
    worker: 'employee',
    manager: null,
    attributes: names,
    ...more,
  });
}

export function desiredInput(facts: readonly Fact[], at: string, more: Partial<DesiredInput> = {}): DesiredInput {
  const state: PersonState = stateAt(facts, instant(at));
  return {
    policy: samplePolicy,
    identityId: 'i-1' as IdentityId,
    state,
    assignments: [],
    account: { userName: 'ada.berger', mail: 'ada.berger@example.com' },
    at: instant(at),
    ...more,
  };
}

export const FULL: readonly OperationKind[] = [
  'create',
  'update',
  'rename',
  'enable',
  'disable',
  'seal',
  'revoke-sessions',
  'revoke-credentials',
  'check-in',
  'hand-over-credential',
  'add-entitlement',
  'remove-entitlement',
  'transfer-ownership',
  'set-forwarding',
  'archive',
  'anonymise',
  'delete',
];

/** What a target can do that knows of nothing beside accounts, sessions and groups. */
const BEYOND: readonly OperationKind[] = [
  'revoke-credentials',
  'check-in',
  'transfer-ownership',
  'set-forwarding',
  'anonymise',
];
export const PLAIN: readonly OperationKind[] = FULL.filter((kind) => !BEYOND.includes(kind));

export const CAPABILITIES: ReadonlyMap<ApplicationSlug, readonly OperationKind[]> = new Map([
  [slug('directory'), PLAIN],
  [slug('erp'), PLAIN.filter((kind) => kind !== 'revoke-sessions')],
  [slug('wiki'), PLAIN],
  [slug('badge'), []],
]);

export function actualAccount(application: string, more: Partial<ActualAccount> = {}): ActualAccount {
  return {
    accountId: `a-${application}` as AccountId,
    application: slug(application),
    nativeId: `n-${application}`,
    login: 'ada.berger',
    status: 'enabled',
    attributes: {},
    entitlements: [],
    archived: false,
    sealed: false,
    ...more,
  };
}

/** Plans one phase of what the facts say at `at`, at that very instant unless told otherwise. */
export function plan(
  facts: readonly Fact[],
  at: string,
  more: Partial<PlanInput> & Pick<PlanInput, 'phase'>,
  desired: Partial<DesiredInput> = {},
): Plan {
  return planPhase({
    policy: desired.policy ?? samplePolicy,
    kind: 'joiner',
    desired: desiredAccounts(desiredInput(facts, at, desired)),
    actual: [],
    approvals: new Map(),
    capabilities: CAPABILITIES,
    now: instant(at),
    desiredAt: instant(at),
    ...more,
  });
}

export function keys(result: Plan): readonly string[] {
  return result.visits.flatMap((visit) => visit.operations.map((one) => one.key));
}
