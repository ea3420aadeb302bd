import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { from, lastValueFrom } from 'rxjs';
import type { Observable } from 'rxjs';
import type { ApiDeps } from '../deps.js';
import { callerIn } from './auth.guard.js';
import { ApiProblem, toProblem } from './problem.js';
import { routeFor } from './routes.js';

const KEY = /^[\x21-\x7e]{1,200}$/;
/** A request that has been running for longer than this died with its process; its key may be used again. */
const STALE_MS = 60_000;
const KEPT_MS = 24 * 3_600_000;
const SWEEP_MS = 3_600_000;

/**
 * Idempotency-Key: the same key with the same request gets the stored answer, with another request a 422, while the first one runs a 409. Answers from
 * 500 on are not kept, so that the request can be repeated. Only for routes whose answers hold no secret.
 */
export class IdempotencyInterceptor implements NestInterceptor {
  #sweptAt = 0;

  constructor(private readonly deps: Pick<ApiDeps, 'db' | 'keys'>) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const key = request.headers['idempotency-key'];
    const route = routeFor(request.method, request.routeOptions.url);
    if (key === undefined || route === undefined || route === 'docs' || route.isIdempotent !== true)
      return next.handle();
    if (typeof key !== 'string' || !KEY.test(key))
      throw new ApiProblem(400, 'invalid-request', 'The request is not valid.', {
        errors: [{ path: 'Idempotency-Key', message: 'wrong form', expected: '1 to 200 visible ASCII characters' }],
      });
    return from(this.#once(request, context.switchToHttp().getResponse<FastifyReply>(), key, next));
  }

  async #once(request: FastifyRequest, reply: FastifyReply, key: string, next: CallHandler): Promise<unknown> {
    const claim = { token_id: callerIn(request).tokenId, key, request_hash: this.#hashOf(request) };
    const stored = await this.#claim(claim);
    if (stored !== undefined) {
      void reply.header('idempotency-replayed', 'true').status(stored.status);
      if (stored.status >= 400) void reply.header('content-type', 'application/problem+json');
      return stored.response;
    }
    try {
      const answer: unknown = await lastValueFrom(next.handle());
      await this.#keep(claim, reply.statusCode, answer);
      return answer;
    } catch (error) {
      const problem = toProblem(error);
      if (problem.status < 500) await this.#keep(claim, problem.status, problem);
      else await this.#release(claim);
      throw error;
    }
  }

  /** Undefined when this request is the first one; else what the first one got. */
  async #claim(claim: Claim): Promise<{ readonly status: number; readonly response: unknown } | undefined> {
    const { db } = this.deps;
    await this.#sweep();
    const stale = new Date(Date.now() - STALE_MS).toISOString();
    await db
      .deleteFrom('idempotency')
      .where('token_id', '=', claim.token_id)
      .where('key', '=', claim.key)
      .where('status', 'is', null)
      .where('created_at', '<', stale as never)
      .execute();
    const inserted = await db
      .insertInto('idempotency')
      .values({ ...claim, status: null, response: null })
      .onConflict((conflict) => conflict.columns(['token_id', 'key']).doNothing())
      .returning('key')
      .executeTakeFirst();
    if (inserted !== undefined) return undefined;
    const row = await db
      .selectFrom('idempotency')
      .select(['request_hash', 'status', 'response'])
      .where('token_id', '=', claim.token_id)
      .where('key', '=', claim.key)
      .executeTakeFirst();
    if (row !== undefined && row.request_hash !== claim.request_hash)
      throw new ApiProblem(422, 'idempotency-key-reused', 'This Idempotency-Key was used for another request.');
    if (row === undefined || row.status === null)
      throw new ApiProblem(409, 'request-in-progress', 'The first request with this Idempotency-Key is still running.');
    return { status: row.status, response: row.response };
  }

  /** Stored answers live for a day. */
  async #sweep(): Promise<void> {
    if (Date.now() - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = Date.now();
    const old = new Date(Date.now() - KEPT_MS).toISOString();
    await this.deps.db
      .deleteFrom('idempotency')
      .where('created_at', '<', old as never)
      .execute();
  }

  async #keep(claim: Claim, status: number, response: unknown): Promise<void> {
    await this.deps.db
      .updateTable('idempotency')
      .set({ status, response: JSON.stringify(response ?? null) })
      .where('token_id', '=', claim.token_id)
      .where('key', '=', claim.key)
      .execute();
  }

  async #release(claim: Claim): Promise<void> {
    await this.deps.db
      .deleteFrom('idempotency')
      .where('token_id', '=', claim.token_id)
      .where('key', '=', claim.key)
      .execute()
      .catch(() => undefined);
  }

  /** Keyed, because a plain hash of a short body could be guessed. */
  #hashOf(request: FastifyRequest): string {
    const text = JSON.stringify([request.method, request.url, request.body ?? null]);
    return this.deps.keys.blindIndex('idempotency', text).toString('hex');
  }
}

interface Claim {
  readonly token_id: string;
  readonly key: string;
  readonly request_hash: string;
}
