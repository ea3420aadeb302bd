import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Connector } from '../../../src/connectors/connector.js';
import { restFactory } from '../../../src/connectors/rest/index.js';
import { Secret } from '../../../src/connectors/secret.js';
import { newContext } from '../kit/checks.js';
import type { Config } from './example.js';

export interface Asked {
  readonly method: string;
  /** Path and query as they came. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A server that answers as a test says; a request that it has no answer for is 404. */
export class Scripted {
  readonly asked: Asked[] = [];
  readonly #server: Server;
  readonly #connectors: Connector[] = [];

  constructor(answer: (asked: Asked, url: URL) => Reply | undefined) {
    this.#server = createServer((request, response: ServerResponse) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        const asked = { method, url, headers, body };
        this.asked.push(asked);
        const reply = answer(asked, new URL(url, this.url)) ?? { status: 404 };
        response.writeHead(reply.status ?? 200, { 'content-type': 'application/json', ...reply.headers });
        response.end(reply.body === undefined ? '' : JSON.stringify(reply.body));
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** A connector of the smallest configuration, with changes. */
  connector(changes: Config = {}, secret = 'the-secret'): Connector {
    const config = smallest(this.url, changes);
    const connector = restFactory.create('x', config, {
      secrets: () => new Secret(secret),
      logger: newContext().logger,
    });
    this.#connectors.push(connector);
    return connector;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connectors.map((connector) => connector.close()));
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** How often something was asked. */
  count(method: string, path: RegExp): number {
    return this.asked.filter((asked) => asked.method === method && path.test(asked.url)).length;
  }
}

export function smallest(baseUrl: string, changes: Config = {}): Config {
  const { operations, ...others } = changes;
  return {
    baseUrl,
    auth: { type: 'none' },
    accounts: { id: 'item.id', login: 'item.login', status: 'item.active' },
    attributes: { title: { read: 'item.title' } },
    operations: {
      list: { request: { path: '/users' } },
      get: { request: { path: '/users/{account.id}' } },
      find: { login: { request: { path: '/users', query: { login: 'value' } } } },
      create: {
        steps: [{ method: 'POST', path: '/users', body: { login: 'login', title: 'attributes.?title' } }],
        id: 'body.id',
      },
      disable: [{ method: 'PATCH', path: '/users/{account.id}', body: { active: false } }],
      ...(operations as Config | undefined),
    },
    ...others,
  };
}

export const ada = { id: 'u1', login: 'ada', active: true, title: 'Engineer' };
export const adaRef = { application: 'x', objectClass: 'account', nativeId: 'u1' };
