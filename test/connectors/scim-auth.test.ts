import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Connector } from '../../src/connectors/connector.js';
import { scimFactory } from '../../src/connectors/scim/index.js';
import { Secret } from '../../src/connectors/secret.js';
import { newContext } from './kit/checks.js';

/** A token endpoint and a SCIM server that takes the tokens which are in `good`. */
let server: Server;
let connector: Connector;
let issued = 0;
const good = new Set<string>();
const asked: string[] = [];

function reply(request: IncomingMessage, response: ServerResponse): void {
  asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
  const send = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (request.url === '/token') {
    const pair = Buffer.from('tenure:the-secret').toString('base64');
    if (request.headers.authorization !== `Basic ${pair}`) return send(401, { error: 'invalid_client' });
    issued += 1;
    good.add(`t${issued}`);
    return send(200, { access_token: `t${issued}`, expires_in: 300 });
  }
  if (!good.has((request.headers.authorization ?? '').slice('Bearer '.length))) return send(401, {});
  return send(200, { totalResults: 0, Resources: [] });
}

function make(config: object, secret = 'the-secret'): Connector {
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const auth = {
    type: 'oauth2-client-credentials',
    tokenUrl: `${base}/token`,
    clientId: 'tenure',
    clientSecret: 'env:S',
  };
  const whole = { baseUrl: `${base}/scim/v2`, auth, paging: 'index', ...config };
  return scimFactory.create('x', whole, { secrets: () => new Secret(secret), logger: newContext().logger });
}

beforeEach(async () => {
  issued = 0;
  good.clear();
  asked.length = 0;
  server = createServer(reply);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  connector = make({});
});
afterEach(async () => {
  await connector.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('scim with OAuth 2 client credentials', () => {
  const find = (by: Connector) => by.find({ attribute: 'login', value: 'ada' }, newContext());

  it('asks for one token and keeps it, and renews one that the server ended early', async () => {
    await Promise.all([find(connector), find(connector)]);
    expect(issued).toBe(1);
    good.clear();
    expect(await find(connector)).toEqual([]);
    expect(issued).toBe(2);
  });

  it('does not go round in circles when every token is refused', async () => {
    await find(connector);
    const wanted = asked.length;
    const add = good.add.bind(good);
    good.clear();
    good.add = () => good;
    try {
      await expect(find(connector)).rejects.toMatchObject({ code: 'UNAUTHENTICATED', sent: false });
    } finally {
      good.add = add;
    }
    expect(asked.slice(wanted).filter((line) => line === 'POST /token')).toHaveLength(1);
    expect(asked.slice(wanted).filter((line) => line.startsWith('GET'))).toHaveLength(2);
  });

  it('a client that is refused is UNAUTHENTICATED, and nothing reaches the users', async () => {
    const wrong = make({}, 'wrong');
    try {
      expect(await wrong.health(newContext())).toMatchObject({ ok: false, code: 'UNAUTHENTICATED' });
      expect(asked.every((line) => line === 'POST /token')).toBe(true);
    } finally {
      await wrong.close();
    }
  });

  it('needs a token or a token endpoint, and not both', () => {
    expect(() => make({ auth: undefined })).toThrow(/token/);
    expect(() => make({ token: 'env:TOKEN' })).toThrow(/token/);
  });
});
