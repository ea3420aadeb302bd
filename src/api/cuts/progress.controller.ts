import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { hashOf } from '../../domain/hash.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId } from '../../domain/process/ids.js';
import type { Json } from '../../domain/process/json.js';
import { API_DEPS } from '../deps.js';
import type { ApiDeps } from '../deps.js';
import { ApiProblem, notFound } from '../http/problem.js';
import { identityParam } from '../http/schemas.js';
import { cutProgress } from './progress.js';
import type { CutProgress } from './progress.js';

const LOOK_MS = 500;
const HEARTBEAT_MS = 10_000;
/** A stream ends then and the client comes back: its token is looked at again. */
const LONGEST_MS = 10 * 60_000;
const MOST_STREAMS = 100;

@Controller('v1/identities')
export class ProgressController implements OnModuleDestroy {
  readonly #stop = new AbortController();
  #open = 0;

  constructor(@Inject(API_DEPS) private readonly deps: ApiDeps) {}

  onModuleDestroy(): void {
    this.#stop.abort();
  }

  /**
   * How far a cut is, as server-sent events. Each event is the whole state, made from the database, and its id says which state that is: whoever comes back
   * with `Last-Event-ID` misses nothing and gets nothing twice; after the end there is nothing more (204).
   */
  @Get(':id/cut/progress')
  async progress(@Param('id') id: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const found = identityParam.safeParse(id).success
      ? await cutProgress(this.deps.db, brand<IdentityId>(id.toLowerCase()))
      : undefined;
    if (found === undefined) throw notFound('cut');
    const last = request.headers['last-event-id'];
    if (found.isSettled && last === idOf(found)) return void (await reply.status(204).send());
    if (this.#open >= MOST_STREAMS)
      throw new ApiProblem(503, 'too-many-streams', 'Too many are watching; try again later.');
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, this.#stop.signal, AbortSignal.timeout(LONGEST_MS)]);
    this.#open += 1;
    void reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
    // Its connection ends with it: one that is kept would hold up the door's closing.
    void reply.header('x-accel-buffering', 'no').header('connection', 'close');
    const stream = Readable.from(this.#events(found, typeof last === 'string' ? last : undefined, signal));
    stream.once('close', () => (this.#open -= 1));
    return reply.send(stream);
  }

  async *#events(first: CutProgress, last: string | undefined, signal: AbortSignal): AsyncGenerator<string> {
    yield 'retry: 1000\n\n';
    let shown = last;
    let beatAt = Date.now();
    for (let state: CutProgress | undefined = first; state !== undefined && !signal.aborted;) {
      const id = idOf(state);
      if (id !== shown) yield eventOf(state, id);
      if (state.isSettled) return;
      if (id !== shown) beatAt = Date.now();
      shown = id;
      if (Date.now() - beatAt >= HEARTBEAT_MS) {
        beatAt = Date.now();
        yield ': still here\n\n';
      }
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) state = await cutProgress(this.deps.db, first.identityId);
    }
  }
}

function idOf(state: CutProgress): string {
  return hashOf(state as unknown as Json);
}

function eventOf(state: CutProgress, id: string): string {
  return `event: ${state.isSettled ? 'end' : 'progress'}\nid: ${id}\ndata: ${JSON.stringify(state)}\n\n`;
}
