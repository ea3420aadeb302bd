import { Controller, Get, Inject, Param } from '@nestjs/common';
import { brand } from '../../domain/process/ids.js';
import type { ProcessId } from '../../domain/process/ids.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { notFound } from '../http/problem.js';
import { nameOf } from '../identities/detail.js';

@Controller('v1/processes')
export class ProcessesController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** One lifecycle process with its plans, visits, questions and how much is proven. */
  @Get(':id')
  async detail(@Param('id') id: string): Promise<object> {
    const { db } = this.deps;
    const processId = brand<ProcessId>(id);
    const row = await db.selectFrom('process').selectAll().where('process_id', '=', processId).executeTakeFirst();
    if (row === undefined) throw notFound('process');
    return {
      processId: row.process_id,
      transitionId: row.transition_id,
      revision: row.revision,
      identity: await nameOf(this.deps, row.identity_id),
      kind: row.kind,
      processKind: row.process_kind,
      generation: row.generation,
      state: row.state,
      phase: row.phase,
      workflowId: row.workflow_id,
      policyVersion: row.policy_version,
      effectiveAt: row.effective_at,
      noticeAt: row.notice_at,
      dueAt: row.due_at,
      blockedOn: row.blocked_on,
      detail: row.detail,
      openedAt: row.opened_at,
      startedAt: row.started_at,
      endedAt: row.ended_at,
      outcome: row.outcome,
      plans: await this.#plans(processId),
      visits: await this.#visits(processId),
      approvals: await db
        .selectFrom('approval')
        .select(['approval_id as approvalId', 'entitlement_key as entitlement', 'status', 'expires_at as expiresAt'])
        .where('process_id', '=', processId)
        .orderBy('requested_at')
        .execute(),
      tasks: await db
        .selectFrom('operator_task')
        .select(['task_id as taskId', 'application', 'kind', 'code', 'status', 'resolution', 'due_at as dueAt'])
        .where('process_id', '=', processId)
        .orderBy('created_at')
        .execute(),
      evidence: await this.#verdicts(processId),
    };
  }

  #plans(processId: ProcessId): Promise<object[]> {
    return this.deps.db
      .selectFrom('plan')
      .select(['plan_id as planId', 'phase', 'hash', 'policy_version as policyVersion', 'created_at as createdAt'])
      .where('process_id', '=', processId)
      .orderBy('created_at')
      .execute();
  }

  #visits(processId: ProcessId): Promise<object[]> {
    return this.deps.db
      .selectFrom('visit')
      .select([
        'visit_id as visitId',
        'application',
        'phase',
        'tier',
        'status',
        'outcome',
        'code',
        'attempt',
        'deadline_at as deadlineAt',
        'first_write_at as firstWriteAt',
        'settled_at as settledAt',
      ])
      .where('process_id', '=', processId)
      .orderBy('created_at')
      .orderBy('application')
      .execute();
  }

  async #verdicts(processId: ProcessId): Promise<Readonly<Record<string, number>>> {
    const rows = await this.deps.db
      .selectFrom('evidence')
      .select(({ fn }) => ['verdict', fn.countAll<string>().as('count')])
      .where('process_id', '=', processId)
      .groupBy('verdict')
      .execute();
    return Object.fromEntries(rows.map((row) => [row.verdict, Number(row.count)]));
  }
}
