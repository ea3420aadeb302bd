import { brand } from '../process/ids.js';
import type { ApplicationSlug, PolicyVersion } from '../process/ids.js';
import { canonicalHash } from '../plan/canonical.js';
import { attributesReadBy, createEvaluators } from './evaluators.js';
import type { PolicyExpressions } from './evaluators.js';
import { checkExpression, createEnvironments } from './expressions.js';
import type { CheckedExpression, ExpressionEnvironments, ExpressionUse } from './expressions.js';
import { crossCheck } from './cross-check.js';
import type { ConfigCheck } from './cross-check.js';
import { readPolicyFiles } from './read-files.js';
import type { SourcedFile } from './read-files.js';
import { durationMs } from './schemas.js';
import type { ApplicationFile, LifecycleFile, RoleFile } from './schemas.js';
import type {
  ApplicationPolicy,
  CompiledPolicy,
  Expression,
  HandoverPolicy,
  MailDelegation,
  LifecyclePolicy,
  PolicyFiles,
  PolicyProblem,
  RolePolicy,
  ServiceAccountPolicy,
  TierPolicy,
} from './types.js';
import type { YamlPath } from './yaml-source.js';

export interface CompileOptions {
  /** Row version in the database; 0 for a policy that is not stored. */
  readonly version?: PolicyVersion;
  /** Connector kind -> check of its configuration (messages by path). Without it connector configurations are not checked. */
  readonly connectors?: ReadonlyMap<string, ConfigCheck>;
}

export type CompileResult =
  | { readonly ok: true; readonly policy: CompiledPolicy }
  | { readonly ok: false; readonly problems: readonly PolicyProblem[] };

/**
 * Checks and compiles a policy from its source text: YAML, schemas, references, secrets, CEL types. Never throws for bad input; all problems are
 * returned at once, each with file, line, expression and what was expected. Pure: the same files give the same policy and hash.
 */
export function compilePolicy(files: PolicyFiles, options: CompileOptions = {}): CompileResult {
  const read = readPolicyFiles(files);
  const problems: PolicyProblem[] = [...read.problems, ...crossCheck(read, options.connectors)];
  const compiler = new ExpressionCompiler(problems);
  const applications = read.applications.map((file) => compiler.application(file));
  const roles = read.roles.map((file) => compiler.role(file));
  const lifecycle = read.lifecycle ? compiler.lifecycle(read.lifecycle) : undefined;
  if (problems.length > 0 || !lifecycle) {
    return { ok: false, problems: sortProblems(problems) };
  }
  const bySlug = <T extends { slug: string }>(a: T, b: T): number => (a.slug < b.slug ? -1 : 1);
  const policy: CompiledPolicy = {
    version: options.version ?? brand<PolicyVersion>(0),
    hash: policyHash(files),
    applications: [...applications].sort(bySlug),
    roles: [...roles].sort(bySlug),
    lifecycle,
    files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)),
    evaluate: createEvaluators(compiler.expressions),
  };
  return { ok: true, policy };
}

/** Hash over paths and contents of the source files, whatever their order. */
export function policyHash(files: PolicyFiles): string {
  return canonicalHash(Object.fromEntries(files.map((file) => [file.path, file.text])));
}

function sortProblems(problems: readonly PolicyProblem[]): readonly PolicyProblem[] {
  return [...problems].sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
}

/** Turns checked files into policy objects and collects their expressions on the way. */
class ExpressionCompiler {
  readonly #environments: ExpressionEnvironments = createEnvironments();
  readonly #problems: PolicyProblem[];
  readonly expressions = {
    rules: new Map<string, CheckedExpression>(),
    logins: new Map<string, CheckedExpression>(),
    attributes: new Map<string, Map<string, CheckedExpression>>(),
    userNames: [] as CheckedExpression[],
    serviceAccounts: new Map<string, CheckedExpression>(),
  } satisfies PolicyExpressions;

  constructor(problems: PolicyProblem[]) {
    this.#problems = problems;
  }

  application(file: SourcedFile<ApplicationFile>): ApplicationPolicy {
    const { settle, sweepTimeout, slug, dependsOn, login, attributes, canaryLogin, instructions, ...others } =
      file.value;
    const { quarantine, rate, site, handover, leave, canaryAttributes, serviceAccounts, ...rest } = others;
    this.#check(file, 'login', ['login'], login, (checked) => this.expressions.logins.set(slug, checked));
    const mappings = new Map<string, CheckedExpression>();
    for (const [name, source] of Object.entries(attributes)) {
      this.#check(file, 'attribute', ['attributes', name], source, (checked) => mappings.set(name, checked));
    }
    this.expressions.attributes.set(slug, mappings);
    return {
      ...rest,
      slug: brand<ApplicationSlug>(slug),
      dependsOn: dependsOn.map((other) => brand<ApplicationSlug>(other)),
      login: expressionAt(file, ['login'], login),
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([name, source]) => [name, expressionAt(file, ['attributes', name], source)]),
      ),
      settleMs: durationMs(settle),
      sweepTimeoutMs: durationMs(sweepTimeout),
      quarantine: {
        after: quarantine.after,
        pauseMs: durationMs(quarantine.pause),
        longestPauseMs: durationMs(quarantine.longestPause),
      },
      ...(handover === undefined ? {} : { handover: handoverOf(handover) }),
      ...(serviceAccounts === undefined ? {} : { serviceAccounts: this.#serviceAccounts(file, serviceAccounts) }),
      ...(leave === undefined ? {} : { leave: { mail: delegationOf(leave.mail) } }),
      ...(rate === undefined ? {} : { rate }),
      ...(site === undefined ? {} : { site }),
      ...(canaryLogin === undefined ? {} : { canaryLogin }),
      ...(canaryAttributes === undefined ? {} : { canaryAttributes }),
      ...(instructions === undefined ? {} : { instructions }),
    };
  }

  #serviceAccounts(
    file: SourcedFile<ApplicationFile>,
    { when, secrets }: NonNullable<ApplicationFile['serviceAccounts']>,
  ): ServiceAccountPolicy {
    if (when === undefined) return { reads: [], secrets };
    const path = ['serviceAccounts', 'when'];
    let reads: readonly string[] = [];
    this.#check(file, 'service-account', path, when, (checked) => {
      this.expressions.serviceAccounts.set(file.value.slug, checked);
      reads = attributesReadBy(checked);
    });
    return { when: expressionAt(file, path, when), reads, secrets };
  }

  role(file: SourcedFile<RoleFile>): RolePolicy {
    const { slug, name, when, cutAtNotice, grants } = file.value;
    if (when !== undefined) {
      this.#check(file, 'rule', ['when'], when, (checked) => this.expressions.rules.set(slug, checked));
    }
    return {
      slug,
      name,
      cutAtNotice,
      ...(when === undefined ? {} : { when: expressionAt(file, ['when'], when) }),
      grants: grants.map(({ application, entitlement, sensitive }) => ({
        application: brand<ApplicationSlug>(application),
        sensitive,
        ...(entitlement === undefined ? {} : { entitlement }),
      })),
    };
  }

  lifecycle(file: SourcedFile<LifecycleFile>): LifecyclePolicy {
    const {
      tiers,
      visitPatience,
      recutSettle,
      staysDead,
      userNames,
      killSwitch,
      contractEnd,
      serviceAccounts,
      erasure,
      ...rest
    } = file.value;
    const path = (index: number): YamlPath => ['userNames', 'patterns', index];
    userNames.patterns.forEach((source, index) => {
      this.#check(file, 'user-name', path(index), source, (checked) => this.expressions.userNames.push(checked));
    });
    return {
      ...rest,
      tiers: {
        T1: tierOf(tiers.T1),
        T2: tierOf(tiers.T2),
        T3: tierOf(tiers.T3),
        T4: tierOf(tiers.T4),
      },
      contractEnd: { warnDays: [...new Set(contractEnd.warnDays)].sort((a, b) => b - a) },
      visitPatienceMs: durationMs(visitPatience),
      recutSettleMs: durationMs(recutSettle),
      staysDeadMs: staysDead.map(durationMs).sort((a, b) => a - b),
      killSwitch: {
        fourEyesAbove: killSwitch.fourEyesAbove,
        atMost: killSwitch.atMost,
        proposalExpiresAfterMs: durationMs(killSwitch.proposalExpiresAfter),
      },
      serviceAccounts: { owners: serviceAccounts.owners, screamTestMs: durationMs(serviceAccounts.screamTest) },
      erasure: {
        keepDays: erasure.keepDays,
        proposalExpiresAfterMs: durationMs(erasure.proposalExpiresAfter),
      },
      userNames: {
        ...userNames,
        patterns: userNames.patterns.map((source, index) => expressionAt(file, path(index), source)),
      },
    };
  }

  #check(
    file: SourcedFile<unknown>,
    use: ExpressionUse,
    path: YamlPath,
    source: string,
    keep: (checked: CheckedExpression) => void,
  ): void {
    const result = checkExpression(this.#environments, use, expressionAt(file, path, source));
    if (result.ok) {
      keep(result.checked);
      return;
    }
    const { message, expected, offset } = result.finding;
    this.#problems.push({
      file: file.source.path,
      line: file.source.lineInText(path, offset),
      path: path.join('.'),
      expression: source,
      message,
      expected,
    });
  }
}

function tierOf({ deadline, operations }: LifecycleFile['tiers']['T1']): TierPolicy {
  const own = Object.entries(operations).map(([kind, text]) => [kind, durationMs(text)]);
  return { deadlineMs: durationMs(deadline), operations: Object.fromEntries(own) as TierPolicy['operations'] };
}

function handoverOf({ ownership, mail }: NonNullable<ApplicationFile['handover']>): HandoverPolicy {
  return {
    ...(ownership === undefined ? {} : { ownership }),
    ...(mail === undefined ? {} : { mail: delegationOf(mail) }),
  };
}

function delegationOf({ autoReply, ...mail }: NonNullable<ApplicationFile['leave']>['mail']): MailDelegation {
  return { ...mail, ...(autoReply === undefined ? {} : { autoReply }) };
}

function expressionAt(file: SourcedFile<unknown>, path: YamlPath, source: string): Expression {
  return { source, file: file.source.path, line: file.source.lineInText(path, 0) };
}
