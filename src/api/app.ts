import 'reflect-metadata';
import rateLimit from '@fastify/rate-limit';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createHash } from 'node:crypto';
import { ApplicationsController } from './applications/applications.controller.js';
import { OnboardingController } from './applications/onboarding.controller.js';
import { ApprovalsController } from './approvals/approvals.controller.js';
import { AuditController } from './audit/audit.controller.js';
import { API_DEPS } from './deps.js';
import type { ApiDeps } from './deps.js';
import { ErasuresController } from './erasures/erasures.controller.js';
import { HealthController } from './health/health.controller.js';
import { HrController } from './hr/hr.controller.js';
import { AuthGuard } from './http/auth.guard.js';
import { IdempotencyInterceptor } from './http/idempotency.interceptor.js';
import { acceptJsonOnly } from './http/json-body.js';
import { openApiDocument } from './http/openapi.js';
import { ProblemFilter, routeOf } from './http/problem.filter.js';
import { ApiProblem, toProblem } from './http/problem.js';
import { CutsController } from './cuts/cuts.controller.js';
import { ProgressController } from './cuts/progress.controller.js';
import { IdentitiesController } from './identities/identities.controller.js';
import { LegalHoldsController } from './identities/legal-holds.controller.js';
import { MigrationsController } from './migrations/migrations.controller.js';
import { PolicyController } from './policy/policy.controller.js';
import { ProcessesController } from './processes/processes.controller.js';
import { NoticesController } from './reports/notices.controller.js';
import { ReportsController } from './reports/reports.controller.js';
import { ServiceAccountsController } from './service-accounts/service-accounts.controller.js';
import { TasksController } from './tasks/tasks.controller.js';

const BODY_LIMIT = 10 * 1024 * 1024;
const MAX_URL_PART = 500;

export interface ApiLimits {
  /** Requests per minute and token (or address, without a token). */
  readonly requestsPerMinute: number;
}
export const DEFAULT_API_LIMITS: ApiLimits = { requestsPerMinute: 6_000 };

@Module({})
class ApiModule {
  static with(deps: ApiDeps): DynamicModule {
    return {
      module: ApiModule,
      providers: [{ provide: API_DEPS, useValue: deps }],
      controllers: [
        HrController,
        IdentitiesController,
        LegalHoldsController,
        CutsController,
        ProgressController,
        MigrationsController,
        ProcessesController,
        NoticesController,
        ReportsController,
        ErasuresController,
        ApprovalsController,
        TasksController,
        ApplicationsController,
        OnboardingController,
        ServiceAccountsController,
        AuditController,
        PolicyController,
        HealthController,
      ],
    };
  }
}

/** Builds the HTTP application; opens no port and no connection of its own. The caller listens and closes. */
export async function createApi(
  deps: ApiDeps,
  limits: ApiLimits = DEFAULT_API_LIMITS,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: MAX_URL_PART },
    forceCloseConnections: 'idle',
    // A connection that becomes idle while the door closes is waited for this long.
    keepAliveTimeout: 5_000,
    // Paths that cannot be decoded never reach a route, nor the filter.
    frameworkErrors: (error: unknown, _request: FastifyRequest, reply: FastifyReply) => {
      const problem = toProblem(error);
      void reply
        .status(problem.status)
        .header('content-type', 'application/problem+json')
        .send(JSON.stringify(problem));
    },
  });
  const app = await NestFactory.create<NestFastifyApplication>(ApiModule.with(deps), adapter, {
    logger: false,
    bodyParser: false,
  });
  app.useGlobalFilters(new ProblemFilter(deps.logger));
  app.useGlobalGuards(new AuthGuard(deps));
  app.useGlobalInterceptors(new IdempotencyInterceptor(deps));
  const fastify = adapter.getInstance<FastifyInstance>();
  await app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: '1 minute',
    keyGenerator: (request) => {
      const { authorization } = request.headers;
      return authorization === undefined ? request.ip : createHash('sha256').update(authorization).digest('base64');
    },
    errorResponseBuilder: () => new ApiProblem(429, 'too-many-requests', 'Too many requests; try again later.'),
    allowList: (request) => request.url === '/healthz' || request.url === '/readyz',
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const labels = { method: request.method, route: routeOf(request), status: String(reply.statusCode) };
    deps.metrics.requests.observe(labels, reply.elapsedTime / 1000);
    done();
  });
  acceptJsonOnly(fastify);
  SwaggerModule.setup('docs', app, openApiDocument() as OpenAPIObject, { jsonDocumentUrl: 'docs/json' });
  await app.init();
  await fastify.ready();
  return app;
}
