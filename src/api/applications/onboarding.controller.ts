import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import { decodeCursor, pageOf } from '../http/paging.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { importView, linkOne, stagedAccounts, startImport, startTest, testView, unlinkOne } from './onboarding.js';

/** Onboarding of an application: tests, imports of existing accounts, links. */
@Controller('v1/applications/:slug')
export class OnboardingController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Post('test')
  @HttpCode(202)
  async test(
    @Param('slug') slug: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const started = await startTest(this.deps, slug, callerIn(request).name);
    void reply.header('location', `/v1/applications/${slug}/tests/${started.testId}`);
    return started;
  }

  @Get('tests/:id')
  testResult(@Param('slug') slug: string, @Param('id') id: string): Promise<object> {
    return testView(this.deps, slug, idOf(id, 'test'));
  }

  @Post('imports')
  @HttpCode(202)
  async import(
    @Param('slug') slug: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const input = validated(schemas.accountImport, body ?? {});
    const started = await startImport(this.deps, slug, { ...input, actor: callerIn(request).name });
    void reply.header('location', `/v1/applications/${slug}/imports/${started.importId}`);
    return started;
  }

  @Get('imports/:id')
  importState(@Param('slug') slug: string, @Param('id') id: string): Promise<object> {
    return importView(this.deps, slug, idOf(id, 'import'));
  }

  @Get('imports/:id/accounts')
  async accounts(@Param('slug') slug: string, @Param('id') id: string, @Query() query: unknown): Promise<Page<object>> {
    const { result, after, limit } = validated(schemas.stagedQuery, query);
    const cursor = decodeCursor(after, z.tuple([z.string()]));
    const importId = idOf(id, 'import');
    await importView(this.deps, slug, importId);
    const items = await stagedAccounts(this.deps, importId, { result, after: cursor?.[0], limit });
    return pageOf(
      items,
      limit,
      (item) => [item.nativeId],
      (item) => item,
    );
  }

  @Post('links')
  @HttpCode(200)
  link(@Param('slug') slug: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const { nativeId, identityId } = validated(schemas.accountLink, body);
    return linkOne(this.deps, slug, {
      nativeId,
      identityId: brand<IdentityId>(identityId.toLowerCase()),
      caller: callerIn(request),
    });
  }

  @Post('unlink')
  @HttpCode(200)
  unlink(@Param('slug') slug: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    return unlinkOne(this.deps, slug, { ...validated(schemas.accountUnlink, body), caller: callerIn(request) });
  }
}

function idOf(id: string, what: string): string {
  if (!schemas.identityParam.safeParse(id).success) throw notFound(what);
  return id.toLowerCase();
}
