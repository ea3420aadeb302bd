import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { timingSafeEqual } from 'node:crypto';
import SCIMMY from 'scimmy';
import { readErpEffects } from './erp.js';
import { declareResources, patchMembers, scimError } from './scim-resources.js';
import type { ScimJson } from './scim-store.js';
import { ScimStore } from './scim-store.js';

/** How the sandbox misbehaves when a test or an operator asks it to. All off = an honest server. */
export interface Behaviour {
  /** Answers writes with success and does nothing. */
  readonly ignoreWrites?: boolean;
  /** Says `active: false` and lets the person in all the same. */
  readonly signInIgnoresActive?: boolean;
  /** Answers every refused sign-in with "bad-credentials", as servers do that hide why. */
  readonly signInHidesReason?: boolean;
  /** Never answers writes (`writes`) or anything (`all`). */
  readonly hang?: 'writes' | 'all';
  /** Acts, then drops the connection instead of answering. */
  readonly loseAnswers?: boolean;
  /** Answers everything with this status, and with this Retry-After. */
  readonly refuse?: { readonly status: number; readonly retryAfter?: string };
}

export interface ScimTargetOptions {
  readonly adminUrl: string;
  readonly database: string;
  readonly token: string;
  /** 0 = the port of the last start when it is free, else any. */
  readonly port: number;
  readonly groups: readonly string[];
  /** When given, `GET /_effects/erp` shows the ERP's effect log too. */
  readonly erpOwnerUrl?: string;
}

export interface ScimTarget {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly scimUrl: string;
  readonly store: ScimStore;
  behave(behaviour: Behaviour): void;
  stop(): Promise<void>;
}

interface Call {
  readonly method: string;
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly body: () => Promise<ScimJson>;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly location?: string;
}

/** Starts the sandbox SCIM server on loopback. Its state survives `kill -9`; starting again goes on with it. */
export async function startScimTarget(options: ScimTargetOptions): Promise<ScimTarget> {
  declareResources();
  const store = await ScimStore.open(options.adminUrl, options.database, options.groups);
  let behaviour: Behaviour = {};
  const behave = (next: Behaviour): void => {
    behaviour = next;
  };
  const server = createServer((request, response) => {
    void answer(options, store, behaviour, behave, request, response);
  });
  // Clients keep connections open; a short limit here would race with their next request.
  server.keepAliveTimeout = 60_000;
  const remembered = Number((await store.setting('port')) ?? 0);
  const port = await listen(server, options.port === 0 ? [remembered, 0] : [options.port]);
  await store.saveSetting('port', String(port));
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    scimUrl: `${url}/scim/v2`,
    store,
    behave,
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await store.close();
    },
  };
}

async function listen(server: Server, candidates: readonly number[]): Promise<number> {
  const [port = 0, ...rest] = candidates;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    if (rest.length > 0) {
      return listen(server, rest);
    }
    throw error;
  }
  return (server.address() as AddressInfo).port;
}

async function answer(
  options: ScimTargetOptions,
  store: ScimStore,
  behaviour: Behaviour,
  behave: (next: Behaviour) => void,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const method = request.method ?? 'GET';
  const call: Call = { method, url, request, body: () => readBody(request) };
  const control = url.pathname.startsWith('/_');
  const isWrite = method !== 'GET' && !['/login', '/sign-in'].includes(url.pathname);
  if (!control && (behaviour.hang === 'all' || (behaviour.hang === 'writes' && isWrite))) {
    return;
  }
  let reply: Reply;
  try {
    if (!control && behaviour.refuse !== undefined) {
      const { status, retryAfter } = behaviour.refuse;
      if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
      reply = { status, body: { status: String(status), detail: 'refused by the sandbox' } };
    } else {
      reply = await route(options, store, behaviour, behave, call);
    }
  } catch (error) {
    reply = await errorReply(store, call, error);
  }
  if (!control && behaviour.loseAnswers === true && isWrite) {
    request.socket.destroy();
    return;
  }
  send(response, reply);
}

async function errorReply(store: ScimStore, call: Call, error: unknown): Promise<Reply> {
  const status = error instanceof SCIMMY.Types.Error ? error.status : error instanceof SyntaxError ? 400 : 500;
  if (call.method !== 'GET' && call.url.pathname.startsWith('/scim/')) {
    await store
      .recordNothing(call.url.pathname.split('/')[4] ?? '', `refused-${call.method.toLowerCase()}`)
      .catch(() => undefined);
  }
  const shown = error instanceof SCIMMY.Types.Error ? error : scimError(status, '', 'the request failed');
  return { status, body: new SCIMMY.Messages.ErrorResponse(shown) };
}

function send(response: ServerResponse, reply: Reply): void {
  const text = reply.body === undefined ? '' : JSON.stringify(reply.body);
  response.writeHead(reply.status, {
    ...(text === '' ? {} : { 'content-type': 'application/scim+json' }),
    ...(reply.location === undefined ? {} : { location: reply.location }),
  });
  response.end(text);
}

async function readBody(request: IncomingMessage): Promise<ScimJson> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > 1_000_000) {
      throw scimError(413, '', 'the body is too large');
    }
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as ScimJson;
}

async function route(
  options: ScimTargetOptions,
  store: ScimStore,
  behaviour: Behaviour,
  behave: (next: Behaviour) => void,
  call: Call,
): Promise<Reply> {
  const [, area = '', ...rest] = call.url.pathname.split('/');
  switch (`${call.method} /${area}`) {
    case 'GET /healthz':
      return { status: 200, body: { ok: true } };
    case 'POST /login':
    case 'POST /sign-in':
      return signIn(store, behaviour, call);
    case 'GET /me': {
      const user = await store.sessionUser(bearer(call));
      return user === undefined ? { status: 401, body: { error: 'no-session' } } : { status: 200, body: user };
    }
    case 'POST /logout':
    case 'POST /sign-out':
      await store.signOut(bearer(call));
      return { status: 204 };
    default:
      break;
  }
  if (!isToken(bearer(call), options.token)) {
    return { status: 401, body: { status: '401', detail: 'a valid bearer token is needed' } };
  }
  switch (area) {
    case 'scim':
      return scim(store, behaviour, call, rest.slice(1));
    case 'sessions':
      return sessions(store, behaviour, call, rest[0] ?? '');
    case 'password':
      return password(store, behaviour, call, rest[0] ?? '');
    case '_effects': {
      const query = { after: Number(call.url.searchParams.get('after') ?? 0) };
      const erp = rest[0] === 'erp' && options.erpOwnerUrl !== undefined;
      const effects = erp ? await readErpEffects(options.erpOwnerUrl ?? '', query) : await store.effects(query);
      return { status: 200, body: { effects } };
    }
    case '_behaviour':
      behave(await call.body());
      return { status: 204 };
    default:
      return { status: 404, body: { status: '404', detail: 'no such path' } };
  }
}

async function signIn(store: ScimStore, behaviour: Behaviour, call: Call): Promise<Reply> {
  const body = await call.body();
  const login = textOf(body['userName']);
  const result = await store.signIn(login, textOf(body['password']), behaviour.signInIgnoresActive === true);
  if ('token' in result) {
    return { status: 200, body: result };
  }
  return { status: 401, body: { error: behaviour.signInHidesReason === true ? 'bad-credentials' : result.error } };
}

/** `/sessions/{id}`: what SCIM has no words for. */
async function sessions(store: ScimStore, behaviour: Behaviour, call: Call, id: string): Promise<Reply> {
  switch (call.method) {
    case 'GET':
      return { status: 200, body: { count: await store.countSessions(id) } };
    case 'DELETE':
      if (behaviour.ignoreWrites !== true) {
        await store.endSessions(id);
      }
      return { status: 204 };
    default:
      return { status: 405, body: { status: '405', detail: 'no such method' } };
  }
}

/** `PUT /password/{id}`, for clients that do not use the SCIM attribute. */
async function password(store: ScimStore, behaviour: Behaviour, call: Call, id: string): Promise<Reply> {
  const { password: wanted } = await call.body();
  if (call.method !== 'PUT' || typeof wanted !== 'string' || wanted === '') {
    return { status: 400, body: { status: '400', detail: 'a password is needed' } };
  }
  const found = behaviour.ignoreWrites === true || (await store.setPassword(id, wanted));
  return found ? { status: 204 } : { status: 404, body: { status: '404', detail: 'no such user' } };
}

async function scim(store: ScimStore, behaviour: Behaviour, call: Call, rest: readonly string[]): Promise<Reply> {
  const [kind = '', id] = rest;
  const ctx = { store, withoutMembers: call.url.searchParams.get('excludedAttributes') === 'members' };
  const query = queryOf(call.url);
  if (kind === 'ServiceProviderConfig') {
    return { status: 200, body: await new SCIMMY.Resources.ServiceProviderConfig().read() };
  }
  if (kind === 'Schemas' || kind === 'ResourceTypes') {
    const Resource = kind === 'Schemas' ? SCIMMY.Resources.Schema : SCIMMY.Resources.ResourceType;
    return { status: 200, body: await new Resource(id ?? '').read() };
  }
  if (kind !== 'Users' && kind !== 'Groups') {
    return { status: 404, body: { status: '404', detail: 'no such resource type' } };
  }
  const Resource = kind === 'Users' ? SCIMMY.Resources.User : SCIMMY.Resources.Group;
  const resource = new Resource(id === undefined ? undefined : decodeURIComponent(id), query);
  if (call.method === 'GET') {
    return { status: 200, body: await resource.read(ctx) };
  }
  if (behaviour.ignoreWrites === true) {
    const current = id === undefined ? { id: 'never-made' } : await resource.read(ctx);
    return call.method === 'DELETE' ? { status: 204 } : { status: call.method === 'POST' ? 201 : 200, body: current };
  }
  if (id === undefined) return write(call, resource, ctx);
  // scimmy reads a resource, changes it and writes it back whole: two changes of one group at once would lose a member.
  return store.turns.take(`${kind}/${id}`, () => write(call, resource, ctx));
}

type WrittenResource = InstanceType<typeof SCIMMY.Resources.User> | InstanceType<typeof SCIMMY.Resources.Group>;

async function write(call: Call, resource: WrittenResource, ctx: { readonly store: ScimStore }): Promise<Reply> {
  switch (call.method) {
    case 'POST': {
      const body = (await resource.write(await call.body(), ctx)) as unknown as ScimJson;
      return { status: 201, body, location: `${call.url.pathname}/${String(body['id'])}` };
    }
    case 'PUT':
      return { status: 200, body: await resource.write(await call.body(), ctx) };
    case 'PATCH': {
      const patch = await call.body();
      const isGroup = resource instanceof SCIMMY.Resources.Group;
      const done = isGroup ? await patchMembers(ctx.store, resource.id ?? '', patch) : undefined;
      if (done !== undefined) {
        return done ? { status: 204 } : { status: 404, body: { status: '404', detail: 'no such group' } };
      }
      const body = await resource.patch(patch as Parameters<typeof resource.patch>[0], ctx);
      return body === undefined ? { status: 204 } : { status: 200, body };
    }
    case 'DELETE':
      await resource.dispose(ctx);
      return { status: 204 };
    default:
      return { status: 405, body: { status: '405', detail: 'no such method' } };
  }
}

function queryOf(url: URL): Record<string, string | number> {
  const query: Record<string, string | number> = {};
  for (const [name, value] of url.searchParams) {
    query[name] = name === 'startIndex' || name === 'count' ? Number(value) : value;
  }
  return query;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function bearer(call: Call): string {
  return /^Bearer (.+)$/.exec(call.request.headers.authorization ?? '')?.[1] ?? '';
}

function isToken(given: string, wanted: string): boolean {
  const [left, right] = [Buffer.from(given), Buffer.from(wanted)];
  return left.length === right.length && timingSafeEqual(left, right);
}
