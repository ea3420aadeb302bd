import { Controller, Get, Inject, Query } from '@nestjs/common';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import type { Page } from '../http/paging.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';
import { listHolds } from './legal-hold.js';

@Controller('v1/legal-holds')
export class LegalHoldsController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Get()
  list(@Query() query: unknown): Promise<Page<object>> {
    return listHolds(this.deps, validated(schemas.legalHoldsQuery, query));
  }
}
