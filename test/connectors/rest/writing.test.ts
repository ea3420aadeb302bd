import { afterEach, describe, expect, it } from '@jest/globals';
import { configProblems } from '../../../src/connectors/registry.js';
import { restFactory } from '../../../src/connectors/rest/index.js';
import { Secret } from '../../../src/connectors/secret.js';
import { newContext } from '../kit/checks.js';
import { example } from './example.js';
import { ada, adaRef, Scripted, smallest } from './scripted.js';
import type { Asked, Reply } from './scripted.js';

let server: Scripted | undefined;
afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function serve(answer: (asked: Asked, url: URL) => Reply | undefined): Promise<Scripted> {
  server = await new Scripted(answer).start();
  return server;
}

/** Reads show Ada; a write is answered by the test. */
const onWrite =
  (reply: (asked: Asked) => Reply) =>
  (asked: Asked): Reply =>
    asked.method === 'GET' ? { body: asked.url.startsWith('/users/u1') ? ada : [] } : reply(asked);

describe('the error table and the rate headers', () => {
  const soon = String(Math.floor(Date.now() / 1000) + 60);
  const cases: [string, object, Reply, object][] = [
    ['the status alone', {}, { status: 400 }, { code: 'INVALID', targetCode: 'http-400', sent: true }],
    [
      'a row by status and body',
      { errors: [{ status: [400], when: 'body.error == "E17"', code: 'CONFLICT' }] },
      { status: 400, body: { error: 'E17' } },
      { code: 'CONFLICT' },
    ],
    [
      'a row that does not fit the body',
      { errors: [{ status: [400], when: 'body.error == "E17"', code: 'CONFLICT' }] },
      { status: 400, body: { error: 'E18' } },
      { code: 'INVALID' },
    ],
    [
      'a row whose expression finds nothing in the body',
      { errors: [{ status: [400], when: 'body.error == "E17"', code: 'CONFLICT' }] },
      { status: 400 },
      { code: 'INVALID' },
    ],
    [
      'an error in an answer of 200',
      { errors: [{ when: 'body.?ok.orValue(true) == false', code: 'INVALID', attribute: 'title' }] },
      { status: 200, body: { ok: false } },
      { code: 'INVALID', attribute: 'title' },
    ],
    [
      'a row of another operation',
      { errors: [{ status: [409], operations: ['update'], code: 'ALREADY_EXISTS' }] },
      { status: 409 },
      { code: 'CONFLICT' },
    ],
    ['Retry-After', {}, { status: 429, headers: { 'retry-after': '7' } }, { code: 'RATE_LIMITED', retryAfterMs: 7000 }],
    [
      'a reset header of its own',
      { rate: { resetHeader: 'X-Reset', unit: 'ms' } },
      { status: 429, headers: { 'x-reset': '1234' } },
      { code: 'RATE_LIMITED', retryAfterMs: 1234 },
    ],
    [
      'a reset header that is nonsense',
      { rate: { resetHeader: 'X-Reset', unit: 'ms' } },
      { status: 429, headers: { 'x-reset': 'soon' } },
      { code: 'RATE_LIMITED', retryAfterMs: undefined },
    ],
    [
      'an empty budget said with 403',
      {
        rate: { resetHeader: 'X-Reset', unit: 'epoch-seconds' },
        errors: [{ status: [403], when: 'headers["x-remaining"] == "0"', code: 'RATE_LIMITED' }],
      },
      { status: 403, headers: { 'x-reset': soon, 'x-remaining': '0' } },
      { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) },
    ],
    ['a failure of the server', {}, { status: 500 }, { code: 'AMBIGUOUS', sent: true }],
    ['a redirect', {}, { status: 302, headers: { location: 'http://127.0.0.1:9/' } }, { code: 'UNAVAILABLE' }],
  ];

  it.each(cases)('%s', async (_name, changes, reply, wanted) => {
    const { disable } = (await serve(onWrite(() => reply))).connector({ ...changes });
    await expect(disable!(adaRef, newContext())).rejects.toMatchObject(wanted);
  });
});

describe('a job', () => {
  const steps = (find: object | undefined) => ({
    operations: {
      disable: [
        {
          method: 'PATCH',
          path: '/users/{account.id}',
          body: { active: false },
          job: { done: 'body.state == "done"', failed: 'body.state == "failed"', ...find },
        },
      ],
    },
  });
  const find = {
    find: {
      request: { path: '/jobs', query: { user: 'account.id' } },
      items: 'body',
      done: 'item.state == "done"',
      failed: 'item.state == "failed"',
    },
  };

  async function withJob(state: () => string, location = '/jobs/1') {
    let active = true;
    let jobs = 0;
    const target = await serve((asked, url) => {
      if (asked.method === 'PATCH') {
        jobs += 1;
        return { status: 202, headers: { location } };
      }
      if (url.pathname === '/jobs') return { body: jobs === 0 ? [] : [{ state: state() }] };
      if (url.pathname === '/jobs/1') {
        if (state() === 'done') active = false;
        return { body: { state: state() }, headers: { 'retry-after': '3' } };
      }
      return { body: { ...ada, active } };
    });
    return { target, jobs: () => jobs };
  }

  it('is looked at once; a repeat finds it at work and begins no second one', async () => {
    let state = 'running';
    const { target, jobs } = await withJob(() => state);
    const { disable } = target.connector(steps(find));
    const pending = { code: 'AMBIGUOUS', targetCode: 'job:pending', sent: true };
    await expect(disable!(adaRef, newContext())).rejects.toMatchObject({ ...pending, retryAfterMs: 3000 });
    expect(target.count('GET', /^\/jobs\/1/)).toBe(1);
    for (let times = 0; times < 5; times += 1) {
      await expect(disable!(adaRef, newContext())).rejects.toMatchObject({ ...pending, retryAfterMs: 5000 });
    }
    // A job that never ends keeps nobody waiting: each try is two reads.
    expect([jobs(), target.count('GET', /^\/jobs\?/)]).toEqual([1, 6]);
    state = 'done';
    await target.connector(steps(find)).get(adaRef, newContext());
  });

  it('that is done at the first look is done', async () => {
    const { target } = await withJob(() => 'done');
    const { disable } = target.connector(steps(find));
    expect((await disable!(adaRef, newContext())).outcome).toBe('applied');
    expect((await disable!(adaRef, newContext())).outcome).toBe('already-in-state');
  });

  it('that failed is an answer, and is begun again when somebody asks for it', async () => {
    const { target, jobs } = await withJob(() => 'failed');
    const { disable } = target.connector(steps(find));
    await expect(disable!(adaRef, newContext())).rejects.toMatchObject({ code: 'INVALID', targetCode: 'job:failed' });
    await expect(disable!(adaRef, newContext())).rejects.toMatchObject({ targetCode: 'job:failed' });
    expect(jobs()).toBe(2);
  });

  it('at another origin is refused', async () => {
    const { target } = await withJob(() => 'done', 'http://127.0.0.1:9/jobs/1');
    const { disable } = target.connector(steps(find));
    await expect(disable!(adaRef, newContext())).rejects.toMatchObject({
      code: 'FORBIDDEN',
      targetCode: 'job:other-origin',
    });
  });

  it('that cannot be found again needs an idempotency header', async () => {
    const problems = configProblems(restFactory.configSchema, smallest('http://127.0.0.1:1', steps(undefined)));
    expect(problems.join()).toMatch(/operations\.disable\.0\.job: needs find/);
    const { target } = await withJob(() => 'running');
    const { disable } = target.connector({ ...steps(undefined), idempotencyHeader: 'Idempotency-Key' });
    await expect(disable!(adaRef, newContext({ idempotencyKey: 'k' }))).rejects.toMatchObject({
      targetCode: 'job:pending',
    });
    expect(target.asked.find((asked) => asked.method === 'PATCH')?.headers['idempotency-key']).toBe('k');
  });
});

describe('several writes of one operation', () => {
  const disable = [
    { method: 'PATCH', path: '/users/{account.id}', when: 'account.item.active', body: { active: false } },
    { method: 'DELETE', path: '/users/{account.id}/keys', accept: [404] },
  ];

  async function withKeys(reply: () => Reply) {
    let active = true;
    const target = await serve((asked) => {
      if (asked.method === 'PATCH') active = false;
      if (asked.method === 'DELETE') return reply();
      return { body: { ...ada, active, keys: reply().status === 204 ? 0 : 1 } };
    });
    const status = '!item.active && item.keys == 0 ? "disabled" : item.active ? "enabled" : "unknown"';
    const accounts = { id: 'item.id', login: 'item.login', status };
    return target.connector({ accounts, operations: { disable } });
  }

  it('the second is refused: PARTIAL; the repeat does what is left', async () => {
    let reply: Reply = { status: 403 };
    const connector = await withKeys(() => reply);
    await expect(connector.disable!(adaRef, newContext())).rejects.toMatchObject({ code: 'PARTIAL', ref: adaRef });
    reply = { status: 204 };
    expect((await connector.get(adaRef, newContext()))?.status).toBe('disabled');
    reply = { status: 503 };
    await expect(connector.disable!(adaRef, newContext())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(server?.count('PATCH', /./)).toBe(1);
    reply = { status: 404 };
    expect((await connector.disable!(adaRef, newContext())).outcome).toBe('applied');
  });

  it('the fence is asked before each, and what it throws passes through', async () => {
    const connector = await withKeys(() => ({ status: 204 }));
    const context = newContext();
    await connector.disable!(adaRef, context);
    expect(context.markers()).toBe(2);
    const fence = new Error('the generation is old');
    const refused = newContext({ sentMarker: () => Promise.reject(fence) });
    const again = (await withKeysAnew()).disable!(adaRef, refused);
    await expect(again).rejects.toBe(fence);
    expect(server?.count('PATCH', /./)).toBe(0);
  });

  async function withKeysAnew() {
    await server?.stop();
    return withKeys(() => ({ status: 204 }));
  }
});

describe('values', () => {
  it('become JSON, never text: no value leaves its place', async () => {
    const target = await serve(onWrite(() => ({ status: 201, body: { id: 'u9' } })));
    const login = '", "admin": true, "x": "\\\n';
    const spec = { objectClass: 'account', login, enabled: true, attributes: { title: '{b} "q"' } } as const;
    await target.connector().create!(spec, newContext());
    const sent = target.asked.find((asked) => asked.method === 'POST')?.body ?? '';
    expect(JSON.parse(sent)).toEqual({ login, title: '{b} "q"' });
  });

  it('a line break cannot get into a header', async () => {
    const target = await serve(onWrite(() => ({ status: 204 })));
    const step = { method: 'PATCH', path: '/users/{account.id}', headers: { 'X-Name': 'account.attributes.title' } };
    const connector = target.connector({
      attributes: { title: { read: '"a\\r\\nX-Admin: 1"' } },
      operations: { disable: [step] },
    });
    await expect(connector.disable!(adaRef, newContext())).rejects.toMatchObject({
      code: 'INVALID',
      attribute: 'headers.X-Name',
      sent: false,
    });
    expect(target.count('PATCH', /./)).toBe(0);
  });

  it('an expression that fails while running sends nothing and names its place', async () => {
    const target = await serve(onWrite(() => ({ status: 204 })));
    const step = { method: 'PATCH', path: '/users/{account.id}', body: { a: { b: 'account.item.nope.deeper' } } };
    const failing = target.connector({ operations: { disable: [step] } }).disable!(adaRef, newContext());
    await expect(failing).rejects.toMatchObject({
      code: 'INVALID',
      attribute: 'body.a.b',
      targetCode: 'expression:no_such_key',
    });
    expect(target.count('PATCH', /./)).toBe(0);
  });
});

describe('the configuration', () => {
  const problemsOf = (changes: object): string =>
    configProblems(restFactory.configSchema, smallest('http://127.0.0.1:1', changes as never)).join('\n');

  it('names path and expression of what is wrong', () => {
    const wrong = {
      accounts: { id: 'item.id', login: 'itme.login', status: 'item.active +' },
      operations: {
        get: { request: { path: '/users/{account.nope}' } },
        disable: [{ method: 'PATCH', path: '/users/{account.id}', body: { a: [1, 'secret'] }, when: '"yes"' }],
      },
    };
    const problems = problemsOf(wrong);
    expect(problems).toMatch(/^accounts\.login: expression "itme\.login": Unknown variable: itme; known here are /m);
    expect(problems).toMatch(/^accounts\.status: expression "item\.active \+"/m);
    expect(problems).toMatch(/^operations\.get\.request\.path: expression "account\.nope": No such key: nope/m);
    expect(problems).toMatch(/^operations\.disable\.0\.body\.a\.1: expression "secret": Unknown variable/m);
    expect(problems).toMatch(/^operations\.disable\.0\.when: .*gives string, not bool/m);
    const create = () =>
      restFactory.create('x', smallest('http://127.0.0.1:1', wrong), {
        secrets: () => new Secret('x'),
        logger: newContext().logger,
      });
    expect(create).toThrow(/accounts\.login/);
  });

  it.each([
    [{ adoptionKey: 'nope' }, 'adoptionKey'],
    [{ rename: true }, 'rename'],
    [{ operations: { archive: [{ method: 'DELETE', path: '/users/{account.id}' }] } }, 'accounts.archived'],
    [{ auth: { type: 'bearer', token: 'plain' } }, 'auth.token'],
    [{ attributes: { login: { read: 'item.x' } } }, 'attributes.login'],
    [{ operations: { find: {} } }, 'operations.find.login'],
  ])('%j', (changes, path) => {
    expect(problemsOf(changes)).toContain(`${path}: `);
  });

  it('a target elsewhere must be spoken to by https', () => {
    const deps = { secrets: () => new Secret('x'), logger: newContext().logger };
    expect(() => restFactory.create('x', smallest('http://idp.example.com'), deps)).toThrow(/https/);
    expect(() => restFactory.create('x', smallest('https://169.254.169.254'), deps)).toThrow(/no target/);
  });

  it('what is not configured is absent as a method and as a capability', () => {
    const deps = { secrets: () => new Secret('x'), logger: newContext().logger };
    const connector = restFactory.create('x', smallest('http://127.0.0.1:1'), deps);
    const { operations } = connector.capabilities().objectClasses.account;
    expect(operations).toEqual(['list', 'get', 'find', 'create', 'disable', 'verify']);
    expect([connector.delete, connector.seal, connector.addMember, connector.probeSignIn]).toEqual(
      Array(4).fill(undefined),
    );
  });

  it.each(['keycloak', 'okta', 'entra'])('%s.yaml is right', (name) => {
    expect(configProblems(restFactory.configSchema, example(name))).toEqual([]);
  });
});
