import { Controller, Get, Inject } from '@nestjs/common';
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
      openTasks: Number(tasks.find((row) => row.application === application.slug)?.count ?? 0),
    }));
    return { items };
  }
}
