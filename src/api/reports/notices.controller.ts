import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { z } from 'zod';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { sendAgain } from './send-again.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);

@Controller('v1/notices')
export class NoticesController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** Notices, newest first: whom they are about, to whom they go, and what became of them. Read-only. */
  @Get()
  async list(@Query() query: unknown): Promise<Page<object>> {
    const { state, after, limit } = validated(schemas.noticesQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await this.deps.db
      .selectFrom('notice')
      .leftJoin('identity_profile as about', 'about.identity_id', 'notice.identity_id')
      .leftJoin('identity_profile as to', 'to.identity_id', 'notice.recipient_identity_id')
      .selectAll('notice')
      .select(['about.display_name as about_name', 'to.display_name as to_name'])
      .$if(state !== 'all', (select) => select.where('notice.state', '=', state as 'sent'))
      .$if(cursor !== undefined, (select) =>
        select.where(
          sql<boolean>`(notice.created_at, notice_id) < (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
        ),
      )
      .orderBy('notice.created_at', 'desc')
      .orderBy('notice_id', 'desc')
      .limit(limit + 1)
      .execute();
    return pageOf(
      rows,
      limit,
      (row) => [row.created_at, row.notice_id],
      (row) => ({
        noticeId: row.notice_id,
        identity: { identityId: row.identity_id, displayName: row.about_name ?? '' },
        processId: row.process_id,
        kind: row.kind,
        recipient:
          row.recipient_identity_id === null
            ? null
            : { identityId: row.recipient_identity_id, displayName: row.to_name ?? '' },
        state: row.state,
        tries: row.tries,
        code: row.code,
        createdAt: row.created_at,
        nextTryAt: row.state === 'pending' ? row.next_try_at : null,
        sentAt: row.sent_at,
      }),
    );
  }
  /** Once more, for a notice that was refused, went to nobody, or was lost by who had it. */
  @Post(':id/sending')
  @HttpCode(202)
  async again(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    if (!schemas.identityParam.safeParse(id).success) throw notFound('notice');
    return sendAgain(this.deps, { noticeId: id, actor: callerIn(request).name });
  }
}
