import { Catch } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { toProblem } from './problem.js';

/** Every error leaves as application/problem+json. Unexpected ones are logged by name and stack, without the request's content. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const problem = toProblem(error);
    if (problem.status >= 500) {
      const { name, stack, code } = error as { name?: string; stack?: string; code?: string };
      this.logger.error({ route: routeOf(request), name, code, stack: framesOf(stack) }, 'request failed');
    }
    if (reply.sent) return;
    if (problem.status === 401) void reply.header('www-authenticate', 'Bearer');
    void reply.status(problem.status).header('content-type', 'application/problem+json').send(JSON.stringify(problem));
  }
}

export function routeOf(request: FastifyRequest): string {
  return request.routeOptions?.url ?? 'unknown';
}

/** The frames only: the first line is the message, which may quote a value. */
function framesOf(stack: string | undefined): string | undefined {
  return stack
    ?.split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
}
