import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { z } from 'zod';
import { brand } from '../../domain/process/ids.js';
import type { ApplicationSlug, IdentityId } from '../../domain/process/ids.js';
import { loadFacts } from '../../planning/person.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { refuseOwnCase } from '../http/own-case.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { ApiProblem, notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { requestErasure } from '../erasures/requests.js';
import { collectCredential } from './credential.js';
import { cutIdentity } from './cut.js';
import { identityDetail } from './detail.js';
import { listIdentities } from './list.js';
import { factsWith } from './preview.js';
import { liftHold, setHold } from './legal-hold.js';
import { timelineOf } from './timeline.js';

const cursorSchema = z.tuple([z.string(), z.string()]);

@Controller('v1/identities')
export class IdentitiesController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Get()
  list(@Query() query: unknown): Promise<Page<object>> {
    return listIdentities(this.deps, validated(schemas.identitiesQuery, query));
  }

  @Get(':id')
  detail(@Param('id') id: string): Promise<object> {
    return identityDetail(this.deps, parseId(id));
  }

  @Get(':id/timeline')
  async timeline(@Param('id') id: string, @Query() query: unknown): Promise<Page<object>> {
    const { after, limit } = validated(schemas.pageQuery, query);
    const cursor = decodeCursor(after, cursorSchema);
    const items = await timelineOf(this.deps, await this.#known(id));
    const rest = items.filter(
      (item) => cursor === undefined || item.at > cursor[0] || (item.at === cursor[0] && item.key > cursor[1]),
    );
    return pageOf(
      rest.slice(0, limit + 1),
      limit,
      (item) => [item.at, item.key],
      (item) => item,
    );
  }

  @Get(':id/evidence')
  async evidence(@Param('id') id: string, @Query() query: unknown): Promise<Page<object>> {
    const { db, keys } = this.deps;
    const { process, after, limit } = validated(schemas.evidenceQuery, query);
    const identityId = await this.#known(id);
    const cursor = decodeCursor(after, cursorSchema);
    const rows = await db
      .selectFrom('evidence')
      .selectAll()
      .where('identity_id', '=', identityId)
      .$if(process !== undefined, (select) => select.where('process_id', '=', (process ?? '') as never))
      .$if(cursor !== undefined, (select) =>
        select.where(sql<boolean>`(at, evidence_id::text) > (${cursor?.[0] ?? ''}::timestamptz, ${cursor?.[1] ?? ''})`),
      )
      .orderBy('at')
      .orderBy(sql`evidence_id::text`)
      .limit(limit + 1)
      .execute();
    const seen = await Promise.all(rows.map((row) => keys.decryptFor(db, identityId, 'evidence', row.seen)));
    const seenOf = new Map(rows.map((row, index) => [row.evidence_id, seen[index] ?? null]));
    return pageOf(
      rows,
      limit,
      (row) => [row.at, row.evidence_id],
      (row) => ({
        evidenceId: row.evidence_id,
        at: row.at,
        processId: row.process_id,
        application: row.application,
        phase: row.phase,
        operation: row.operation_key,
        check: row.check_kind,
        road: row.road,
        verdict: row.verdict,
        code: row.code,
        seen: seenOf.get(row.evidence_id) ?? null,
        seenHash: row.seen_hash,
        residual: row.residual,
        residualUntil: row.residual_until,
        deadlineAt: row.deadline_at,
      }),
    );
  }

  /** What would be done, with attribute differences; nothing is written and nobody is told. */
  @Post(':id/preview')
  @HttpCode(200)
  async preview(@Param('id') id: string, @Body() body: unknown): Promise<object> {
    const { events } = validated(schemas.preview, body ?? {});
    const identityId = await this.#known(id);
    const facts = await factsWith(this.deps, identityId, events);
    const preview = await this.deps.planner.preview({ identityId, facts, now: this.deps.now() });
    if (preview === undefined) throw noPolicy();
    return preview;
  }

  @Post(':id/why')
  @HttpCode(200)
  async why(@Param('id') id: string, @Body() body: unknown): Promise<object> {
    const { application } = validated(schemas.why, body);
    const identityId = await this.#known(id);
    const policy = await this.deps.policies.active(this.deps.db);
    if (policy === undefined) throw noPolicy();
    if (!policy.applications.some((one) => one.slug === application)) throw notFound('application');
    const facts = await loadFacts(this.deps.db, this.deps.keys, identityId);
    const input = { identityId, facts, now: this.deps.now() };
    const explained = await this.deps.planner.explain(input, brand<ApplicationSlug>(application));
    return explained?.[0] ?? {};
  }

  @Post(':id/cut')
  @HttpCode(202)
  async cut(
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const { reason } = validated(schemas.cut, body ?? {});
    const { identityId, actor } = inAnothersCase(request, id);
    const result = await cutIdentity(this.deps, { identityId, actor, reason });
    void reply.header('location', `/v1/identities/${identityId}`);
    return result;
  }

  @Put(':id/legal-hold')
  async hold(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const order = validated(schemas.legalHold, body);
    return setHold(this.deps, { ...inAnothersCase(request, id), ...order });
  }

  @Delete(':id/legal-hold')
  async lift(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const order = validated(schemas.legalHoldLift, body);
    return liftHold(this.deps, { ...inAnothersCase(request, id), ...order });
  }

  @Post(':id/erasure')
  @HttpCode(202)
  async erasure(
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const order = validated(schemas.erasure, body);
    const { identityId } = inAnothersCase(request, id);
    const answer = await requestErasure(this.deps, { identityId, caller: callerIn(request), ...order });
    if (answer.state === 'proposed') void reply.header('location', '/v1/erasures');
    else void reply.status(200);
    return answer;
  }

  @Post(':id/credential')
  @HttpCode(200)
  async credential(
    @Param('id') id: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const { application } = validated(schemas.credential, body);
    void reply.header('cache-control', 'no-store');
    return collectCredential(this.deps, { identityId: parseId(id), application, caller: callerIn(request) });
  }

  async #known(id: string): Promise<IdentityId> {
    const identityId = parseId(id);
    const row = await this.deps.db
      .selectFrom('identity')
      .select('identity_id')
      .where('identity_id', '=', identityId)
      .executeTakeFirst();
    if (row === undefined) throw notFound('identity');
    return identityId;
  }
}

/** Something that is no id at all names no identity. */
function parseId(id: string): IdentityId {
  if (!schemas.identityParam.safeParse(id).success) throw notFound('identity');
  return brand<IdentityId>(id.toLowerCase());
}

/** Whom a request is about and who sent it; raises 403 when that is the same person. */
function inAnothersCase(
  request: FastifyRequest,
  id: string,
): { readonly identityId: IdentityId; readonly actor: string } {
  const identityId = parseId(id);
  const caller = callerIn(request);
  refuseOwnCase(caller, identityId);
  return { identityId, actor: caller.name };
}

function noPolicy(): ApiProblem {
  return new ApiProblem(409, 'no-policy', 'No policy has been published.');
}
