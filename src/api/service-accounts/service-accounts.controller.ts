import { Body, Controller, Get, HttpCode, Inject, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { callerIn } from '../http/auth.guard.js';
import type { Page } from '../http/paging.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { declare, review, scream, setOwners } from './change.js';
import { listServiceAccounts, serviceAccountView } from './view.js';

/** Service accounts that may not be needed any more. Owners answer under `/v1/approvals`. */
@Controller('v1/service-accounts')
export class ServiceAccountsController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Get()
  list(@Query() query: unknown, @Req() request: FastifyRequest): Promise<Page<object>> {
    return listServiceAccounts(this.deps, validated(schemas.serviceAccountsQuery, query), callerIn(request));
  }

  @Post()
  @HttpCode(202)
  async declare(
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const { owners, ...input } = validated(schemas.serviceAccount, body);
    const caller = callerIn(request);
    const identityId = await declare(this.deps, { ...input, owners: owners.map(idOf), actor: caller.name });
    void reply.header('location', `/v1/service-accounts/${identityId}`);
    return serviceAccountView(this.deps, identityId, caller);
  }

  @Get(':id')
  one(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    return serviceAccountView(this.deps, paramOf(id), callerIn(request));
  }

  @Put(':id/owners')
  async owners(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const { owners } = validated(schemas.serviceAccountOwners, body);
    const caller = callerIn(request);
    await setOwners(this.deps, { identityId: paramOf(id), owners: owners.map(idOf), actor: caller.name });
    return serviceAccountView(this.deps, paramOf(id), caller);
  }

  @Post(':id/scream')
  @HttpCode(202)
  async scream(@Param('id') id: string, @Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    const { reason } = validated(schemas.scream, body);
    const caller = callerIn(request);
    await scream(this.deps, { identityId: paramOf(id), reason, caller });
    return serviceAccountView(this.deps, paramOf(id), caller);
  }

  @Post(':id/review')
  @HttpCode(202)
  async review(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    const caller = callerIn(request);
    await review(this.deps, { identityId: paramOf(id), actor: caller.name });
    return serviceAccountView(this.deps, paramOf(id), caller);
  }
}

function idOf(id: string): IdentityId {
  return brand<IdentityId>(id);
}

function paramOf(id: string): IdentityId {
  if (!schemas.identityParam.safeParse(id).success) throw notFound('service account');
  return idOf(id.toLowerCase());
}
