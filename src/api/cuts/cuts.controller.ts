import { setTimeout as delay } from 'node:timers/promises';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { OnModuleDestroy, OnModuleInit } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { CutBatchTable } from '../../db/schema.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { confirmCut, requestCuts } from './batches.js';
import { openBody } from './body.js';
import { CutRunner } from './runner.js';

const cursorSchema = z.tuple([z.string(), z.uuid()]);
/** How long an answer waits for the cut to be through; the rest goes on by itself. */
const PATIENCE_MS = 5_000;

@Controller('v1/cuts')
export class CutsController implements OnModuleInit, OnModuleDestroy {
  readonly #runner: CutRunner;

  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {
    this.#runner = new CutRunner(deps);
  }

  onModuleInit(): void {
    this.#runner.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.#runner.stop();
  }

  @Post()
  @HttpCode(202)
  async request(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const input = validated(schemas.cuts, body);
    const answer = await requestCuts(this.deps, { ...input, caller: callerIn(request) });
    if (answer.cutId === undefined) return answer;
    void reply.header('location', `/v1/cuts/${answer.cutId}`);
    if (answer.state === 'running') await this.#started(answer.cutId);
    return answer;
  }

  @Get()
  async list(@Query() query: unknown): Promise<Page<object>> {
    const { after, limit } = validated(schemas.pageQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await this.deps.db
      .selectFrom('cut_batch')
      .selectAll()
      .$if(cursor !== undefined, (select) =>
        select.where(
          sql<boolean>`(proposed_at, cut_id) < (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''}::uuid)`,
        ),
      )
      .orderBy('proposed_at', 'desc')
      .orderBy('cut_id', 'desc')
      .limit(limit + 1)
      .execute();
    return pageOf(rows, limit, (row) => [row.proposed_at, row.cut_id], headOf);
  }

  /** Who is on it, with how far each is: for whoever confirms it, and for whoever watches it. */
  @Get(':id')
  async detail(@Param('id') id: string): Promise<object> {
    const { db } = this.deps;
    if (!schemas.identityParam.safeParse(id).success) throw notFound('cut');
    const row = await db.selectFrom('cut_batch').selectAll().where('cut_id', '=', id).executeTakeFirst();
    if (row === undefined) throw notFound('cut');
    const { reason, people } = await openBody(this.deps, id, row.body);
    if (row.state !== 'running') return { ...headOf(row), reason, people: await this.#named(people) };
    const found = await db
      .selectFrom('cut_batch_person as person')
      .leftJoin('identity_profile as profile', 'profile.identity_id', 'person.identity_id')
      .select(['person.identity_id as identityId', 'profile.display_name as displayName', 'person.state'])
      .select(sql<number>`(${sql.raw(tier1('true'))})`.as('tier1'))
      .select(sql<number>`(${sql.raw(tier1(`v.outcome in ('proven', 'absent')`))})`.as('tier1Proven'))
      .select(
        sql<number>`(select count(*)::integer from operator_task t join process p on p.process_id = t.process_id
          where p.identity_id = person.identity_id and p.process_kind = 'leaver' and t.status = 'open')`.as('open'),
      )
      .where('person.cut_id', '=', id)
      .orderBy('person.identity_id')
      .execute();
    return { ...headOf(row), reason, people: found };
  }

  @Post(':id/confirmation')
  @HttpCode(202)
  async confirmation(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    if (!schemas.identityParam.safeParse(id).success) throw notFound('cut');
    await confirmCut(this.deps, id, callerIn(request));
    await this.#started(id);
    return { cutId: id, state: 'running' };
  }

  async #started(cutId: string): Promise<void> {
    const { logger } = this.deps;
    const run = this.#runner.run(cutId).catch((error: unknown) => {
      logger.warn({ err: error instanceof Error ? error.name : 'Error' }, 'a cut of many goes on later');
    });
    const timer = new AbortController();
    await Promise.race([run, delay(PATIENCE_MS, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
  }

  #named(people: readonly string[]): Promise<object[]> {
    if (people.length === 0) return Promise.resolve([]);
    return this.deps.db
      .selectFrom('identity_profile')
      .select(['identity_id as identityId', 'display_name as displayName'])
      .where('identity_id', 'in', people as never)
      .orderBy('display_name')
      .execute();
  }
}

/** Tier 1 visits of the newest leaver that count, each account's newest one; `condition` is ours, never input. */
function tier1(condition: string): string {
  return `select count(*)::integer from (
    select distinct on (application, account_id) outcome from visit
    where process_id = (select process_id from process where identity_id = person.identity_id
      and process_kind = 'leaver' order by opened_at desc limit 1)
    and phase = 'cut' and tier = 'T1' and coalesce(outcome, '') not in ('superseded', 'stopped')
    order by application, account_id, created_at desc) v where ${condition}`;
}

function headOf(row: Selectable<CutBatchTable>): object {
  return {
    cutId: row.cut_id,
    state: row.state,
    size: row.size,
    proposedBy: row.proposed_by,
    proposedAt: row.proposed_at,
    expiresAt: row.expires_at,
    confirmedBy: row.confirmed_by,
    startedAt: row.started_at,
  };
}
