import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RefusedDecision } from '../../src/api/dispatch/lifecycle.js';
import type { Refusal } from '../../src/api/dispatch/lifecycle.js';
import { ROUTES } from '../../src/api/http/routes.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { openDatabase } from '../../src/db/database.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { hire, insertProcess, startTestApi } from './support.js';
import type { Loose, TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const LATER = '2026-12-01T00:00:00.000Z' as Instant;

interface Scene {
  readonly subject: IdentityId;
  readonly manager: IdentityId;
  readonly managerToken: string;
  readonly processId: string;
}

/** A person with a manager who has a token, and a running process. */
async function scene(): Promise<Scene> {
  const boss = hire();
  const worker = hire({ manager: boss['person'] });
  const results = (await api.hr(boss, worker)).body.results as { identityId: IdentityId }[];
  const [manager, subject] = [results[0]!.identityId, results[1]!.identityId];
  const managerToken = `manager-${randomUUID()}`;
  await ensureToken(api.db, { name: `m-${manager}`, role: 'manager', identityId: manager, token: managerToken });
  const processId = await insertProcess(api, subject, 'joiner', { phase: 'activate' });
  return { subject, manager, managerToken, processId };
}

async function askApproval(at: Scene, more: { approver?: IdentityId; expires?: Instant } = {}): Promise<string> {
  const approvalId = randomUUID();
  await api.db
    .insertInto('approval')
    .values({
      approval_id: approvalId,
      identity_id: at.subject,
      process_id: at.processId as never,
      entitlement_key: `erp/${approvalId}`,
      approver_identity_id: more.approver ?? at.manager,
      requested_at: api.clock,
      expires_at: more.expires ?? LATER,
      decided_by: null,
      decided_at: null,
      comment: null,
    })
    .execute();
  return approvalId;
}

const decisions = async (): Promise<number> => (await api.counts())['decision'] ?? 0;

describe('approvals', () => {
  it('shows a manager their own approvals only, and passes their decision with its words kept here', async () => {
    const at = await scene();
    const approvalId = await askApproval(at);
    const as = { token: at.managerToken };
    const mine = (await api.call('GET', '/v1/approvals', { as })).body.items;
    expect(mine.map((one: Loose) => one.approvalId)).toEqual([approvalId]);
    expect((await api.call('GET', '/v1/approvals', { as: 'manager' })).body.items).toEqual([]);
    const body = { verdict: 'approved', comment: 'Marker: needs it for the audit' };
    const answer = await api.call('POST', `/v1/approvals/${approvalId}/decision`, { as, body });
    expect([answer.status, answer.body]).toEqual([
      200,
      { approvalId, status: 'approved', decisionId: expect.any(String) },
    ]);
    expect(api.lifecycle.decisions.at(-1)).toEqual({
      approvalId,
      decisionId: answer.body.decisionId,
      decidedBy: at.manager,
      verdict: 'approved',
    });
    const row = await api.db
      .selectFrom('decision')
      .selectAll()
      .where('decision_id', '=', answer.body.decisionId)
      .executeTakeFirstOrThrow();
    expect(row.comment!.toString('latin1')).not.toContain('Marker');
    const words = await api.keys.decryptFor(api.db, at.subject, `decision/${row.decision_id}/comment`, row.comment!);
    expect(words).toBe(body.comment);
  });

  it.each<[string, number, string, (at: Scene, id: string) => Promise<Loose>]>([
    [
      'a second decision',
      409,
      'already-decided',
      async (at, id) => {
        await api.db.updateTable('approval').set({ status: 'approved' }).where('approval_id', '=', id).execute();
        return { token: at.managerToken };
      },
    ],
    [
      'a decision too late',
      410,
      'deadline-passed',
      async (at, id) => {
        await api.db.updateTable('approval').set({ expires_at: api.clock }).where('approval_id', '=', id).execute();
        return { token: at.managerToken };
      },
    ],
    ['another manager', 404, 'not-found', async () => ({ token: (await scene()).managerToken })],
    ['an administrator who is not the approver', 403, 'not-your-decision', async () => 'admin'],
    [
      'the person itself',
      403,
      'not-your-decision',
      async (at, id) => {
        await api.db
          .updateTable('approval')
          .set({ approver_identity_id: at.subject })
          .where('approval_id', '=', id)
          .execute();
        const token = `self-${randomUUID()}`;
        await ensureToken(api.db, { name: `s-${at.subject}`, role: 'manager', identityId: at.subject, token });
        return { token };
      },
    ],
  ])('refuses %s without writing anything', async (_name, status, type, prepare) => {
    const at = await scene();
    const id = await askApproval(at);
    const as = await prepare(at, id);
    const [before, told] = [await api.counts(), api.lifecycle.decisions.length];
    const answer = await api.call('POST', `/v1/approvals/${id}/decision`, { as, body: { verdict: 'denied' } });
    expect([answer.status, answer.body.type]).toEqual([status, `/problems/${type}`]);
    expect(await api.counts()).toEqual(before);
    expect(api.lifecycle.decisions).toHaveLength(told);
  });

  it.each<[Refusal, number, string]>([
    ['AlreadyDecided', 409, 'already-decided'],
    ['NotYourDecision', 403, 'not-your-decision'],
    ['DeadlinePassed', 410, 'deadline-passed'],
  ])('hands on what the process itself refuses: %s', async (refusal, status, type) => {
    const at = await scene();
    const id = await askApproval(at);
    api.lifecycle.failure = new RefusedDecision(refusal);
    const body = { verdict: 'approved' };
    const answer = await api.call('POST', `/v1/approvals/${id}/decision`, { as: { token: at.managerToken }, body });
    api.lifecycle.failure = undefined;
    expect([answer.status, answer.body.type]).toEqual([status, `/problems/${type}`]);
  });
});

describe('operator tasks', () => {
  it('lists instructions and passes a resolution with its proof kept here', async () => {
    const at = await scene();
    const taskId = randomUUID();
    const instructions = await api.keys.encryptFor(api.db, at.subject, 'task', 'Bring the badge');
    await api.db
      .insertInto('operator_task')
      .values({
        task_id: taskId,
        identity_id: at.subject,
        process_id: at.processId as never,
        visit_id: null,
        application: 'badge' as never,
        kind: 'manual',
        code: 'manual',
        attribute: null,
        instructions,
        due_at: null,
        created_at: api.clock,
        resolution: null,
        decision_id: null,
        resolved_at: null,
      })
      .execute();
    const list = (await api.call('GET', `/v1/tasks?identity=${at.subject}`, { as: 'operator' })).body.items;
    expect(list).toMatchObject([{ taskId, instructions: 'Bring the badge', status: 'open' }]);
    const body = { resolution: 'done-by-hand', proof: 'badge 17 handed over' };
    const before = await decisions();
    const answer = await api.call('POST', `/v1/tasks/${taskId}/resolution`, { as: 'operator', body });
    expect(answer.body).toMatchObject({ taskId, status: 'resolved' });
    expect(api.lifecycle.resolutions.at(-1)).toMatchObject({ taskId, resolution: 'done-by-hand' });
    expect(await decisions()).toBe(before + 1);
    await api.db.updateTable('operator_task').set({ status: 'resolved' }).where('task_id', '=', taskId).execute();
    const again = await api.call('POST', `/v1/tasks/${taskId}/resolution`, { as: 'operator', body });
    expect([again.status, again.body.type]).toEqual([409, '/problems/already-decided']);
    expect(await decisions()).toBe(before + 1);
  });
});

describe('cut', () => {
  it('ends a running employment and a later start at once, in one transaction, and tells it urgently', async () => {
    const now = hire();
    const next = hire({ person: now['person'], employment: `${String(now['person'])}-2`, startOn: '2026-12-01' });
    const { identityId } = (await api.hr(now, next)).body.results[0];
    const answer = await api.call('POST', `/v1/identities/${identityId}/cut`, {
      as: 'operator',
      body: { reason: 'Marker' },
    });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/v1/identities/${identityId}`);
    expect(answer.body.employments).toHaveLength(2);
    const detail = (await api.call('GET', `/v1/identities/${identityId}`)).body;
    expect(detail).toMatchObject({ lifecycle: 'left', generation: 1, upcoming: [] });
    expect(detail.employments.map((one: Loose) => one.status).sort()).toEqual(['ended', 'rescinded']);
    const audit = (await api.call('GET', `/v1/audit?identity=${identityId}`)).body.items;
    expect(audit.find((one: Loose) => one.action === 'cut.requested')).toMatchObject({
      actor: 'test-operator',
      body: { reason: 'Marker' },
    });
    const again = await api.call('POST', `/v1/identities/${identityId}/cut`, { as: 'operator' });
    expect([again.status, again.body.type]).toEqual([409, '/problems/nothing-to-cut']);
  });

  it('two cuts at once are one', async () => {
    const { identityId } = (await api.hr(hire())).body.results[0];
    const answers = await Promise.all(
      [1, 2, 3].map(() => api.call('POST', `/v1/identities/${identityId}/cut`, { body: {} })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([202, 409, 409]);
    expect((await api.call('GET', `/v1/identities/${identityId}`)).body.ledgerVersion).toBe(2);
  });
});

describe('the first credential', () => {
  it('is handed over once, to the right manager, with an audit record', async () => {
    const at = await scene();
    const secret = await api.keys.encryptFor(api.db, at.subject, 'handover/erp', 'S3cret-once');
    await api.db
      .insertInto('credential_handover')
      .values({
        handover_id: randomUUID(),
        identity_id: at.subject,
        application: 'erp' as never,
        process_id: at.processId as never,
        secret,
        expires_at: LATER,
        collected_at: null,
        collected_by: null,
      })
      .execute();
    const path = `/v1/identities/${at.subject}/credential`;
    const body = { application: 'erp' };
    const stranger = { token: (await scene()).managerToken };
    expect((await api.call('POST', path, { as: stranger, body })).status).toBe(404);
    const as = { token: at.managerToken };
    const [one, two] = await Promise.all([api.call('POST', path, { as, body }), api.call('POST', path, { as, body })]);
    expect([one.status, two.status].sort()).toEqual([200, 410]);
    const got = one.status === 200 ? one : two;
    expect(got.body).toEqual({ application: 'erp', login: null, secret: 'S3cret-once' });
    expect(got.headers.get('cache-control')).toBe('no-store');
    const audit = (await api.call('GET', `/v1/audit?identity=${at.subject}`)).body.items;
    expect(audit.filter((item: Loose) => item.action === 'credential.collected')).toHaveLength(1);
    expect(JSON.stringify(audit)).not.toContain('S3cret-once');
    expect(api.logs.join('')).not.toContain('S3cret-once');
  });
});

describe('people', () => {
  it('pages without loss or repeat, also while people are added, and finds by every word', async () => {
    const family = `Pageable${randomUUID().slice(0, 8)}`;
    const names = ['Ann', 'Bob', 'Cid', 'Dee', 'Eve', 'Fay', 'Gus'];
    await api.hr(...names.map((givenName) => hire({ attributes: { givenName, familyName: family } })));
    const seen: string[] = [];
    let after = '';
    do {
      const answer = await api.call('GET', `/v1/identities?query=${family.toUpperCase()}&limit=3${after}`);
      seen.push(...answer.body.items.map((one: Loose) => one.displayName));
      if (after === '') await api.hr(hire({ attributes: { givenName: 'Aaa', familyName: family } }));
      after = answer.body.next === null ? '' : `&after=${answer.body.next}`;
    } while (after !== '');
    expect(seen).toEqual(names.map((name) => `${name} ${family}`));
    const found = async (query: string) =>
      (await api.call('GET', `/v1/identities?query=${encodeURIComponent(query)}`)).body.items.length;
    expect(await found(`eve ${family}`)).toBe(1);
    expect(await found('%')).toBe(0);
    expect(await found(`eve_${family}`)).toBe(0);
  });

  it('tells why, and previews an event without writing or telling anything', async () => {
    const joiner = hire({ startOn: '2026-12-01' });
    const { identityId } = (await api.hr(joiner)).body.results[0];
    const [before, told] = [await api.counts(), api.lifecycle.told.length];
    const why = await api.call('POST', `/v1/identities/${identityId}/why`, { body: { application: 'erp' } });
    expect(why.body).toMatchObject({ application: 'erp', account: { desired: false, held: false } });
    const event = {
      ...joiner,
      eventId: `${joiner.eventId}-p`,
      version: 2,
      startOn: '2026-12-02',
      corrects: joiner.eventId,
    };
    const preview = await api.call('POST', `/v1/identities/${identityId}/preview`, { body: { events: [event] } });
    expect(preview.body.transitions).toMatchObject([{ kind: 'joiner', effectiveAt: '2026-12-01T23:00:00.000Z' }]);
    expect(preview.body.transitions[0].preview.totals.create).toBeGreaterThan(0);
    const differences = JSON.stringify(preview.body.transitions[0].plans);
    expect(differences).toContain('birthright');
    expect((await api.call('POST', `/v1/identities/${identityId}/why`, { body: { application: 'nope' } })).status).toBe(
      404,
    );
    expect(await api.counts()).toEqual(before);
    expect(api.lifecycle.told).toHaveLength(told);
  });

  it('shows a timeline in order, with what is still to come, in pages', async () => {
    const { identityId } = (await api.hr(hire({ startOn: '2026-12-01' }))).body.results[0];
    const all = (await api.call('GET', `/v1/identities/${identityId}/timeline`)).body.items;
    expect(all.map((one: Loose) => [one.kind, one.what, one.isFuture])).toEqual([
      ['fact', 'hire', false],
      ['transition', 'joiner', true],
    ]);
    const first = (await api.call('GET', `/v1/identities/${identityId}/timeline?limit=1`)).body;
    const second = (await api.call('GET', `/v1/identities/${identityId}/timeline?limit=1&after=${first.next}`)).body;
    expect([...first.items, ...second.items]).toEqual(all);
    expect(second.next).toBeNull();
  });

  it('decrypts evidence for those who may read it, page by page', async () => {
    const at = await scene();
    for (const index of [1, 2, 3])
      await api.db
        .insertInto('evidence')
        .values({
          evidence_id: randomUUID(),
          identity_id: at.subject,
          process_id: at.processId as never,
          visit_id: null,
          application: 'erp' as never,
          phase: 'cut',
          operation_key: `erp/disable/${index}`,
          check_kind: 'state',
          road: 'read',
          verdict: 'proven',
          code: null,
          seen: await api.keys.encryptFor(api.db, at.subject, 'evidence', { enabled: false }),
          seen_hash: 'h',
          residual: null,
          residual_until: null,
          deadline_at: null,
          at: api.clock,
        })
        .execute();
    const path = `/v1/identities/${at.subject}/evidence`;
    const first = (await api.call('GET', `${path}?limit=2`, { as: 'auditor' })).body;
    const second = (await api.call('GET', `${path}?limit=2&after=${first.next}`, { as: 'auditor' })).body;
    expect([...first.items, ...second.items].map((one: Loose) => one.operation).sort()).toEqual([
      'erp/disable/1',
      'erp/disable/2',
      'erp/disable/3',
    ]);
    expect(first.items[0].seen).toEqual({ enabled: false });
    const process = await api.call('GET', `/v1/processes/${encodeURIComponent(at.processId)}`);
    expect(process.body).toMatchObject({ processId: at.processId, evidence: { proven: 3 } });
  });

  it('tells an import what is known, and null for what is not', async () => {
    const joiner = hire();
    await api.hr(joiner);
    const keys = [
      { person: joiner['person'], employment: joiner['employment'] },
      { person: 'nobody', employment: 'nothing' },
    ];
    const { items } = (await api.call('POST', '/v1/hr/known', { as: 'hr', body: { source: 'hr-test', keys } })).body;
    expect(items).toMatchObject([
      { startOn: '2026-01-05', status: 'active', maxVersion: 1, hire: { eventId: joiner.eventId } },
      null,
    ]);
  });
});

describe('policy, applications, audit', () => {
  it('shows the policy in force and checks files without publishing them', async () => {
    const policy = (await api.call('GET', '/v1/policy', { as: 'auditor' })).body;
    expect(policy.version).toBe(1);
    const before = await api.counts();
    const good = await api.call('POST', '/v1/policy/check', { body: { files: policy.files } });
    expect(good.body).toMatchObject({ ok: true, hash: policy.hash });
    const files = policy.files.map((file: Loose) =>
      file.path === 'roles/finance.yaml'
        ? { ...file, text: file.text.replace('employment.department', 'employment.departement') }
        : file,
    );
    const bad = (await api.call('POST', '/v1/policy/check', { body: { files } })).body;
    expect(bad).toMatchObject({ ok: false, problems: [{ file: 'roles/finance.yaml', line: 4 }] });
    expect(await api.counts()).toEqual(before);
  });

  it('lists applications without their connector settings', async () => {
    const answer = await api.call('GET', '/v1/applications', { as: 'hr' });
    expect(answer.body.items.map((one: Loose) => one.application)).toContain('erp');
    expect(answer.text).not.toMatch(/env:|file:|config/);
  });

  it('verifies the chains, and names a record that was changed behind its back', async () => {
    const { identityId } = (await api.hr(hire())).body.results[0];
    const check = async () =>
      (await api.call('GET', `/v1/audit/verification?identity=${identityId}`, { as: 'auditor' })).body;
    expect((await check()).problems).toEqual([]);
    const admin = openDatabase(api.database.admin, { max: 1 });
    await admin.updateTable('audit').set({ actor: 'somebody' }).where('identity_id', '=', identityId).execute();
    await admin.destroy();
    expect((await check()).problems).toMatchObject([{ identityId, seq: 1, problem: 'changed' }]);
  });
});

describe('the document', () => {
  it('describes every route in OpenAPI 3.1, and every route of the server is in the table', async () => {
    const document = (await api.call('GET', '/docs/json', { as: 'nobody' })).body;
    expect(document.openapi).toBe('3.1.0');
    const described = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    );
    expect(described.sort()).toEqual(ROUTES.map((route) => `${route.method} ${route.path}`).sort());
    for (const route of ROUTES) {
      const path = route.path.replace(':id', randomUUID());
      const answer = await api.call(route.method, path, route.method === 'POST' ? { raw: '{' } : {});
      // A declared route that no controller serves would say that there is no such resource, in general words.
      expect([route.path, answer.body?.title]).not.toEqual([route.path, 'There is no such resource.']);
    }
    const event = document.paths['/v1/hr/events'].post.requestBody.content['application/json'].schema;
    expect(JSON.stringify(event)).toContain('lastWorkingDay');
    expect((await api.call('GET', '/docs', { as: 'nobody' })).text).toContain('swagger-ui');
  });
});
