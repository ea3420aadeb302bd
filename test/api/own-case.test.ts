import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureToken } from '../../src/api/http/tokens.js';
import { SYSTEM } from '../../src/db/keys.js';
import type { ApiRole } from '../../src/db/schema.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { stagedContext } from '../../src/onboarding/staged.js';
import { hire, insertProcess, startTestApi } from './support.js';
import type { Answer, Loose, TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

interface Official {
  readonly id: IdentityId;
  readonly token: string;
  readonly record: ReturnType<typeof hire>;
}

/** Somebody who works here and has a token of that role in their own name. */
async function official(role: ApiRole): Promise<Official> {
  const record = hire();
  const id = (await api.hr(record)).body.results[0].identityId as IdentityId;
  const token = `own_${randomUUID()}`;
  await ensureToken(api.db, { name: `own-${id}`, role, identityId: id, token });
  return { id, token, record };
}

const problem = (answer: Answer) => [answer.status, answer.body.type];
const OWN_CASE = [403, '/problems/own-case'];
const lifecycleOf = async (id: string) => (await api.call('GET', `/v1/identities/${id}`)).body.lifecycle;

describe('nobody acts in their own case', () => {
  it.each<[string, string, (id: string) => string, object]>([
    ['cuts themselves', 'POST', (id) => `/v1/identities/${id}/cut`, {}],
    ['holds what is theirs', 'PUT', (id) => `/v1/identities/${id}/legal-hold`, { reason: 'mine' }],
    ['lifts a hold on themselves', 'DELETE', (id) => `/v1/identities/${id}/legal-hold`, { reason: 'mine' }],
  ])('no admin %s; somebody else is asked', async (_what, method, path, body) => {
    const admin = await official('admin');
    if (method === 'DELETE') await api.call('PUT', path(admin.id), { body });
    const before = await api.counts();
    expect(problem(await api.call(method, path(admin.id), { as: admin, body }))).toEqual(OWN_CASE);
    expect(await api.counts()).toEqual(before);
    expect((await api.call(method, path(admin.id), { body })).status).toBeLessThan(300);
  });

  it('a list of many leaves out whoever wrote it, and whoever is on it cannot be the second pair of eyes', async () => {
    const operator = await official('operator');
    const other = await official('operator');
    const written = await api.call('POST', '/v1/cuts', {
      as: operator,
      body: { people: [operator.id, String(operator.record['person'])], reason: 'x' },
    });
    expect(written.body.results.map((one: Loose) => one.status)).toEqual(['own-case', 'own-case']);
    const crowd = (await api.hr(...Array.from({ length: 5 }, () => hire()))).body.results as Loose[];
    const people = [other.id, ...crowd.map((one) => one.identityId)];
    const { body } = await api.call('POST', '/v1/cuts', { as: operator, body: { people, reason: 'x' } });
    expect(body.state).toBe('proposed');
    const path = `/v1/cuts/${body.cutId}/confirmation`;
    expect(problem(await api.call('POST', path, { as: other }))).toEqual(OWN_CASE);
    expect(await lifecycleOf(other.id)).toBe('active');
    expect((await api.call('POST', path)).status).toBe(202);
    expect(await lifecycleOf(other.id)).toBe('left');
  });

  it('an HR record about the sender is refused: nobody takes their own end back', async () => {
    const hr = await official('hr');
    const { person, employment } = hr.record as Loose;
    const end = {
      source: 'hr-test',
      eventId: `end-${hr.id}`,
      person,
      employment,
      kind: 'end',
      lastWorkingDay: '2026-12-31',
      manner: 'planned',
    };
    await api.hr(end);
    const withdraw = {
      source: 'hr-test',
      eventId: `back-${hr.id}`,
      corrects: `end-${hr.id}`,
      person,
      employment,
      kind: 'withdraw',
    };
    const refused = await api.call('POST', '/v1/hr/events', { as: hr, body: withdraw });
    expect(refused.body.results[0]).toMatchObject({ status: 'rejected', problems: [{ path: 'person' }] });
    // What was refused stays refused, whatever else becomes known of the person.
    const { kind: _kind, lastWorkingDay: _day, manner: _manner, ...about } = end;
    const change = { ...about, eventId: `note-${hr.id}`, kind: 'change', effectiveOn: '2026-12-01' };
    const before = Number((await api.counts())['fact']);
    expect((await api.hr({ ...change, attributes: { title: 'Clerk' } })).body.results[0].status).toBe('accepted');
    expect((await api.counts())['fact']).toBe(before + 1);
    expect((await api.hr(withdraw)).body.results[0].status).toBe('accepted');
  });

  it('a task of their own case is resolved by somebody else', async () => {
    const operator = await official('operator');
    const processId = await insertProcess(api, operator.id, 'leaver', { generation: 1, phase: 'cut' });
    const taskId = randomUUID();
    await api.db
      .insertInto('operator_task')
      .values({
        task_id: taskId,
        identity_id: operator.id,
        process_id: brand(processId),
        visit_id: null,
        application: brand('wiki'),
        kind: 'visit',
        code: 'UNAVAILABLE',
        attribute: null,
        instructions: null,
        due_at: null,
        resolution: null,
        decision_id: null,
        resolved_at: null,
      })
      .execute();
    const path = `/v1/tasks/${taskId}/resolution`;
    const body = { resolution: 'skip', reason: 'leave me alone' };
    const before = await api.counts();
    expect(problem(await api.call('POST', path, { as: operator, body }))).toEqual(OWN_CASE);
    expect([await api.counts(), api.lifecycle.resolutions]).toEqual([before, []]);
    expect((await api.call('POST', path, { as: 'operator', body })).status).toBe(200);
  });

  it('an account of their own is neither linked nor taken out of sight by themselves', async () => {
    const operator = await official('operator');
    const importId = randomUUID();
    await api.db
      .insertInto('account_import')
      .values({
        import_id: importId,
        application: brand('wiki'),
        state: 'done',
        stage: 'done',
        links: false,
        page_size: 100,
        policy_version: brand(1),
        requested_by: 'x',
        created_at: api.clock,
        touched_at: api.clock,
        ended_at: api.clock,
        expires_at: brand('2027-01-01T00:00:00.000Z'),
        dropped_at: null,
        code: null,
        cursor: null,
        after_key: null,
        is_complete: true,
        counts: null,
      })
      .execute();
    const body = { login: 'own', attributes: {}, entitlements: [] };
    await api.db
      .insertInto('staged_account')
      .values({
        import_id: importId,
        native_id: 'n-own',
        body: await api.keys.encryptFor(api.db, SYSTEM, stagedContext(importId), body),
        status: 'enabled',
        is_protected: false,
        result: 'orphan',
        code: null,
      })
      .execute();
    const link = { nativeId: 'n-own', identityId: operator.id };
    const links = '/v1/applications/wiki/links';
    expect(problem(await api.call('POST', links, { as: operator, body: link }))).toEqual(OWN_CASE);
    expect((await api.call('POST', links, { as: 'operator', body: link })).status).toBe(200);
    const unlink = { nativeId: 'n-own', reason: 'not mine' };
    const path = '/v1/applications/wiki/unlink';
    expect(problem(await api.call('POST', path, { as: operator, body: unlink }))).toEqual(OWN_CASE);
    const standing = () =>
      api.db.selectFrom('account').select('unlinked_at').where('native_id', '=', 'n-own').executeTakeFirstOrThrow();
    expect((await standing()).unlinked_at).toBeNull();
    expect((await api.call('POST', path, { as: 'operator', body: unlink })).status).toBe(200);
    expect((await standing()).unlinked_at).not.toBeNull();
  });
});

describe('a leaver’s own token', () => {
  const me = (token: string) => api.call('GET', '/v1/tasks', { as: { token } }).then((answer) => answer.status);

  it('is revoked by the transaction of the cut, for good, and says so in the audit without the token', async () => {
    const { id, token } = await official('operator');
    expect(await me(token)).toBe(200);
    expect((await api.call('POST', `/v1/identities/${id}/cut`, { body: {} })).status).toBe(202);
    expect(await me(token)).toBe(401);
    await ensureToken(api.db, { name: `own-${id}`, role: 'operator', identityId: id, token });
    expect(await me(token)).toBe(401);
    const { items } = (await api.call('GET', `/v1/audit?identity=${id}`)).body;
    expect(items.find((one: Loose) => one.action === 'tokens.revoked').body).toEqual({
      tokens: [{ tokenId: expect.any(String), role: 'operator' }],
    });
  });

  it('ends at the very instant of a dated end, though nothing that would carry it out is running', async () => {
    const { record, token } = await official('operator');
    const { person, employment } = record as Loose;
    const end = {
      source: 'hr-test',
      person,
      employment,
      kind: 'end',
      lastWorkingDay: '2026-12-01',
      manner: 'voluntary',
    };
    await api.hr({ ...end, eventId: `end-${person}` });
    const before = api.clock;
    api.clock = brand('2026-12-01T22:59:59.000Z');
    expect(await me(token)).toBe(200);
    api.clock = brand('2026-12-01T23:00:00.000Z');
    expect(await me(token)).toBe(401);
    api.clock = before;
  });

  it('of somebody with a second employment lives on', async () => {
    const { record, token } = await official('operator');
    const { person, employment } = record as Loose;
    await api.hr({ ...hire({ person }), employment: `${employment}-b` });
    const end = {
      source: 'hr-test',
      person,
      employment,
      kind: 'end',
      lastWorkingDay: '2026-11-23',
      manner: 'immediate',
    };
    expect((await api.hr({ ...end, eventId: `end-${person}` })).body.results[0].status).toBe('accepted');
    expect(await me(token)).toBe(200);
  });
});
