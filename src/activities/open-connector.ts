import type { Connector, OperationContext } from '../connectors/connector.js';
import { SecretReferenceError } from '../connectors/secret.js';
import type { Secret } from '../connectors/secret.js';
import type { ApplicationPolicy, CompiledPolicy } from '../domain/policy/types.js';
import type { ActivityDeps } from './deps.js';
import { classify, failureOf, TenureError } from './lib/boundary.js';
import type { Classified } from './lib/boundary.js';

const SECRETS_RETRY_MS = 2_000;

/** Which connector was used, for asking after its credential. */
export interface InUse {
  readonly application: ApplicationPolicy;
  readonly credential: string;
  readonly signal: AbortSignal;
}

/** The connector of an application. Raises TargetUnavailable while its secrets cannot be read, else TargetAccessDenied; the log names what is wrong. */
export function openConnector(deps: ActivityDeps, application: ApplicationPolicy, policy: CompiledPolicy): Connector {
  return asked(deps, application, () => deps.connectors.connectorFor(application, policy));
}

function asked<T>(deps: ActivityDeps, application: ApplicationPolicy, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof SecretReferenceError)) throw new TenureError('TargetAccessDenied', 'connector-not-usable');
    const { reference, problem, temporary } = error;
    deps.logger.warn({ application: application.slug, reference, problem }, 'a secret of an application is not there');
    if (temporary) throw new TenureError('TargetUnavailable', 'secrets-unavailable', SECRETS_RETRY_MS);
    throw new TenureError('TargetAccessDenied', 'secret-missing');
  }
}

/** What a reference of an application's policy stands for. Raises TargetUnavailable while its keeper cannot be asked, else TargetAccessDenied. */
export async function readSecret(
  deps: ActivityDeps,
  reference: string,
  { application, signal }: Pick<InUse, 'application' | 'signal'>,
): Promise<Secret> {
  await deps.connectors.prepare(reference, signal);
  return asked(deps, application, () => deps.connectors.connectorDeps.secrets(reference));
}

/** The target does not accept the connector's own credential. */
export function isRefusal({ type, code }: Classified): boolean {
  return type === 'TargetAccessDenied' && code.startsWith('UNAUTHENTICATED');
}

/**
 * A refused credential may have been rotated since Tenure read it: its keeper is asked, and the work comes back with the new one. Only where there is none
 * the refusal stands, and a person is asked. Every other failure stays as it is.
 */
export async function afterRefusal(deps: ActivityDeps, used: InUse, classified: Classified): Promise<Classified> {
  if (!isRefusal(classified)) return classified;
  const found = await deps.connectors.refused(used.application, used.credential, used.signal);
  if (found === 'same') return classified;
  const code = found === 'renewed' ? 'credential-renewed' : 'secrets-unavailable';
  return { ...classified, type: 'TargetUnavailable', code };
}

/** What a connector gets for one call outside of a visit: such calls write nothing, so no fence stands before them. */
export function readingContext(
  deps: Pick<ActivityDeps, 'logger'>,
  call: { readonly key: string; readonly signal: AbortSignal; readonly timeoutMs: number },
): OperationContext {
  return {
    idempotencyKey: call.key,
    signal: AbortSignal.any([call.signal, AbortSignal.timeout(call.timeoutMs)]),
    deadline: new Date(Date.now() + call.timeoutMs).toISOString(),
    progress: () => undefined,
    logger: deps.logger,
  };
}

/** Does work outside of a visit with an application's connector. Raises what the work raises; a refusal with another credential at hand is TargetUnavailable. */
export async function withConnector<T>(
  deps: ActivityDeps,
  at: { readonly application: ApplicationPolicy; readonly policy: CompiledPolicy; readonly signal: AbortSignal },
  work: (connector: Connector) => Promise<T>,
): Promise<T> {
  await deps.connectors.prepare(at.application.config, at.signal);
  const used = { ...at, credential: deps.connectors.credentialOf(at.application) };
  return askingAfterRefusals(deps, used, () => work(openConnector(deps, at.application, at.policy)));
}

/** Does work, and where the target refuses the credential asks whether there is another by now: then the failure is one that Temporal repeats. */
export async function askingAfterRefusals<T>(deps: ActivityDeps, used: InUse, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const classified = classify(error);
    if (!isRefusal(classified)) throw error;
    throw failureOf(await afterRefusal(deps, used, classified));
  }
}
