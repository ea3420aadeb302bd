import { randomUUID } from 'node:crypto';
import type { Capabilities, Connector, OperationContext, TargetSchema } from '../connectors/connector.js';
import { ConnectorConfigError, isConnectorError } from '../connectors/errors.js';
import type { ConnectorDeps, ConnectorRegistry } from '../connectors/registry.js';
import { SecretReferenceError, isSecretReference } from '../connectors/secret.js';
import type { SecretResolver } from '../connectors/secret.js';
import type { SourcedFile } from '../domain/policy/read-files.js';
import type { ApplicationFile } from '../domain/policy/schemas.js';
import type { PolicyProblem } from '../domain/policy/types.js';
import type { YamlPath } from '../domain/policy/yaml-source.js';
import { OPERATION_KINDS } from '../domain/process/kinds.js';
import { operationKinds } from '../planning/capabilities.js';
import { accountAttributes, correlationFindings, finder, mappingFindings } from './mapping.js';
import { reportOf } from './report.js';
import type { Ability, TestCheck, TestFinding, TestReport } from './report.js';
import type { Subject } from './subject.js';

const TIMEOUT_MS = 15_000;
const PAGE = 20;

export interface TestTools {
  readonly registry: ConnectorRegistry;
  readonly deps: ConnectorDeps;
  /** Reads ahead what a configuration's `vault:` references stand for; never throws. */
  prepare(config: unknown): Promise<void>;
  readonly signal: AbortSignal;
  /** Told before each check begins. */
  progress(check: TestCheck): void | Promise<void>;
}

/**
 * Tests one application against its live target and names what is wrong, with file and line where the file is to blame. Reads only: at the target nothing is
 * written, not even a sign-in is tried. Never throws for what a file, a secret or a target does; safe to repeat.
 */
export async function testApplication(subject: Subject, tools: TestTools): Promise<TestReport> {
  const run = new Run(subject.application?.value.slug ?? '');
  await run.check('configuration', tools, async () => subject.problems.map((one) => configurationFinding(one)));
  const { application } = subject;
  if (application === undefined) return run.report();
  await run.check('secrets', tools, async () => {
    await tools.prepare(application.value.config);
    return secretFindings(application, tools.deps.secrets);
  });
  if (run.hasFailed) return run.report();
  if (application.value.mode === 'manual') return run.report({ abilities: abilitiesOf(undefined) });
  const connector = await run.open(application, tools);
  if (connector === undefined) return run.report();
  try {
    return await live(run, application, connector, tools);
  } finally {
    await connector.close().catch(() => undefined);
  }
}

async function live(
  run: Run,
  file: SourcedFile<ApplicationFile>,
  connector: Connector,
  tools: TestTools,
): Promise<TestReport> {
  const context = () => contextFor(tools);
  const capabilities = connector.capabilities();
  const abilities = abilitiesOf(capabilities);
  let latencyMs = 0;
  await run.check('health', tools, async () => {
    const health = await connector.health(context());
    latencyMs = Math.round(health.latencyMs);
    const code = health.code ?? 'UNAVAILABLE';
    return health.ok
      ? []
      : [
          {
            check: 'health',
            severity: 'error',
            code,
            message: HEALTH[code] ?? 'the target does not answer as it should',
          },
        ];
  });
  if (run.hasFailed) return run.report({ abilities, latencyMs });
  await run.check('validate', tools, async () =>
    (await connector.validate(context())).map((finding) => ({ check: 'validate', ...finding })),
  );
  const schema = async () => connector.schema(context());
  await run.check('mapping', tools, async () => mappingFindings(file, await schema()));
  await run.check('correlation', tools, async () => correlationFindings(file, capabilities));
  let firstPage: TestReport['firstPage'];
  await run.check('list', tools, async () => {
    const page = await connector.list({ objectClass: 'account', pageSize: PAGE }, context());
    firstPage = { accounts: page.items.length, isAll: page.next === undefined };
    return [];
  });
  await run.check('canary', tools, async () => canaryFindings(file, connector, schema, context()));
  return run.report({ abilities, latencyMs, ...(firstPage === undefined ? {} : { firstPage }) });
}

/** The state of one test. What a check throws becomes a finding: type and code, never the text of a client library. */
class Run {
  readonly #findings: TestFinding[] = [];
  readonly #done = new Set<TestCheck>();
  constructor(private readonly application: string) {}

  get hasFailed(): boolean {
    return this.#findings.some((finding) => finding.severity === 'error');
  }

  async check(check: TestCheck, tools: TestTools, run: () => Promise<readonly TestFinding[]>): Promise<void> {
    await tools.progress(check);
    tools.signal.throwIfAborted();
    this.#done.add(check);
    try {
      this.#findings.push(...(await run()));
    } catch (error) {
      tools.signal.throwIfAborted();
      this.#findings.push(thrown(check, error));
    }
  }

  async open(file: SourcedFile<ApplicationFile>, tools: TestTools): Promise<Connector | undefined> {
    try {
      return tools.registry.create(file.value.connector, file.value.slug, file.value.config, tools.deps);
    } catch (error) {
      this.#findings.push(thrown('configuration', error));
      return undefined;
    }
  }

  report(more: Parameters<typeof reportOf>[3] = {}): TestReport {
    return reportOf(this.application, this.#done, this.#findings, more);
  }
}

const HEALTH: Readonly<Record<string, string>> = {
  UNAVAILABLE: 'the target cannot be reached at the address of the configuration',
  TIMEOUT: 'the target did not answer in time',
  UNAUTHENTICATED: 'the target refuses the credentials of the service account',
  FORBIDDEN: 'the service account may not read accounts',
  RATE_LIMITED: 'the target asks for fewer requests',
};

function thrown(check: TestCheck, error: unknown): TestFinding {
  if (isConnectorError(error))
    return {
      check,
      severity: 'error',
      code: error.targetCode === undefined ? error.code : `${error.code}/${error.targetCode}`,
      message: `the target refused: ${error.code}${error.attribute === undefined ? '' : ` (attribute ${error.attribute})`}`,
    };
  if (error instanceof ConnectorConfigError || error instanceof SecretReferenceError)
    return { check, severity: 'error', code: 'configuration', message: error.message };
  return {
    check,
    severity: 'error',
    code: 'unexpected',
    message: 'the connector failed in a way that it does not name',
  };
}

/** What an error of a connector may be told as: never the text of a client library. */
export function failureText(error: unknown): string {
  return thrown('configuration', error).message;
}

function configurationFinding(problem: PolicyProblem): TestFinding {
  const { file, line, path, message, expected, expression } = problem;
  const where = path === '' ? message : `${path}: ${message}`;
  return {
    check: 'configuration',
    severity: 'error',
    code: 'configuration',
    message: expression === undefined ? where : `${where} in ${expression}`,
    expected,
    file,
    line,
  };
}

/** Every reference of the configuration that does not resolve here, each with its line. */
function secretFindings(file: SourcedFile<ApplicationFile>, resolve: SecretResolver): readonly TestFinding[] {
  const finding = finder(file, 'secrets');
  const walk = (path: YamlPath, value: unknown): readonly TestFinding[] => {
    if (typeof value === 'object' && value !== null)
      return Object.entries(value).flatMap(([key, member]) =>
        walk([...path, Array.isArray(value) ? Number(key) : key], member),
      );
    if (typeof value !== 'string' || !isSecretReference(value)) return [];
    try {
      resolve(value);
      return [];
    } catch (error) {
      const isKnown = error instanceof SecretReferenceError;
      const message = isKnown ? error.message : 'the reference cannot be resolved';
      const [code, expected] =
        isKnown && error.temporary
          ? ['secrets-unavailable', 'a Vault that answers where this runs']
          : ['secret-missing', 'a value where this runs'];
      return [finding('error', code, `${path.join('.')}: ${message}`, path, expected)];
    }
  };
  return walk(['config'], file.value.config);
}

async function canaryFindings(
  file: SourcedFile<ApplicationFile>,
  connector: Connector,
  schema: () => Promise<TargetSchema>,
  ctx: OperationContext,
): Promise<readonly TestFinding[]> {
  const finding = finder(file, 'canary');
  const { canaryLogin, canaryAttributes = {} } = file.value;
  if (!connector.capabilities().signInProbe)
    return [finding('info', 'no-sign-in', 'sign-ins cannot be tried here: a cut is proven by reading alone', [])];
  if (canaryLogin === undefined)
    return [
      finding(
        'warning',
        'no-canary',
        'no canaryLogin: a refused sign-in proves nothing without an account that still gets in',
        [],
        'canaryLogin: LOGIN',
      ),
    ];
  const found = await connector.find({ attribute: 'login', value: canaryLogin }, ctx);
  if (found.length > 0) return [];
  const canMake = connector.create !== undefined && (connector.setSecret !== undefined || connector.seal !== undefined);
  const lacking = accountAttributes(await schema())
    .filter((one) => one.required && one.name !== 'login' && canaryAttributes[one.name] === undefined)
    .map((one) => one.name);
  if (canMake && lacking.length > 0)
    return [
      finding(
        'warning',
        'canary-lacks',
        `the canary is not there yet, and the target asks for ${lacking.join(', ')} of an account: where Tenure cannot make it, no cut is proven`,
        ['canaryLogin'],
        `canaryAttributes: { ${lacking.map((name) => `${name}: …`).join(', ')} }`,
      ),
    ];
  return canMake
    ? [
        finding('info', 'canary-not-there', 'the canary is not there yet: Tenure makes it before the first proof', [
          'canaryLogin',
        ]),
      ]
    : [
        finding(
          'error',
          'canary-not-there',
          'the canary account is not there, and Tenure cannot make it',
          ['canaryLogin'],
          'an enabled account of that login',
        ),
      ];
}

const NOTES: Readonly<Record<string, string>> = {
  seal: 'sets a secret only Tenure holds and disables',
  'hand-over-credential': 'first password, collected once',
};

/** The planner's operations, and who does each. Without capabilities (mode manual) a person does them all. */
function abilitiesOf(capabilities: Capabilities | undefined): readonly Ability[] {
  const own = new Set(capabilities === undefined ? [] : operationKinds(capabilities));
  const rows = OPERATION_KINDS.filter((kind) => kind !== 'manual').map((operation): Ability => {
    const note = NOTES[operation];
    // What is no operation of a person: without it a cut is disabling alone, and credentials are the target's matter.
    const otherwise = operation === 'seal' || operation === 'hand-over-credential' ? 'nobody' : 'operator-task';
    return { operation, by: own.has(operation) ? 'tenure' : otherwise, ...(note === undefined ? {} : { note }) };
  });
  const proof = capabilities?.signInProbe === true;
  return [
    ...rows,
    {
      operation: 'prove a cut by a sign-in',
      by: proof ? 'tenure' : 'nobody',
      note: proof ? 'controlled by the canary' : 'proven by reading alone',
    },
  ];
}

/** What a connector gets for one call of a test. */
export function contextFor(tools: Pick<TestTools, 'signal' | 'deps'>): OperationContext {
  return {
    idempotencyKey: `test/${randomUUID()}`,
    signal: AbortSignal.any([tools.signal, AbortSignal.timeout(TIMEOUT_MS)]),
    deadline: new Date(Date.now() + TIMEOUT_MS).toISOString(),
    progress: () => undefined,
    logger: tools.deps.logger,
  };
}
