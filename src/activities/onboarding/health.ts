import { sql } from 'kysely';
import { SecretReferenceError } from '../../connectors/secret.js';
import { brand } from '../../domain/process/ids.js';
import type { ApplicationSlug, Instant } from '../../domain/process/ids.js';
import { applicationOf } from '../connector-pool.js';
import type { ActivityDeps } from '../deps.js';
import { readingContext } from '../open-connector.js';

const TIMEOUT_MS = 10_000;

/** The applications whose targets are probed: those of the policy in force that something can reach. */
export async function listProbed(deps: ActivityDeps): Promise<{ readonly applications: readonly ApplicationSlug[] }> {
  const policy = await deps.policies.active(deps.db);
  const reachable = (policy?.applications ?? []).filter((application) => application.mode !== 'manual');
  return { applications: reachable.map((application) => application.slug) };
}

export interface HealthRef {
  readonly application: ApplicationSlug;
  readonly now: Instant;
}

/** Asks one target how it is, and notes it. Read-only at the target; a probe more does no harm. */
export async function probeHealth(
  deps: ActivityDeps,
  ref: HealthRef,
  signal: AbortSignal,
): Promise<{ readonly ok: boolean }> {
  const policy = await deps.policies.active(deps.db);
  const application = policy === undefined ? undefined : applicationOf(policy, ref.application);
  if (policy === undefined || application === undefined) return { ok: false };
  await deps.connectors.prepare(application.config, signal);
  const credential = deps.connectors.credentialOf(application);
  const health = await ask(deps, () =>
    deps.connectors
      .connectorFor(application, policy)
      .health(readingContext(deps, { key: `health/${ref.application}`, signal, timeoutMs: TIMEOUT_MS })),
  );
  // Who was refused here first spares a visit the refusal: the next one has what Vault has by then.
  if (health.code === 'UNAUTHENTICATED') await deps.connectors.refused(application, credential, signal);
  await noteHealth(deps, { ...ref, ...health });
  return { ok: health.ok };
}

async function ask(
  deps: ActivityDeps,
  health: () => Promise<{ readonly ok: boolean; readonly code?: string; readonly latencyMs: number }>,
): Promise<{ readonly ok: boolean; readonly code?: string; readonly latencyMs: number }> {
  try {
    return await health();
  } catch (error) {
    deps.logger.warn({ errorName: error instanceof Error ? error.name : 'unknown' }, 'a connector cannot be opened');
    const isTemporary = error instanceof SecretReferenceError && error.temporary;
    return { ok: false, code: isTemporary ? 'SECRETS_UNAVAILABLE' : 'CONFIGURATION', latencyMs: 0 };
  }
}

/** Writes the application's one row. An older probe that ends late does not hide a newer one. */
export async function noteHealth(
  deps: ActivityDeps,
  input: HealthRef & { readonly ok: boolean; readonly code?: string; readonly latencyMs: number },
): Promise<void> {
  const { application, now, ok } = input;
  const latency = Math.round(input.latencyMs);
  await sql`insert into application_health as h (application, ok, code, latency_ms, at, changed_at, ok_count, failed_count)
    values (${application}, ${ok}, ${input.code ?? null}, ${latency}, ${now}, ${now}, ${ok ? 1 : 0}, ${ok ? 0 : 1})
    on conflict (application) do update set
      ok = excluded.ok, code = excluded.code, latency_ms = excluded.latency_ms, at = excluded.at,
      changed_at = case when h.ok = excluded.ok then h.changed_at else excluded.at end,
      ok_count = h.ok_count + excluded.ok_count, failed_count = h.failed_count + excluded.failed_count
    where h.at <= excluded.at`.execute(deps.db);
}

/** For probes that nobody took from the queue. */
export async function noteUnserved(
  deps: ActivityDeps,
  ref: { readonly application: string; readonly now: Instant },
): Promise<void> {
  await noteHealth(deps, {
    application: brand<ApplicationSlug>(ref.application),
    now: ref.now,
    ok: false,
    code: 'NO_WORKER',
    latencyMs: 0,
  });
}
