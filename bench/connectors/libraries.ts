import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Client as LdapClient } from 'ldapts';
import mysql from 'mysql2/promise';
import type { ConnectionOptions } from 'mysql2/promise';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import pg from 'pg';
import { Agent, request } from 'undici';
import type { Direct, Library } from './library.js';
import { Recording, watch } from './recorder.js';
import type { Watched } from './recorder.js';

type Method = (...args: readonly unknown[]) => Promise<unknown>;

/** Calls a method of an object by its name, as a script has it. */
export function invoke(target: object, method: string, args: readonly unknown[]): Promise<unknown> {
  return (target as Record<string, Method>)[method]!(...args);
}

/** A library whose calls are methods of a prototype. */
export function methodLibrary(name: string, watched: () => readonly Watched[], connect: Library['connect']): Library {
  return {
    name,
    connect,
    async record(work) {
      const recording = new Recording();
      const undo = watch(recording, watched());
      try {
        await work();
      } finally {
        undo();
      }
      return recording.script();
    },
  };
}

export interface LdapAccess {
  readonly url: string;
  readonly tls: TlsOptions;
  readonly name: string;
  readonly password: string;
}

export function ldapLibrary({ url, tls, name, password }: LdapAccess): Library {
  const watched = [
    { owner: LdapClient.prototype, methods: ['search', 'add', 'modify', 'modifyDN', 'del', 'exop'] },
  ] as const;
  return methodLibrary(
    'ldapts',
    () => watched,
    async () => {
      const client = new LdapClient({ url, strictDN: false, tlsOptions: tls });
      await client.bind(name, password);
      return { call: (method, args) => invoke(client, method, args), close: () => client.unbind() };
    },
  );
}

export function postgresLibrary(url: string): Library {
  const watched = [{ owner: pg.Client.prototype, methods: ['query'] }] as const;
  return methodLibrary(
    'pg',
    () => watched,
    async () => {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      await client.connect();
      return { call: (method, args) => invoke(client, method, args), close: () => client.end() };
    },
  );
}

/** Connected as the connector connects: the same settings of the session. */
export async function mariadbLibrary(options: ConnectionOptions, session: readonly string[]): Promise<Library> {
  const connect = async (): Promise<{ client: mysql.Connection }> => {
    const client = await mysql.createConnection(options);
    for (const text of session) await client.query(text);
    return { client };
  };
  const { client: sample } = await connect();
  const owner = Object.getPrototypeOf(sample) as object;
  await sample.end();
  return methodLibrary(
    'mysql2',
    () => [{ owner, methods: ['query', 'execute'] }],
    async () => {
      const { client } = await connect();
      return { call: (method, args) => invoke(client, method, args), close: () => client.end() };
    },
  );
}

/** What undici tells of a request on its diagnostics channels. */
interface Sent {
  readonly request: {
    readonly origin: string | URL;
    readonly method: string;
    readonly path: string;
    readonly headers: readonly string[];
    readonly body: Uint8Array | string | null;
  };
}

export interface HttpResult {
  readonly url: string;
  readonly method: string;
  readonly location: string | undefined;
  readonly body: unknown;
}

/** A request as a script has it. */
export interface HttpRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** What a request takes over from the answers before it, where the target wants to hear what it has just said. */
export type Carry = (request: HttpRequest, answers: readonly HttpResult[], account: string | undefined) => HttpRequest;

/** undici's `request`, and JSON.parse of what comes back: nobody can use an answer without it. */
export function httpLibrary(tls: { readonly ca?: string } = {}, carry?: Carry): Library {
  return {
    name: 'undici',
    async record(work) {
      const recording = new Recording();
      const ends = new Map<unknown, (result: unknown) => void>();
      const begun = (message: unknown): void => {
        const { request: sent } = message as Sent;
        const body =
          sent.body === null || typeof sent.body === 'string' ? sent.body : Buffer.from(sent.body).toString();
        const end = recording.begin(sent.method, [
          `${String(sent.origin)}${sent.path}`,
          pairs(sent.headers),
          body ?? undefined,
        ]);
        if (end !== undefined) ends.set(sent, end);
      };
      const answered = (message: unknown): void => ends.get((message as Sent).request)?.(undefined);
      subscribe('undici:request:create', begun);
      subscribe('undici:request:trailers', answered);
      try {
        await work();
      } finally {
        unsubscribe('undici:request:create', begun);
        unsubscribe('undici:request:trailers', answered);
      }
      return recording.script();
    },
    connect() {
      const agent = new Agent({ connections: 8, pipelining: 1, keepAliveTimeout: 4_000, connect: tls });
      const answers: HttpResult[] = [];
      let account: string | undefined;
      const call: Direct['call'] = async (method, args) => {
        const [url, headers, body] = args as [string, Record<string, string>, string | undefined];
        const plain = { url, headers, body };
        if (carry === undefined) return send(agent, method, plain);
        const answer = await send(agent, method, carry(plain, answers, account));
        answers.unshift(answer);
        answers.length = Math.min(answers.length, REMEMBERED);
        return answer;
      };
      const about = (id: string | undefined): void => void (account = id);
      return Promise.resolve({ about, call, close: () => agent.close() });
    },
  };
}

/** No request takes anything over from further back. */
const REMEMBERED = 4;

async function send(agent: Agent, method: string, { url, headers, body }: HttpRequest): Promise<HttpResult> {
  const options = { dispatcher: agent, method: method as 'GET', headers, ...(body === undefined ? {} : { body }) };
  const answer = await request(url, options);
  const text = await answer.body.text();
  const { location } = answer.headers;
  return {
    url,
    method,
    location: typeof location === 'string' ? location : undefined,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

function pairs(flat: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) {
    const name = String(flat[at]).toLowerCase();
    // undici writes these itself.
    if (name !== 'content-length' && name !== 'host' && name !== 'connection') found[name] = String(flat[at + 1]);
  }
  return found;
}
