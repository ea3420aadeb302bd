import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ApiDeps } from '../deps.js';
import { ApiProblem } from './problem.js';
import { routeFor } from './routes.js';
import { callerOf } from './tokens.js';
import type { Caller } from './tokens.js';

const CALLERS = new WeakMap<object, Caller>();

/** The caller of a request that the guard let through. */
export function callerIn(request: FastifyRequest): Caller {
  const caller = CALLERS.get(request);
  if (caller === undefined) throw new ApiProblem(401, 'unauthorized', 'A valid bearer token is needed.');
  return caller;
}

/** Looks every request up in the route table: what is not in it is refused, whoever asks. */
export class AuthGuard implements CanActivate {
  constructor(private readonly deps: Pick<ApiDeps, 'db' | 'keys' | 'now'>) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const route = routeFor(request.method, request.routeOptions.url);
    if (route === undefined) throw new ApiProblem(403, 'forbidden', 'This token may not do that.');
    if (route === 'docs' || route.access === 'public') return true;
    const caller = await callerOf(this.deps, request.headers.authorization, this.deps.now());
    if (caller === undefined) throw new ApiProblem(401, 'unauthorized', 'A valid bearer token is needed.');
    if (!route.access.includes(caller.role))
      throw new ApiProblem(403, 'forbidden', 'This token may not do that.', {
        detail: `The role ${caller.role} is not among ${route.access.join(', ')}.`,
      });
    CALLERS.set(request, caller);
    return true;
  }
}
