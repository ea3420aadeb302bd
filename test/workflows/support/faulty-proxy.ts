import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What happens to the requests of one person at one HTTP target. Reads pass unless the fault says otherwise. */
export type PersonFault =
  /** Each write waits that long before the target hears of it; the caller still waits. */
  | { readonly kind: 'slow-writes'; readonly ms: number }
  /** Each read waits that long. */
  | { readonly kind: 'slow-reads'; readonly ms: number }
  /** The write number `nth` (from 0) and all later ones hang; `release` lets them land, whether or not the caller is still there. */
  | { readonly kind: 'hang-writes'; readonly nth: number }
  /** The target acts on the write number `nth` and the next `count - 1`, and the connection is cut instead of an answer. */
  | { readonly kind: 'lose-answers'; readonly nth: number; readonly count: number }
  /** Everything is answered with this status (503 when absent) until released; `retryAfter` makes the header of each answer. */
  | { readonly kind: 'refuse'; readonly status?: number; readonly retryAfter?: () => string }
  /** A user is shown, or not shown, as before the last write for that long. */
  | { readonly kind: 'lagging-reads'; readonly ms: number };

export interface FaultyProxy {
  readonly url: string;
  forwardTo(url: string): void;
  /** Names a person by the local part that all of their logins begin with. */
  fault(loginStart: string, fault: PersonFault): void;
  /** The person's fault is over; what it held lands, in order. Resolves when it has. */
  release(loginStart: string): Promise<void>;
  /** Resolves when the target has been asked `nth` times about the person since `fault`, or nothing more was asked for `quietMs` (10 s before the first). */
  asked(loginStart: string, nth: number, quietMs: number): Promise<void>;
  /** How often each kind of fault was felt: a fault that never happened proves nothing. */
  felt(): Readonly<Record<string, number>>;
  /** When the person's requests were refused, in milliseconds of this machine's clock. */
  refusals(loginStart: string): readonly number[];
  stop(): Promise<void>;
}

const BEFORE_FIRST_MS = 10_000;

interface Held {
  readonly person: string;
  land(): Promise<void>;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** An HTTP proxy before a SCIM target that treats each person's requests as told; a held write lands later, as on a server that goes on after its client left. */
export async function startFaultyProxy(): Promise<FaultyProxy> {
  let target = new URL('http://127.0.0.1:1');
  const faults = new Map<string, PersonFault>();
  const personOf = new Map<string, string>();
  const writes = new Map<string, number>();
  const requests = new Map<string, number>();
  const felt: Record<string, number> = {};
  const former = new Map<string, { readonly until: number; readonly answer: Answer }>();
  const refusals = new Map<string, readonly number[]>();
  let held: Held[] = [];

  const people = (): readonly string[] => [...faults.keys()];
  const nameOf = (call: Call): string | undefined => {
    const text = `${decodeURIComponent(call.path)} ${call.body.toString('utf8')}`;
    const byLogin = people().find((start) => text.includes(`"${start}`));
    return byLogin ?? [...personOf].find(([id]) => text.includes(id))?.[1];
  };
  const feel = (kind: string): void => {
    felt[kind] = (felt[kind] ?? 0) + 1;
  };
  const pass = async (call: Call, person: string | undefined): Promise<Answer> => {
    const answer = await send(target, call);
    const id = /"id":"([0-9a-f-]{36})"/.exec(answer.body.toString('utf8'))?.[1];
    if (person !== undefined && id !== undefined && call.method === 'POST') personOf.set(id, person);
    return answer;
  };

  /** Carries out a write and shows readers what was there before it for a while. */
  const remember = async (
    call: Call,
    ms: number,
    response: ServerResponse,
    person: string | undefined,
  ): Promise<void> => {
    const read = { ...call, method: 'GET', body: Buffer.alloc(0), headers: withoutLength(call.headers) };
    const isCreate = call.method === 'POST';
    const before = isCreate ? NOT_FOUND : await send(target, read);
    const given = await pass(call, person);
    const id = /"id":"([0-9a-f-]{36})"/.exec(given.body.toString('utf8'))?.[1];
    const path = isCreate ? `${call.path}/${id ?? ''}` : call.path;
    former.set(path, { until: Date.now() + ms, answer: before });
    answer(response, given);
  };

  const handle = async (call: Call, response: ServerResponse): Promise<void> => {
    const person = nameOf(call);
    const isWrite = call.method !== 'GET' && !/sign-(in|out)$/.test(call.path);
    const fault = person === undefined ? undefined : faults.get(person);
    const nth = person === undefined || !isWrite ? -1 : (writes.get(person) ?? 0);
    if (person !== undefined && isWrite) writes.set(person, nth + 1);
    if (person !== undefined) requests.set(person, (requests.get(person) ?? 0) + 1);
    switch (fault?.kind) {
      case 'slow-writes':
      case 'slow-reads':
        if ((fault.kind === 'slow-writes') === isWrite) {
          feel(fault.kind);
          await delay(fault.ms);
        }
        break;
      case 'refuse':
        feel('refuse');
        refusals.set(person ?? '', [...(refusals.get(person ?? '') ?? []), Date.now()]);
        response
          .writeHead(fault.status ?? 503, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter() })
          .end();
        return;
      case 'lagging-reads': {
        const seen = isWrite ? undefined : former.get(call.path);
        if (seen !== undefined && Date.now() < seen.until) {
          feel('lagging-reads');
          answer(response, seen.answer);
          return;
        }
        if (isWrite) await remember(call, fault.ms, response, person);
        if (isWrite) return;
        break;
      }
      case 'hang-writes':
        if (!isWrite || nth < fault.nth) break;
        feel('hang-writes');
        held.push({
          person: person ?? '',
          land: async () => {
            answer(response, await pass(call, person));
          },
        });
        return;
      case 'lose-answers':
        if (!isWrite || nth < fault.nth || nth >= fault.nth + fault.count) break;
        feel('lose-answers');
        await pass(call, person);
        response.destroy();
        return;
      case undefined:
    }
    answer(response, await pass(call, person));
  };

  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    void readCall(request).then(
      (call) => handle(call, response).catch(() => response.destroy()),
      () => response.destroy(),
    );
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forwardTo: (url) => {
      target = new URL(url);
    },
    fault: (loginStart, fault) => {
      faults.set(loginStart, fault);
      writes.set(loginStart, 0);
      requests.set(loginStart, 0);
    },
    asked: async (loginStart, nth, quietMs) => {
      let [seen, quietUntil] = [0, Date.now() + BEFORE_FIRST_MS];
      for (;;) {
        const count = requests.get(loginStart) ?? 0;
        if (count > seen) [seen, quietUntil] = [count, Date.now() + quietMs];
        if (count >= nth || Date.now() > quietUntil) return;
        await delay(2);
      }
    },
    release: async (loginStart) => {
      const mine = held.filter((one) => one.person === loginStart);
      held = held.filter((one) => one.person !== loginStart);
      // Still known by name, so that later requests are counted as theirs, and no longer disturbed.
      faults.set(loginStart, { kind: 'slow-writes', ms: 0 });
      for (const one of mine) await one.land().catch(() => undefined);
    },
    felt: () => felt,
    refusals: (loginStart) => refusals.get(loginStart) ?? [],
    stop: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

const NOT_FOUND: Answer = { status: 404, headers: {}, body: Buffer.from('{"status":"404"}') };

function withoutLength({
  'content-length': _length,
  ...headers
}: IncomingMessage['headers']): IncomingMessage['headers'] {
  return headers;
}

async function readCall(request: IncomingMessage): Promise<Call> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return {
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: request.headers,
    body: Buffer.concat(parts),
  };
}

function send(target: URL, call: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...call.headers, host: target.host };
    const options = { method: call.method, headers, agent: false as const };
    const outgoing = httpRequest(new URL(call.path, target), options, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 502, headers: incoming.headers, body: Buffer.concat(parts) }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(call.body);
  });
}

function answer(response: ServerResponse, given: Answer): void {
  if (response.destroyed) return;
  const { connection: _hop, 'transfer-encoding': _chunked, 'keep-alive': _alive, ...headers } = given.headers;
  response.writeHead(given.status, { ...headers, 'content-length': given.body.length });
  response.end(given.body);
}
