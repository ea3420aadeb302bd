import { Controller, Get, Inject } from '@nestjs/common';
import type { Selectable } from 'kysely';
import type { ApplicationHealthTable } from '../../db/schema.js';
import type { CompiledPolicy } from '../../domain/policy/types.js';
import { applicationQueue } from '../../workflows/messages.js';
import { capabilitiesOf } from '../identities/capabilities.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';

@Controller('v1/applications')
export class ApplicationsController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** What policy says of every application, and how many accounts and open tasks it has. Connector settings stay inside. */
  @Get()
  async list(): Promise<{ readonly items: readonly object[] }> {
    const { db, policies } = this.deps;
    const policy = await policies.active(db);
    const accounts = await db
      .selectFrom('account')
      .select(({ fn }) => ['application', 'status', fn.countAll<string>().as('count')])
      .where('unlinked_at', 'is', null)
      .groupBy(['application', 'status'])
      .execute();
    const tasks = await db
      .selectFrom('operator_task')
      .select(({ fn }) => ['application', fn.countAll<string>().as('count')])
      .where('status', '=', 'open')
      .groupBy('application')
      .execute();
    const health = await db.selectFrom('application_health').selectAll().execute();
    const abilities = policy === undefined ? new Map<string, readonly string[]>() : await this.#abilities(policy);
    const items = (policy?.applications ?? []).map((application) => ({
      application: application.slug,
      name: application.name,
      connector: application.connector,
      mode: application.mode,
      criticality: application.criticality,
      dependsOn: application.dependsOn,
      archive: application.archive,
      delete: application.delete,
      accounts: Object.fromEntries(
        accounts.filter((row) => row.application === application.slug).map((row) => [row.status, Number(row.count)]),
      ),
      queue: applicationQueue(application.slug),
      capabilities: abilities.get(application.slug) ?? [],
      health: healthOf(health.find((row) => row.application === application.slug)),
      openTasks: Number(tasks.find((row) => row.application === application.slug)?.count ?? 0),
    }));
    return { items };
  }

  /** What Tenure does itself; a configuration that cannot be opened can do nothing. */
  async #abilities(policy: CompiledPolicy): Promise<ReadonlyMap<string, readonly string[]>> {
    const registry = this.deps.registry;
    const entries = await Promise.all(
      policy.applications.map(async (application) => {
        const known = await capabilitiesOf(registry, { ...policy, applications: [application] }).catch(() => undefined);
        return [application.slug, known?.get(application.slug) ?? []] as const;
      }),
    );
    return new Map(entries);
  }
}

/** The last probe; null before the first one, and for applications that are not probed. */
function healthOf(row: Selectable<ApplicationHealthTable> | undefined): object | null {
  if (row === undefined) return null;
  return {
    ok: row.ok,
    code: row.code,
    latencyMs: row.latency_ms,
    at: row.at,
    since: row.changed_at,
    okCount: Number(row.ok_count),
    failedCount: Number(row.failed_count),
  };
}
