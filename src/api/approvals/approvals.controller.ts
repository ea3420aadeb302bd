import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { z } from 'zod';
import type { ApprovalStatus } from '../../db/schema.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { decideApproval } from './decide.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);
const NOBODY = '00000000-0000-0000-0000-000000000000';

@Controller('v1/approvals')
export class ApprovalsController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** Oldest first. A manager sees those addressed to them and no others. */
  @Get()
  async list(@Query() query: unknown, @Req() request: FastifyRequest): Promise<Page<object>> {
    const { status, identity, after, limit } = validated(schemas.approvalsQuery, query);
    const caller = callerIn(request);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await this.deps.db
      .selectFrom('approval')
      .leftJoin('identity_profile as subject', 'subject.identity_id', 'approval.identity_id')
      .leftJoin('identity_profile as approver', 'approver.identity_id', 'approval.approver_identity_id')
      .select([
        'approval.approval_id',
        'approval.identity_id',
        'approval.process_id',
        'approval.entitlement_key',
        'approval.approver_identity_id',
        'approval.requested_at',
        'approval.expires_at',
        'approval.status',
        'approval.decided_at',
        'subject.display_name as subject_name',
        'approver.display_name as approver_name',
      ])
      .$if(status !== 'all', (select) => select.where('approval.status', '=', status as ApprovalStatus))
      .$if(identity !== undefined, (select) => select.where('approval.identity_id', '=', (identity ?? NOBODY) as never))
      .$if(caller.role === 'manager', (select) =>
        select.where('approval.approver_identity_id', '=', (caller.identityId ?? NOBODY) as never),
      )
      .$if(cursor !== undefined, (select) =>
        select.where(
          sql<boolean>`(approval.requested_at, approval.approval_id) > (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
        ),
      )
      .orderBy('approval.requested_at')
      .orderBy('approval.approval_id')
      .limit(limit + 1)
      .execute();
    return pageOf(
      rows,
      limit,
      (row) => [row.requested_at, row.approval_id],
      (row) => ({
        approvalId: row.approval_id,
        identity: { identityId: row.identity_id, displayName: row.subject_name ?? '' },
        approver:
          row.approver_identity_id === null
            ? null
            : { identityId: row.approver_identity_id, displayName: row.approver_name ?? '' },
        processId: row.process_id,
        entitlement: row.entitlement_key,
        status: row.status,
        requestedAt: row.requested_at,
        expiresAt: row.expires_at,
        decidedAt: row.decided_at,
      }),
    );
  }

  @Post(':id/decision')
  @HttpCode(200)
  decision(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const { verdict, comment } = validated(schemas.decision, body);
    if (!schemas.identityParam.safeParse(id).success) throw notFound('approval');
    return decideApproval(this.deps, { approvalId: id, caller: callerIn(request), verdict, comment });
  }
}
