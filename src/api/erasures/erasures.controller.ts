import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
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
import { confirmErasure, eraseDue } from './requests.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);
const POLL_MS = 60_000;

@Controller('v1/erasures')
export class ErasuresController implements OnModuleInit, OnModuleDestroy {
  #timer: NodeJS.Timeout | undefined;
  #poll: Promise<void> = Promise.resolve();

  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  /** What is queued stands in the database: a process that was down at the date does it when it is back. */
  onModuleInit(): void {
    this.#timer = setInterval(() => {
      this.#poll = this.#poll.then(() => this.#eraseDue());
    }, POLL_MS);
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.#timer);
    await this.#poll;
  }

  @Get()
  async list(@Query() query: unknown): Promise<Page<object>> {
    const { after, limit } = validated(schemas.pageQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await this.deps.db
      .selectFrom('erasure')
      .selectAll()
      .$if(cursor !== undefined, (select) =>
        select.where(
          sql<boolean>`(proposed_at, erasure_id) < (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
        ),
      )
      .orderBy('proposed_at', 'desc')
      .orderBy('erasure_id', 'desc')
      .limit(limit + 1)
      .execute();
    return pageOf(
      rows,
      limit,
      (row) => [row.proposed_at, row.erasure_id],
      (row) => ({
        erasureId: row.erasure_id,
        identityId: row.identity_id,
        state: row.state,
        proposedBy: row.proposed_by,
        proposedAt: row.proposed_at,
        expiresAt: row.expires_at,
        dueAt: row.due_at,
        confirmedBy: row.confirmed_by,
        endedAt: row.ended_at,
      }),
    );
  }

  @Post(':id/confirmation')
  @HttpCode(200)
  confirmation(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    if (!schemas.identityParam.safeParse(id).success) throw notFound('erasure');
    return confirmErasure(this.deps, id, callerIn(request));
  }

  async #eraseDue(): Promise<void> {
    try {
      await eraseDue(this.deps);
    } catch (error) {
      this.deps.logger.warn({ err: error instanceof Error ? error.name : 'Error' }, 'erasures go on later');
    }
  }
}
