import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { sql } from 'kysely';
import type { Schema } from '../../db/schema.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';

@Controller()
export class HealthController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Get('healthz')
  alive(): object {
    return { status: 'alive' };
  }

  /** Ready means that HR events can be taken. Temporal is told about, not asked for: an outage of it delays and loses nothing. */
  @Get('readyz')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const [database, lifecycle] = await Promise.all([
      sql`select 1 from identity limit 1`.execute(this.deps.db).then(
        () => true,
        () => false,
      ),
      this.deps.lifecycle.isReachable(),
    ]);
    if (!database) void reply.status(503);
    const word = (isUp: boolean): string => (isUp ? 'reachable' : 'unreachable');
    return { status: database ? 'ready' : 'not-ready', database: word(database), temporal: word(lifecycle) };
  }

  @Get('metrics')
  async metrics(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const { registry } = this.deps.metrics;
    void reply.header('content-type', registry.contentType);
    return registry.metrics();
  }

  @Get('v1/status')
  async status(): Promise<object> {
    const { db, policies, lifecycle } = this.deps;
    const [people, processes, approvals, tasks, rejections, undelivered, notices, policy, isReachable] =
      await Promise.all([
        this.#count('identity', sql`true`),
        this.#countByState('process'),
        this.#count('approval', sql`status = 'pending'`),
        this.#count('operator_task', sql`status = 'open'`),
        this.#count('hr_rejection', sql`resolved_at is null`),
        this.#count('inbox', sql`delivered_version < ledger_version`),
        this.#countByState('notice'),
        policies.active(db),
        lifecycle.isReachable(),
      ]);
    return {
      people,
      processes,
      openApprovals: approvals,
      openTasks: tasks,
      openRejections: rejections,
      undelivered,
      notices,
      policyVersion: policy?.version ?? null,
      temporal: isReachable ? 'reachable' : 'unreachable',
    };
  }

  async #countByState(table: 'process' | 'notice'): Promise<Readonly<Record<string, number>>> {
    const { rows } = await sql<{
      state: string;
      count: string;
    }>`select state, count(*) as count from ${sql.table(table)} group by state`.execute(this.deps.db);
    return Object.fromEntries(rows.map((row) => [row.state, Number(row.count)]));
  }

  async #count(table: keyof Schema, condition: ReturnType<typeof sql<unknown>>): Promise<number> {
    const result = await sql<{
      count: string;
    }>`select count(*) as count from ${sql.table(table)} where ${condition}`.execute(this.deps.db);
    return Number(result.rows[0]?.count ?? 0);
  }
}
