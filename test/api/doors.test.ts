import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROUTES } from '../../src/api/http/routes.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { hire, startTestApi } from './support.js';
import type { Answer, CallOptions, TestApi } from './support.js';

let api: TestApi;
let known: string;
beforeAll(async () => {
  api = await startTestApi();
  known = (await api.hr(hire())).body.results[0].identityId;
});
afterAll(() => api.close());

/** Calls, and sees to it that the answer is a problem and that no table has changed. */
async function refused(
  method: string,
  path: string,
  options: CallOptions,
  status: number,
  type: string,
): Promise<Answer> {
  const before = await api.counts();
  const answer = await api.call(method, path, options);
  expect([answer.status, answer.body?.type]).toEqual([status, `/problems/${type}`]);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(answer.body).toMatchObject({ status, title: expect.stringMatching(/\.$/) });
  expect(answer.text).not.toMatch(/Marker|stack|node_modules/);
  expect(await api.counts()).toEqual(before);
  return answer;
}

describe('bodies', () => {
  const events = '/v1/hr/events';
  it.each<[string, CallOptions, number, string]>([
    ['malformed JSON', { raw: '{"source": "Marker' }, 400, 'malformed-json'],
    ['no body', { raw: '' }, 400, 'malformed-json'],
    ['a poisoned prototype', { raw: '{"__proto__": {"role": "admin"}}' }, 400, 'malformed-json'],
    [
      'a form',
      { raw: 'source=Marker', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      415,
      'unsupported-media-type',
    ],
    ['XML', { raw: '<a>Marker</a>', headers: { 'content-type': 'text/xml' } }, 415, 'unsupported-media-type'],
    ['bytes that are no text', { raw: Buffer.from([0xff, 0xfe, 0x00, 0x80]) }, 400, 'malformed-json'],
    ['more than 10 MB', { raw: `[${'"Marker",'.repeat(1_200_000)}1]` }, 413, 'body-too-large'],
    ['a text', { body: 'Marker' }, 400, 'invalid-request'],
    ['null', { body: null }, 400, 'invalid-request'],
    ['an empty list', { body: [] }, 400, 'invalid-request'],
    ['1,001 events', { body: Array.from({ length: 1_001 }, () => ({})) }, 400, 'invalid-request'],
  ])('%s', async (_name, options, status, type) => {
    await refused('POST', events, { as: 'hr', ...options }, status, type);
  });

  it('says of too many events that they are too many', async () => {
    const body = Array.from({ length: 1_001 }, () => ({}));
    const answer = await refused('POST', events, { as: 'hr', body }, 400, 'invalid-request');
    expect(answer.body.errors).toEqual([{ path: '', message: 'too large', expected: '1 to 1,000 events' }]);
  });

  it('takes just under 10 MB of good records: the limit is no guess', async () => {
    const filler = 'x'.repeat(500);
    const attributes = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`custom.a${index}`, filler]));
    const batch = Array.from({ length: 40 }, () => hire({ attributes: { familyName: 'Big', ...attributes } }));
    const text = JSON.stringify(batch);
    const padded = text + ' '.repeat(10 * 1024 * 1024 - text.length);
    const answer = await api.call('POST', events, { as: 'hr', raw: padded });
    expect(answer.body).toMatchObject({ accepted: 40 });
  });

  it.each<[string, string, unknown, string]>([
    ['cut with an unknown field', 'cut', { reson: 'Marker' }, 'reson'],
    ['cut with a number as reason', 'cut', { reason: 5 }, 'reason'],
    ['why without an application', 'why', {}, 'application'],
    ['preview with something else than events', 'preview', { events: 'Marker' }, 'events'],
    ['preview with a bad event', 'preview', { events: [{ kind: 'hire' }] }, 'events[0].source'],
    ['preview of somebody else', 'preview', { events: [hire({ person: 'P1' })] }, 'events[0]'],
    ['credential without an application', 'credential', [], ''],
  ])('%s', async (_name, action, body, path) => {
    const target = action === 'preview' && path === 'events[0]' ? await newPerson() : known;
    const answer = await refused('POST', `/v1/identities/${target}/${action}`, { body }, 400, 'invalid-request');
    const paths = answer.body.errors.map((error: { path: string }) => error.path);
    expect(paths.some((found: string) => found.startsWith(path))).toBe(true);
  });

  const newPerson = async (): Promise<string> => (await api.hr(hire())).body.results[0].identityId;
});

describe('paths and queries', () => {
  const nobody = randomUUID();
  it.each<[string, string, string, unknown, number, string]>([
    ['an unknown route', 'GET', '/v1/nothing', undefined, 404, 'not-found'],
    ['an unknown method', 'DELETE', '/v1/identities', undefined, 404, 'not-found'],
    ['a path that cannot be decoded', 'GET', '/v1/processes/%E0%A4%A', undefined, 400, 'malformed-request'],
    ['an unknown person', 'GET', `/v1/identities/${nobody}`, undefined, 404, 'not-found'],
    ['an unknown person’s timeline', 'GET', `/v1/identities/${nobody}/timeline`, undefined, 404, 'not-found'],
    ['an unknown person’s evidence', 'GET', `/v1/identities/${nobody}/evidence`, undefined, 404, 'not-found'],
    ['a cut of an unknown person', 'POST', `/v1/identities/${nobody}/cut`, {}, 404, 'not-found'],
    ['a preview of an unknown person', 'POST', `/v1/identities/${nobody}/preview`, {}, 404, 'not-found'],
    ['a person that is no id', 'GET', "/v1/identities/'; drop table fact; --", undefined, 404, 'not-found'],
    ['an unknown process', 'GET', `/v1/processes/${encodeURIComponent('a/joiner/1/r1')}`, undefined, 404, 'not-found'],
    ['an unknown approval', 'POST', `/v1/approvals/${nobody}/decision`, { verdict: 'approved' }, 404, 'not-found'],
    ['an unknown task', 'POST', `/v1/tasks/${nobody}/resolution`, { resolution: 'retry' }, 404, 'not-found'],
    ['a task that is no id', 'POST', '/v1/tasks/x/resolution', { resolution: 'retry' }, 404, 'not-found'],
    ['an unknown verdict', 'POST', `/v1/approvals/${nobody}/decision`, { verdict: 'maybe' }, 400, 'invalid-request'],
    [
      'a skip without a reason',
      'POST',
      `/v1/tasks/${nobody}/resolution`,
      { resolution: 'skip' },
      400,
      'invalid-request',
    ],
    [
      'by hand without proof',
      'POST',
      `/v1/tasks/${nobody}/resolution`,
      { resolution: 'done-by-hand' },
      400,
      'invalid-request',
    ],
    ['a limit of 0', 'GET', '/v1/identities?limit=0', undefined, 400, 'invalid-request'],
    ['a limit beyond 200', 'GET', '/v1/identities?limit=201', undefined, 400, 'invalid-request'],
    ['an unknown parameter', 'GET', '/v1/identities?offset=5', undefined, 400, 'invalid-request'],
    ['a made-up cursor', 'GET', '/v1/identities?after=bm90IGEgY3Vyc29y', undefined, 400, 'invalid-request'],
    ['a U+0000 in a query', 'GET', '/v1/identities?query=%00', undefined, 400, 'malformed-request'],
    ['a U+0000 in a path', 'GET', '/v1/processes/a%00b', undefined, 400, 'malformed-request'],
    ['a U+0000 in a body', 'POST', '/v1/cuts', { people: ['a\u0000'], reason: 'Marker' }, 400, 'malformed-request'],
    ['an unknown status', 'GET', '/v1/tasks?status=lost', undefined, 400, 'invalid-request'],
  ])('%s', async (_name, method, path, body, status, type) => {
    await refused(method, path, body === undefined ? {} : { body }, status, type);
  });
});

describe('tokens and roles', () => {
  it.each<[string, string | undefined]>([
    ['no token', undefined],
    ['an unknown token', `Bearer ${'x'.repeat(40)}`],
    ['a short token', 'Bearer x'],
    ['another scheme', 'Basic dGVzdDp0ZXN0'],
    ['a token with blanks', `Bearer ${'x'.repeat(20)} ${'y'.repeat(20)}`],
  ])('refuses %s', async (_name, authorization) => {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await refused('GET', '/v1/identities', { as: 'nobody', headers }, 401, 'unauthorized');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('refuses revoked and expired tokens, and the old one when a name gets a new one', async () => {
    const [first, second] = [`first-${randomUUID()}`, `second-${randomUUID()}`];
    await ensureToken(api.db, { name: 'rotated', role: 'admin', token: first });
    expect((await api.call('GET', '/v1/status', { as: { token: first } })).status).toBe(200);
    await ensureToken(api.db, { name: 'rotated', role: 'admin', token: second });
    expect((await api.call('GET', '/v1/status', { as: { token: first } })).status).toBe(401);
    expect((await api.call('GET', '/v1/status', { as: { token: second } })).status).toBe(200);
    await api.db.updateTable('api_token').set({ expires_at: api.clock }).where('name', '=', 'rotated').execute();
    expect((await api.call('GET', '/v1/status', { as: { token: second } })).status).toBe(401);
  });

  it('keeps only the hash of a token', async () => {
    const rows = await api.db.selectFrom('api_token').selectAll().execute();
    expect(Object.values(api.tokens).some((token) => JSON.stringify(rows).includes(token))).toBe(false);
    expect(rows.every((row) => row.token_hash.length === 32)).toBe(true);
  });

  /** Every route, every role: allowed exactly as the table says. The table itself is checked against the document in routes.test.ts. */
  it('lets every role do what the table says and nothing else', async () => {
    const wrong: string[] = [];
    for (const route of ROUTES.filter((one) => one.access !== 'public')) {
      const path = route.path.replace(':id', randomUUID());
      for (const role of ['hr', 'operator', 'manager', 'auditor', 'admin'] as const) {
        const answer = await api.call(route.method, path, {
          as: role,
          ...(route.method === 'POST' ? { body: 5 } : {}),
        });
        const isLet = answer.status !== 403 && answer.status !== 401;
        const isMeant = route.access !== 'public' && route.access.includes(role);
        if (isLet !== isMeant) wrong.push(`${route.method} ${route.path} as ${role}: ${answer.status}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('shows health without a token, and nothing else', async () => {
    expect((await api.call('GET', '/healthz', { as: 'nobody' })).body).toEqual({ status: 'alive' });
    expect((await api.call('GET', '/readyz', { as: 'nobody' })).body).toMatchObject({ status: 'ready' });
    const metrics = await api.call('GET', '/metrics', { as: 'nobody' });
    expect(metrics.text).toContain('tenure_hr_records_total{status="accepted"}');
    expect(metrics.text).not.toContain(known);
  });
});

describe('Idempotency-Key', () => {
  const post = (key: string, body: unknown) =>
    api.call('POST', '/v1/hr/events', { as: 'hr', body, headers: { 'idempotency-key': key } });

  it('gives the same answer to the same request, and 422 to another one', async () => {
    const record = hire();
    const first = await post('one', record);
    expect(first.body).toMatchObject({ accepted: 1 });
    const again = await post('one', record);
    // Without the key the second one would say "duplicate".
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    await refused(
      'POST',
      '/v1/hr/events',
      { as: 'hr', body: hire(), headers: { 'idempotency-key': 'one' } },
      422,
      'idempotency-key-reused',
    );
  });

  it('keeps a refusal too, under the key of that token only', async () => {
    const target = (await api.hr(hire())).body.results[0].identityId;
    const cut = (as: 'admin' | 'operator') =>
      api.call('POST', `/v1/identities/${target}/cut`, { as, body: {}, headers: { 'idempotency-key': 'cut' } });
    const [first, second] = [await cut('admin'), await cut('admin')];
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.body).toEqual(first.body);
    const [other, otherAgain] = [await cut('operator'), await cut('operator')];
    expect([other.status, otherAgain.status]).toEqual([409, 409]);
    expect(otherAgain.body).toEqual(other.body);
    expect(otherAgain.headers.get('content-type')).toMatch(/problem\+json/);
  });

  it('answers 409 while the first request is running, and takes over from one that died', async () => {
    const { token_id } = await api.db
      .selectFrom('api_token')
      .select('token_id')
      .where('name', '=', 'test-hr')
      .executeTakeFirstOrThrow();
    const body = hire();
    const text = JSON.stringify(['POST', '/v1/hr/events', body]);
    const request_hash = api.keys.blindIndex('idempotency', text).toString('hex');
    await api.db
      .insertInto('idempotency')
      .values({ token_id, key: 'slow', request_hash, status: null, response: null })
      .execute();
    expect((await post('slow', body)).status).toBe(409);
    const longAgo = new Date(Date.now() - 120_000).toISOString();
    await api.db
      .updateTable('idempotency')
      .set({ created_at: longAgo as never })
      .where('key', '=', 'slow')
      .execute();
    expect((await post('slow', body)).body).toMatchObject({ accepted: 1 });
  });

  it('refuses a key that is none', async () => {
    await refused(
      'POST',
      '/v1/hr/events',
      { as: 'hr', body: hire(), headers: { 'idempotency-key': 'a b' } },
      400,
      'invalid-request',
    );
  });
});

describe('when the database is gone', () => {
  it('answers 503 and says that nothing was recorded', async () => {
    const own = await startTestApi();
    try {
      await own.database.drop();
      const answer = await own.call('GET', '/readyz', { as: 'nobody' });
      expect([answer.status, answer.body]).toEqual([503, expect.objectContaining({ database: 'unreachable' })]);
      expect((await own.call('POST', '/v1/hr/events', { as: 'hr', body: hire() })).body).toMatchObject({
        status: 503,
        type: '/problems/database-unreachable',
      });
    } finally {
      await own.close();
    }
  });
});

describe('too many requests', () => {
  it('are stopped per token, with the time to wait', async () => {
    const own = await startTestApi({ requestsPerMinute: 5 });
    try {
      for (let count = 0; count < 5; count += 1) expect((await own.call('GET', '/v1/status')).status).toBe(200);
      const answer = await own.call('GET', '/v1/status');
      expect([answer.status, answer.body.type]).toEqual([429, '/problems/too-many-requests']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await own.call('GET', '/v1/status', { as: 'operator' })).status).toBe(200);
    } finally {
      await own.close();
    }
  });
});
