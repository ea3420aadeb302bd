import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { z } from 'zod';
import type { IdentityId } from '../../domain/process/ids.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { refuseOwnCase } from '../http/own-case.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound, refusalProblem } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);

@Controller('v1/tasks')
export class TasksController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** Operator tasks, oldest first, with their instructions. */
  @Get()
  async list(@Query() query: unknown): Promise<Page<object>> {
    const { db, keys } = this.deps;
    const { status, identity, after, limit } = validated(schemas.tasksQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await db
      .selectFrom('operator_task')
      .leftJoin('identity_profile', 'identity_profile.identity_id', 'operator_task.identity_id')
      .selectAll('operator_task')
      .select('identity_profile.display_name')
      .$if(status !== 'all', (select) => select.where('operator_task.status', '=', status as 'open'))
      .$if(identity !== undefined, (select) => select.where('operator_task.identity_id', '=', identity as IdentityId))
      .$if(cursor !== undefined, (select) =>
        select.where(
          sql<boolean>`(operator_task.created_at, task_id) > (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
        ),
      )
      .orderBy('operator_task.created_at')
      .orderBy('task_id')
      .limit(limit + 1)
      .execute();
    const texts = await Promise.all(
      rows.map((row) =>
        row.instructions === null
          ? Promise.resolve(null)
          : keys.decryptFor(db, row.identity_id, 'task', row.instructions),
      ),
    );
    const textOf = new Map(rows.map((row, index) => [row.task_id, texts[index] ?? null]));
    return pageOf(
      rows,
      limit,
      (row) => [row.created_at, row.task_id],
      (row) => ({
        taskId: row.task_id,
        identity: { identityId: row.identity_id, displayName: row.display_name ?? '' },
        processId: row.process_id,
        application: row.application,
        kind: row.kind,
        code: row.code,
        attribute: row.attribute,
        instructions: textOf.get(row.task_id) ?? null,
        dueAt: row.due_at,
        createdAt: row.created_at,
        status: row.status,
        resolution: row.resolution,
        resolvedAt: row.resolved_at,
      }),
    );
  }

  /** As for approvals: refused by the database where it can tell, else decided by the process. */
  @Post(':id/resolution')
  @HttpCode(200)
  async resolution(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const { db, keys, lifecycle } = this.deps;
    const { resolution, reason, proof } = validated(schemas.resolution, body);
    if (!schemas.identityParam.safeParse(id).success) throw notFound('task');
    const task = await db
      .selectFrom('operator_task')
      .innerJoin('process', 'process.process_id', 'operator_task.process_id')
      .select(['operator_task.identity_id', 'operator_task.status', 'process.workflow_id'])
      .where('task_id', '=', id)
      .executeTakeFirst();
    if (task === undefined) throw notFound('task');
    const caller = callerIn(request);
    refuseOwnCase(caller, task.identity_id);
    if (task.status !== 'open') throw refusalProblem('AlreadyDecided');
    const decisionId = randomUUID();
    const sealed = (name: string, text: string | undefined) =>
      text === undefined ? null : keys.encryptFor(db, task.identity_id, `decision/${decisionId}/${name}`, text);
    await db
      .insertInto('decision')
      .values({
        decision_id: decisionId,
        identity_id: task.identity_id,
        decided_by: caller.name,
        decided_by_identity: caller.identityId ?? null,
        kind: 'task',
        verdict: resolution,
        comment: await sealed('comment', reason),
        proof: await sealed('proof', proof),
        at: this.deps.now(),
      })
      .execute();
    await lifecycle.resolveTask(task.workflow_id, { taskId: id, decisionId, resolution });
    return { taskId: id, status: 'resolved', resolution, decisionId };
  }
}
