import { Body, Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import { compilePolicy } from '../../domain/policy/compile.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { notFound } from '../http/problem.js';
import * as schemas from '../http/schemas.js';
import { validated } from '../http/validate.js';

@Controller('v1/policy')
export class PolicyController {
  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  @Get()
  async show(): Promise<object> {
    const policy = await this.deps.policies.active(this.deps.db);
    if (policy === undefined) throw notFound('policy');
    return {
      version: policy.version,
      hash: policy.hash,
      applications: policy.applications.map(({ slug, name, mode }) => ({ slug, name, mode })),
      roles: policy.roles.map(({ slug, name, grants, when }) => ({ slug, name, when: when?.source ?? null, grants })),
      lifecycle: policy.lifecycle,
      files: policy.files,
    };
  }

  /** Findings with file and line; nothing is published. */
  @Post('check')
  @HttpCode(200)
  check(@Body() body: unknown): object {
    const { files } = validated(schemas.policyCheck, body);
    const result = compilePolicy(files, { connectors: this.deps.connectorChecks });
    return result.ok ? { ok: true, hash: result.policy.hash, problems: [] } : { ok: false, problems: result.problems };
  }
}
