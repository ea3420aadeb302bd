import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { brand } from '../../domain/process/ids.js';
import type { LocalDate } from '../../domain/process/ids.js';
import type { WaveRef } from '../../planning/waves.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { closeMigration, cutOverWave, rollBackWave, startWave } from './orders.js';
import { confirmMigration, planMigration } from './plan-migration.js';
import { listMigrations, listMoves, migrationView } from './view.js';

@Controller('v1/migrations')
export class MigrationsController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Post()
  @HttpCode(201)
  async plan(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const answer = await planMigration(this.deps, validated(schemas.migration, body), callerIn(request));
    if (answer.migrationId === undefined) void reply.status(200);
    else void reply.header('location', `/v1/migrations/${answer.migrationId}`);
    return answer;
  }

  @Get()
  list(@Query() query: unknown): Promise<Page<object>> {
    return listMigrations(this.deps, validated(schemas.pageQuery, query));
  }

  @Get(':id')
  detail(@Param('id') id: string): Promise<object> {
    return migrationView(this.deps, idOf(id));
  }

  @Get(':id/moves')
  moves(@Param('id') id: string, @Query() query: unknown): Promise<Page<object>> {
    return listMoves(this.deps, idOf(id), validated(schemas.movesQuery, query));
  }

  @Post(':id/confirmation')
  @HttpCode(200)
  async confirmation(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    await confirmMigration(this.deps, idOf(id), callerIn(request));
    return migrationView(this.deps, id);
  }

  @Post(':id/close')
  @HttpCode(200)
  async close(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    await closeMigration(this.deps, idOf(id), callerIn(request));
    return migrationView(this.deps, id);
  }

  @Post(':id/waves/:wave/start')
  @HttpCode(202)
  start(@Param('id') id: string, @Param('wave') wave: string, @Req() request: FastifyRequest): Promise<object> {
    return startWave(this.deps, refOf(id, wave), callerIn(request));
  }

  @Post(':id/waves/:wave/cut-over')
  @HttpCode(202)
  cutOver(
    @Param('id') id: string,
    @Param('wave') wave: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
  ): Promise<object> {
    const { on } = validated(schemas.cutOver, body ?? {});
    const date = on === undefined ? undefined : brand<LocalDate>(on);
    return cutOverWave(this.deps, refOf(id, wave), callerIn(request), date);
  }

  @Post(':id/waves/:wave/roll-back')
  @HttpCode(202)
  rollBack(@Param('id') id: string, @Param('wave') wave: string, @Req() request: FastifyRequest): Promise<object> {
    return rollBackWave(this.deps, refOf(id, wave), callerIn(request));
  }
}

function idOf(id: string): string {
  if (!schemas.identityParam.safeParse(id).success) throw notFound('migration');
  return id;
}

function refOf(id: string, wave: string): WaveRef {
  if (!/^[1-9]\d{0,5}$/.test(wave)) throw notFound('wave');
  return { migrationId: idOf(id), wave: Number(wave) };
}
