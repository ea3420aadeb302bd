import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { reasonToSkipScim2Server, startScim2Server } from '../systems/scim-server.js';
import type { Scim2Server } from '../systems/scim-server.js';
import { newContext } from './kit/checks.js';
import type { HttpProxy, Intercept } from './kit/http-fault-proxy.js';
import { startHttpProxy } from './kit/http-fault-proxy.js';
import { scimConnector } from './scim-harness.js';

type Json = Record<string, unknown>;
const reason = await reasonToSkipScim2Server();
const suite = reason === undefined ? describe : describe.skip;

suite('scim on the real scim2-server', () => {
  let server: Scim2Server;
  let proxy: HttpProxy;
  const connectors: Connector[] = [];
  const spec = (login = `u-${randomUUID()}`) =>
    ({
      objectClass: 'account',
      login,
      enabled: true,
      attributes: { displayName: 'Sam Ple', title: 'Engineer' },
    }) as const;

  /** A connector whose requests go through the proxy, with these changes of its configuration. */
  const through = (changes: Json = {}, by?: Intercept): Connector => {
    proxy.clear();
    proxy.intercept(by);
    const connector = scimConnector(
      { name: 's', ...server, config: {}, variant: '', group: '' },
      { baseUrl: `${proxy.origin}/v2`, ...changes },
    );
    connectors.push(connector);
    return connector;
  };
  const raw = async (method: string, path: string, body?: unknown): Promise<Json> => {
    const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/scim+json' };
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
    const text = await (await fetch(`${server.baseUrl}${path}`, init)).text();
    return (text === '' ? {} : JSON.parse(text)) as Json;
  };
  const members = async (group: string): Promise<string[]> =>
    (((await raw('GET', `/Groups/${group}`))['members'] ?? []) as Json[]).map((member) => String(member['value']));
  const makeGroup = async (ids: readonly string[] = []): Promise<{ id: string; name: string }> => {
    const name = `g-${randomUUID()}`;
    const made = await raw('POST', '/Groups', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
      displayName: name,
      members: ids.map((value) => ({ value })),
    });
    return { id: String(made['id']), name };
  };
  const retitle = (ref: AccountRef, value: string) =>
    raw('PATCH', `/Users/${ref.nativeId}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', path: 'title', value }],
    });

  beforeAll(async () => {
    server = await startScim2Server();
    proxy = await startHttpProxy(new URL(server.baseUrl).origin);
  }, 120_000);
  afterEach(() => Promise.all(connectors.splice(0).map((connector) => connector.close())));
  afterAll(async () => {
    await proxy.close();
    await server.stop();
  });

  describe('ETags', () => {
    it('of a user: who writes in between makes the write a CONFLICT, and a repeat succeeds', async () => {
      let meddle: (() => Promise<unknown>) | undefined;
      const connector = through({}, async (request, forward) => {
        if (request.method === 'PATCH' || request.method === 'DELETE') {
          await meddle?.();
          meddle = undefined;
        }
        return forward();
      });
      const { ref } = await connector.create!(spec(), newContext());
      meddle = () => retitle(ref, 'Meddled');
      await expect(connector.disable!(ref, newContext())).rejects.toMatchObject({
        code: 'CONFLICT',
        targetCode: 'http-412',
      });
      expect(await raw('GET', `/Users/${ref.nativeId}`)).toMatchObject({ active: true, title: 'Meddled' });
      expect((await connector.disable!(ref, newContext())).outcome).toBe('applied');
      meddle = () => retitle(ref, 'Again');
      await expect(connector.delete!(ref, newContext())).rejects.toMatchObject({ code: 'CONFLICT' });
      expect((await connector.delete!(ref, newContext())).outcome).toBe('applied');
    });

    it.each(['patch', 'put'])('of a group, by %s', async (write) => {
      let meddle: (() => Promise<unknown>) | undefined;
      const connector = through({ write }, async (request, forward) => {
        if (request.path.startsWith('/v2/Groups/') && request.method !== 'GET') {
          await meddle?.();
          meddle = undefined;
        }
        return forward();
      });
      const { ref } = await connector.create!(spec(), newContext());
      const other = await connector.create!(spec(), newContext());
      const { id, name } = await makeGroup();
      const group = { application: 'x', name };
      meddle = () =>
        raw('PATCH', `/Groups/${id}`, {
          schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
          Operations: [{ op: 'add', path: 'members', value: [{ value: other.ref.nativeId }] }],
        });
      await expect(connector.addMember!(group, ref, newContext())).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await members(id)).toEqual([other.ref.nativeId]);
      expect((await connector.addMember!(group, ref, newContext())).outcome).toBe('applied');
      expect((await members(id)).sort()).toEqual([ref.nativeId, other.ref.nativeId].sort());
    });

    it('planted: without If-Match a PUT would have taken the other member away', async () => {
      const connector = through({ write: 'put' }, async (request, forward) => {
        const { 'if-match': _match, ...headers } = request.headers;
        if (request.path.startsWith('/v2/Groups/') && request.method === 'PUT') await meddle();
        return forward({ headers });
      });
      const { ref } = await connector.create!(spec(), newContext());
      const other = await connector.create!(spec(), newContext());
      const { id, name } = await makeGroup();
      const meddle = () =>
        raw('PATCH', `/Groups/${id}`, {
          schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
          Operations: [{ op: 'add', path: 'members', value: [{ value: other.ref.nativeId }] }],
        });
      await connector.addMember!({ application: 'x', name }, ref, newContext());
      expect(await members(id)).toEqual([ref.nativeId]);
    });
  });

  describe('Bulk', () => {
    const inGroups = async (connector: Connector, count: number) => {
      const { ref } = await connector.create!(spec(), newContext());
      const groups = await Promise.all(Array.from({ length: count }, () => makeGroup([ref.nativeId])));
      proxy.clear();
      return { ref, groups };
    };
    const writes = (): string[] =>
      proxy.requests
        .filter(({ method }) => method !== 'GET')
        .map(({ method, path }) => `${method} ${path.split('/')[2]}`);

    it('takes an account out of its groups and deletes it in one request', async () => {
      const connector = through({ delete: 'with-memberships' });
      const { ref, groups } = await inGroups(connector, 5);
      const context = newContext();
      expect((await connector.delete!(ref, context)).outcome).toBe('applied');
      expect([writes(), context.markers()]).toEqual([['POST Bulk'], 1]);
      expect(await Promise.all(groups.map(({ id }) => members(id)))).toEqual([[], [], [], [], []]);
      expect(await connector.get(ref, newContext())).toBeUndefined();
      expect((await connector.delete!(ref, newContext())).outcome).toBe('already-in-state');
    });

    it('does it one by one when it is told to, and within the limits when they are small', async () => {
      const alone = through({ delete: 'with-memberships', bulk: 'never' });
      const first = await inGroups(alone, 2);
      await alone.delete!(first.ref, newContext());
      expect(writes()).toEqual(['PATCH Groups', 'PATCH Groups', 'DELETE Users']);
      const small = through({ delete: 'with-memberships' }, async (request, forward) => {
        const reply = await forward();
        return request.path.endsWith('/ServiceProviderConfig')
          ? {
              ...reply,
              body: JSON.stringify({
                ...(JSON.parse(reply.body) as Json),
                bulk: { supported: true, maxOperations: 3, maxPayloadSize: 100_000 },
              }),
            }
          : reply;
      });
      const second = await inGroups(small, 5);
      await small.delete!(second.ref, newContext());
      expect(writes()).toEqual(['POST Bulk', 'POST Bulk']);
      expect(await Promise.all(second.groups.map(({ id }) => members(id)))).toEqual([[], [], [], [], []]);
    });

    it('that fails in the middle is PARTIAL, leaves the account, and a repeat completes it', async () => {
      let spoil = true;
      const connector = through({ delete: 'with-memberships' }, (request, forward) => {
        if (!request.path.endsWith('/Bulk') || !spoil) return forward();
        spoil = false;
        // The server itself must refuse one step: somebody has written that group since.
        const body = JSON.parse(request.body) as { Operations: Json[] };
        const Operations = body.Operations.map((step, index) =>
          index === 1 ? { ...step, version: 'W/"stale"' } : step,
        );
        return forward({ body: JSON.stringify({ ...body, Operations }) });
      });
      const { ref, groups } = await inGroups(connector, 3);
      await expect(connector.delete!(ref, newContext())).rejects.toMatchObject({
        code: 'PARTIAL',
        sent: true,
        ref,
        targetCode: 'bulk-http-412 after 1 of 4',
      });
      const left = async () => (await Promise.all(groups.map(({ id }) => members(id)))).flat().length;
      expect([await left(), (await connector.get(ref, newContext())) !== undefined]).toEqual([2, true]);
      expect((await connector.delete!(ref, newContext())).outcome).toBe('applied');
      expect([await left(), await connector.get(ref, newContext())]).toEqual([0, undefined]);
    });

    it('whose answer is lost or says nothing is AMBIGUOUS, and a repeat finds it done', async () => {
      let reply: ((real: string) => string) | undefined = () => '{"error":"no"}';
      const connector = through({ delete: 'with-memberships' }, async (request, forward) => {
        const real = await forward();
        return request.path.endsWith('/Bulk') && reply !== undefined ? { ...real, body: reply(real.body) } : real;
      });
      const { ref } = await inGroups(connector, 2);
      await expect(connector.delete!(ref, newContext())).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
      reply = undefined;
      expect((await connector.delete!(ref, newContext())).outcome).toBe('already-in-state');
    });
  });

  describe('quirks', () => {
    const refuse = (status: number, scimType: string) => ({
      status,
      headers: { 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
        status: String(status),
        scimType,
      }),
    });
    const rewriteJson = (text: string, change: (key: string, value: unknown) => unknown): string =>
      text === '' ? text : JSON.stringify(JSON.parse(text, change) as unknown);
    const life = async (connector: Connector) => {
      const { ref } = await connector.create!(spec(), newContext());
      await connector.disable!(ref, newContext());
      await connector.update!(ref, [{ attribute: 'title', op: 'replace', value: null }], newContext());
      await connector.update!(ref, [{ attribute: 'enterprise.department', op: 'replace', value: 'R' }], newContext());
      return { ref, at: await raw('GET', `/Users/${ref.nativeId}`), seen: await connector.get(ref, newContext()) };
    };
    const writeQuirks: [string, Json, Intercept, string][] = [
      [
        'putOnly',
        { putOnly: true },
        (r, f) => (r.method === 'PATCH' ? Promise.resolve(refuse(501, '')) : f()),
        'UNSUPPORTED',
      ],
      [
        'opCase',
        { opCase: 'title' },
        (r, f) =>
          r.method === 'PATCH' && /"op":"[a-z]/.test(r.body)
            ? Promise.resolve(refuse(400, 'invalidSyntax'))
            : f({ body: r.body.replaceAll(/"op":"([A-Z])/g, (_all, first: string) => `"op":"${first.toLowerCase()}`) }),
        'INVALID',
      ],
      [
        'patchWithoutPath',
        { patchWithoutPath: true },
        (r, f) =>
          r.method === 'PATCH' && r.body.includes('"path"') ? Promise.resolve(refuse(400, 'invalidPath')) : f(),
        'INVALID',
      ],
    ];
    it.each(writeQuirks)('%s', async (_name, quirks, by, without) => {
      const { at, seen } = await life(through({ quirks }, by));
      expect(at).toMatchObject({ active: false });
      expect(at['title']).toBeUndefined();
      expect(seen).toMatchObject({ status: 'disabled', attributes: { 'enterprise.department': 'R' } });
      await expect(life(through({}, by))).rejects.toMatchObject({ code: without });
    });

    it('activeAsText: without it the status is unknown', async () => {
      const by: Intercept = async (request, forward) => {
        if (/"active":(true|false)/.test(request.body)) return refuse(400, 'invalidValue');
        const real = await forward({
          body: request.body.replace(/"(True|False)"/g, (_all, word: string) => word.toLowerCase()),
        });
        const text = rewriteJson(real.body, (key, value) =>
          key === 'active' && typeof value === 'boolean' ? (value ? 'True' : 'False') : value,
        );
        return { ...real, body: text };
      };
      const { ref, seen } = await life(through({ quirks: { activeAsText: true } }, by));
      expect(seen?.status).toBe('disabled');
      const plain = through({}, by);
      expect((await plain.get(ref, newContext()))?.status).toBe('unknown');
      expect((await plain.verify({ ref, exists: true, status: 'disabled' }, newContext())).verdict).toBe('unknown');
    });

    it('adoptBy: a server that drops externalId', async () => {
      let lose = false;
      const by: Intercept = async (request, forward) => {
        const drop = (text: string) => rewriteJson(text, (key, value) => (key === 'externalId' ? undefined : value));
        const real = await forward({ body: drop(request.body) });
        return lose && request.method === 'POST' ? { ...real, cut: true } : { ...real, body: drop(real.body) };
      };
      for (const adoptBy of ['login', 'enterprise.employeeNumber']) {
        const connector = through({ quirks: { adoptBy } }, by);
        const account = spec();
        const context = newContext();
        lose = true;
        await expect(connector.create!(account, context)).rejects.toMatchObject({ code: 'AMBIGUOUS' });
        lose = false;
        const { idempotencyKey } = context;
        expect((await connector.create!(account, newContext({ idempotencyKey }))).outcome).toBe('already-in-state');
        const stranger = { ...account, attributes: { ...account.attributes, title: 'Somebody else' } };
        await expect(connector.create!(stranger, newContext())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      }
      const plain = through({}, by);
      const account = spec();
      const context = newContext();
      await plain.create!(account, context);
      expect(context.lines.join()).toContain('does not show the adoption key');
      await expect(plain.create!(account, context)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    });

    it('a server that ignores filters never makes us adopt a stranger, and validate says so', async () => {
      const by: Intercept = (request, forward) => {
        const url = new URL(request.path, 'http://x');
        url.searchParams.delete('filter');
        return forward({ path: `${url.pathname}${url.search}` });
      };
      const connector = through({}, by);
      await raw('POST', '/Users', { schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'], userName: randomUUID() });
      await makeGroup();
      await expect(connector.create!(spec(), newContext())).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        targetCode: 'filter-ignored',
      });
      const codes = (await connector.validate(newContext())).map(({ code }) => code);
      expect(codes).toEqual(expect.arrayContaining(['no-key-filter', 'no-member-filter']));
    });

    it('memberFilter: groups are read where members cannot be filtered', async () => {
      const by: Intercept = (request, forward) =>
        request.path.includes('members.value') ? Promise.resolve(refuse(400, 'invalidFilter')) : forward();
      const connector = through({ quirks: { memberFilter: false } }, by);
      const { ref } = await connector.create!(spec(), newContext());
      const { name } = await makeGroup();
      const group = { application: 'x', name };
      expect((await connector.addMember!(group, ref, newContext())).outcome).toBe('applied');
      expect((await connector.get(ref, newContext()))?.entitlements).toEqual([name]);
      expect((await connector.removeMember!(group, ref, newContext())).outcome).toBe('applied');
      expect((await connector.removeMember!(group, ref, newContext())).outcome).toBe('already-in-state');
      await expect(through({}, by).addMember!(group, ref, newContext())).rejects.toMatchObject({ code: 'INVALID' });
    });

    const groupWrites: [string, Intercept][] = [
      ['put', (r, f) => (r.method === 'PATCH' && r.path.includes('/Groups/') ? Promise.resolve(refuse(501, '')) : f())],
      [
        'user',
        (r, f) => {
          if (r.method !== 'GET' && r.path.includes('/Groups/')) return Promise.resolve(refuse(501, ''));
          const change = (JSON.parse(r.body === '' ? '{}' : r.body) as { Operations?: Json[] }).Operations?.[0];
          if (r.method !== 'PATCH' || !String(change?.['path']).startsWith('groups')) return f();
          // What such a server does inside: the membership is kept at the group.
          const user = r.path.split('/').at(-1) ?? '';
          const adds = change?.['op'] === 'add';
          const group = adds
            ? String((change['value'] as Json[])[0]?.['value'])
            : (/"([^"]+)"/.exec(String(change?.['path']))?.[1] ?? '');
          const step = adds
            ? { op: 'add', path: 'members', value: [{ value: user }] }
            : { op: 'remove', path: `members[value eq "${user}"]` };
          const body = JSON.stringify({
            schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
            Operations: [step],
          });
          const { 'if-match': _match, ...headers } = r.headers;
          return f({ path: `/v2/Groups/${group}`, body, headers }).then(() => ({ status: 204, headers: {}, body: '' }));
        },
      ],
    ];
    it.each(groupWrites)('groupWrite: %s', async (groupWrite, by) => {
      const connector = through({ quirks: { groupWrite } }, by);
      const { ref } = await connector.create!(spec(), newContext());
      const { id, name } = await makeGroup();
      const group = { application: 'x', name };
      expect((await connector.addMember!(group, ref, newContext())).outcome).toBe('applied');
      expect(await members(id)).toEqual([ref.nativeId]);
      await expect(through({}, by).removeMember!(group, ref, newContext())).rejects.toMatchObject({
        code: 'UNSUPPORTED',
      });
      const again = through({ quirks: { groupWrite } }, by);
      expect((await again.removeMember!(group, ref, newContext())).outcome).toBe('applied');
      expect(await members(id)).toEqual([]);
    });

    it('startIndex: without the flag a list never calls itself complete', async () => {
      const by: Intercept = (request, forward) =>
        forward({ path: request.path.replace(/startIndex=\d+/, 'startIndex=1') });
      await Promise.all([1, 2, 3].map(() => through({}).create!(spec(), newContext())));
      const walk = async (connector: Connector) => {
        const ids: string[] = [];
        let cursor: string | undefined;
        for (;;) {
          const page = await connector.list({ objectClass: 'account', pageSize: 2, cursor }, newContext());
          ids.push(...page.items.map((item) => item.ref.nativeId));
          if (page.next === undefined) return { ids, complete: page.complete };
          cursor = page.next;
        }
      };
      const honest = await walk(through({ quirks: { startIndex: false } }, by));
      const total = Number((await raw('GET', '/Users?count=1'))['totalResults']);
      expect([honest.complete, honest.ids.length, new Set(honest.ids).size]).toEqual([true, total, total]);
      expect((await walk(through({}, by))).complete).toBe(false);
    });

    it('groupIdFilter: without the flag a member is overlooked, and validate says so', async () => {
      const nobody = {
        totalResults: 0,
        Resources: [],
        schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
      };
      const by: Intercept = (request, forward) =>
        /\/Groups\?.*filter=id%20eq/.test(request.path)
          ? Promise.resolve({ status: 200, headers: {}, body: JSON.stringify(nobody) })
          : forward();
      const [flagged, plain] = [through({ quirks: { groupIdFilter: false } }, by), through({}, by)];
      const { ref } = await flagged.create!(spec(), newContext());
      const { name } = await makeGroup();
      const group = { application: 'x', name };
      expect((await flagged.addMember!(group, ref, newContext())).outcome).toBe('applied');
      expect((await flagged.addMember!(group, ref, newContext())).outcome).toBe('already-in-state');
      expect((await plain.removeMember!(group, ref, newContext())).outcome).toBe('already-in-state');
      expect((await flagged.removeMember!(group, ref, newContext())).outcome).toBe('applied');
      expect((await flagged.get(ref, newContext()))?.entitlements).toEqual([]);
      const said = async (connector: Connector) =>
        (await connector.validate(newContext())).some(({ code }) => code === 'no-group-id-filter');
      expect([await said(plain), await said(flagged)]).toEqual([true, false]);
    });

    it('conflictMeansTaken: a 409 that does not say why', async () => {
      const by: Intercept = async (_request, forward) => {
        const reply = await forward();
        return reply.status === 409 ? { ...reply, body: '{"status":"409"}' } : reply;
      };
      const [flagged, plain] = [through({ quirks: { conflictMeansTaken: true } }, by), through({}, by)];
      const [one, other] = [spec(), spec()];
      await flagged.create!(one, newContext());
      const { ref } = await flagged.create!(other, newContext());
      const delta = [{ attribute: 'login', op: 'replace', value: one.login }] as const;
      await expect(plain.update!(ref, delta, newContext())).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(flagged.update!(ref, delta, newContext())).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    });

    it('rename: a userName that cannot be changed', async () => {
      const by: Intercept = (request, forward) =>
        request.method === 'PATCH' && request.body.includes('"userName"')
          ? Promise.resolve(refuse(400, 'mutability'))
          : forward();
      const connector = through({ quirks: { rename: false } }, by);
      expect(connector.capabilities().rename).toBe(false);
      const { ref } = await connector.create!(spec(), newContext());
      const delta = [{ attribute: 'login', op: 'replace', value: randomUUID() }] as const;
      const context = newContext();
      await expect(connector.update!(ref, delta, context)).rejects.toMatchObject({ code: 'UNSUPPORTED', sent: false });
      expect(context.markers()).toBe(0);
      await expect(through({}, by).update!(ref, delta, newContext())).rejects.toMatchObject({ code: 'INVALID' });
    });

    it('deleteDeactivates: without the flag a delete is disproved by reading', async () => {
      const by: Intercept = async (request, forward) => {
        if (request.method !== 'DELETE') return forward();
        const body = {
          schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
          Operations: [{ op: 'replace', path: 'active', value: false }],
        };
        const headers = { ...request.headers, 'content-type': 'application/scim+json' };
        await forward({ method: 'PATCH', body: JSON.stringify(body), headers });
        return { status: 204, headers: {}, body: '' };
      };
      const flagged = through({ quirks: { deleteDeactivates: true } }, by);
      expect(flagged.delete).toBeUndefined();
      expect(flagged.capabilities().objectClasses.account.operations).not.toContain('delete');
      const plain = through({}, by);
      const { ref } = await plain.create!(spec(), newContext());
      await plain.delete!(ref, newContext());
      const verdict = await plain.verify({ ref, exists: false }, newContext());
      expect(verdict).toMatchObject({ verdict: 'mismatch', mismatches: [{ what: 'existence' }] });
      expect(await raw('GET', `/Users/${ref.nativeId}`)).toMatchObject({ active: false });
    });

    it('204 without a body, 200 with one, and an error under a 200: only the first two are a success', async () => {
      const answers: [string, Intercept][] = [
        ['204', async (r, f) => (r.method === 'GET' ? f() : (await f(), { status: 204, headers: {}, body: '' }))],
        ['200', async (r, f) => (r.method === 'GET' ? f() : { ...(await f()), status: 200 })],
      ];
      for (const [, by] of answers) {
        expect((await life(through({}, by))).at).toMatchObject({ active: false });
      }
      const { ref } = await through({}).create!(spec(), newContext());
      const lying = through({}, (r, f) =>
        r.method === 'GET' ? f() : Promise.resolve({ status: 200, headers: {}, body: '{"error":"no"}' }),
      );
      await expect(lying.disable!(ref, newContext())).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    });

    const epoch = () => String(Math.floor(Date.now() / 1000) + 60);
    const rates: [string, number, () => Record<string, string>][] = [
      ['seconds from now', 429, () => ({ 'x-ratelimit-reset': '60' })],
      [
        'an epoch time, with 403 and nothing remaining',
        403,
        () => ({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': epoch() }),
      ],
      ['a date', 429, () => ({ 'x-ratelimit-reset': new Date(Date.now() + 60_000).toISOString() })],
    ];
    it.each(rates)('rateHeaders: %s', async (_name, status, headers) => {
      const by: Intercept = () => Promise.resolve({ status, headers: headers(), body: '' });
      const read = (connector: Connector) =>
        connector.find({ attribute: 'login', value: 'ada' }, newContext()).catch((error: unknown) => error as Json);
      const flagged = (await read(through({ quirks: { rateHeaders: true } }, by))) as Json;
      expect(flagged['code']).toBe('RATE_LIMITED');
      expect(flagged['retryAfterMs']).toBeGreaterThan(40_000);
      expect(flagged['retryAfterMs']).toBeLessThanOrEqual(61_000);
      const plain = (await read(through({}, by))) as Json;
      expect(plain['retryAfterMs']).toBeUndefined();
    });

    it('a profile is a set of flags, and flags override it', () => {
      const rename = (quirks: unknown) => through({ quirks }).capabilities().rename;
      expect([rename('zoom-style'), rename({ style: 'zoom-style', rename: true }), rename({})]).toEqual([
        false,
        true,
        true,
      ]);
      expect(through({ quirks: 'slack-style' }).delete).toBeUndefined();
      expect(() => through({ quirks: { adoptBy: 'nope' } })).toThrow(/adoptBy/);
      expect(() => through({ quirks: 'another-style' })).toThrow(/quirks/);
    });
  });
});
