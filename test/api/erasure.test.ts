import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { eraseDue } from '../../src/api/erasures/requests.js';
import { SYSTEM } from '../../src/db/keys.js';
import { openDatabase } from '../../src/db/database.js';
import { brand } from '../../src/domain/process/ids.js';
import type { AccountId, IdentityId, Instant } from '../../src/domain/process/ids.js';
import { NOW, hire, insertProcess, startTestApi } from './support.js';
import type { Answer, Loose, TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());
beforeEach(() => {
  api.clock = NOW;
});

const DAY_MS = 86_400_000;
const later = (days: number) => brand<Instant>(new Date(Date.parse(NOW) + days * DAY_MS).toISOString());
/** The sample policy says nothing of erasure: ten years. */
const KEPT_DAYS = 3_650;

interface Gone {
  readonly id: IdentityId;
  readonly record: Loose;
  /** What must not be readable anywhere afterwards. */
  readonly markers: readonly string[];
}

/** Somebody whose leaver is through, as its processes leave them behind: an account that was deleted, names, a refused record. */
async function gone(): Promise<Gone> {
  const record = hire() as Loose;
  const mark = `Marker${randomUUID().slice(0, 8)}`;
  record.attributes.givenName = mark;
  record.attributes.familyName = mark;
  record.attributes.employeeNumber = `E-${mark}`;
  record.person = `K-${mark}`;
  const id = (await api.hr(record)).body.results[0].identityId as IdentityId;
  await api.hr({ ...record, eventId: `bad-${id}`, kind: 'return', on: '2026-01-01', attributes: undefined });
  await api.call('POST', `/v1/identities/${id}/cut`, { body: { reason: `because of ${mark}` } });
  await api.db.updateTable('identity').set({ next_due_at: null }).where('identity_id', '=', id).execute();
  await process(id, 'completed');
  await account(id, mark, NOW);
  for (const scope of ['user-name', 'mail'] as const)
    await api.db
      .insertInto('name_reservation')
      .values({
        scope,
        folded: mark.toLowerCase(),
        name: mark,
        identity_id: id,
        released_at: NOW,
        blocked_until: later(5 * 365),
      })
      .execute();
  return { id, record, markers: [mark] };
}

async function process(id: IdentityId, state: 'completed' | 'running'): Promise<void> {
  await insertProcess(api, id, 'leaver', { generation: 1, state, phase: 'delete', effective_at: NOW, started_at: NOW });
}

async function account(id: IdentityId, login: string, unlinkedAt: Instant | null): Promise<void> {
  await api.db
    .insertInto('account')
    .values({
      account_id: brand<AccountId>(randomUUID()),
      identity_id: id,
      application: brand('wiki'),
      native_id: `n-${login}-${randomUUID()}`,
      login,
      status: 'disabled',
      attributes: JSON.stringify({ displayName: login }),
      secret: null,
      created_by_process: null,
      observed_at: NOW,
      unlinked_at: unlinkedAt,
    })
    .execute();
}

const ask = (id: string, more: object = {}, as: 'admin' | 'hr' = 'hr') =>
  api.call('POST', `/v1/identities/${id}/erasure`, { as, body: { reason: 'asked for it', ...more } });
const confirm = (erasureId: string, as: 'admin' | 'hr' = 'admin') =>
  api.call('POST', `/v1/erasures/${erasureId}/confirmation`, { as });
const problem = (answer: Answer) => [answer.status, answer.body.type, answer.body.detail];
const refusal = (name: string, detail: unknown = expect.any(String)) => [409, `/problems/${name}`, detail];

/** Tables in which one of the words can be read by whoever reads the whole database. */
async function whereReadable(words: readonly string[]): Promise<readonly string[]> {
  const admin = openDatabase(api.database.admin, { max: 1 });
  try {
    const tables = await admin.introspection.getTables();
    const found = await Promise.all(
      tables.map(async ({ name }) => {
        const { rows } = await sql<{ text: string }>`select t::text as text from ${sql.table(name)} t`.execute(admin);
        const text = rows.map((row) => row.text.toLowerCase()).join('\n');
        return words.some((word) => text.includes(word.toLowerCase())) ? [name] : [];
      }),
    );
    return found.flat();
  } finally {
    await admin.destroy();
  }
}

describe('an erasure request is refused, and writes nothing,', () => {
  it.each<[string, (one: Gone) => Promise<unknown>, number, Loose[]]>([
    [
      'while the person works here',
      (one) => api.hr({ ...(hire() as Loose), person: one.record.person }),
      KEPT_DAYS,
      refusal('still-employed'),
    ],
    ['while a process is under way', (one) => process(one.id, 'running'), KEPT_DAYS, refusal('access-not-gone')],
    [
      'while an account stands that nothing proves closed',
      (one) => account(one.id, 'open', null),
      KEPT_DAYS,
      refusal('access-not-gone', 'Not proven closed at: wiki.'),
    ],
    [
      'under legal hold',
      (one) => api.call('PUT', `/v1/identities/${one.id}/legal-hold`, { body: { reason: 'a claim' } }),
      KEPT_DAYS,
      refusal('legal-hold'),
    ],
    [
      'within the retention duty, with the earliest date',
      async () => undefined,
      KEPT_DAYS - 1,
      refusal('retention-duty', expect.stringContaining(later(KEPT_DAYS))),
    ],
  ])('%s', async (_what, prepare, days, expected) => {
    const one = await gone();
    await prepare(one);
    await api.db.updateTable('identity').set({ next_due_at: null }).where('identity_id', '=', one.id).execute();
    api.clock = later(days);
    const before = await api.counts();
    expect(problem(await ask(one.id))).toEqual(expected);
    expect(problem(await ask(one.id, { dryRun: true }))).toEqual(expected);
    expect(await api.counts()).toEqual(before);
    expect((await api.call('GET', `/v1/identities/${one.id}`)).body.isErased).toBe(false);
  });

  it('from who may not ask, and of somebody unknown', async () => {
    const { id } = await gone();
    for (const as of ['operator', 'manager', 'auditor'] as const)
      expect((await api.call('POST', `/v1/identities/${id}/erasure`, { as, body: { reason: 'x' } })).status).toBe(403);
    expect((await ask(randomUUID())).status).toBe(404);
  });
});

describe('an erasure', () => {
  it('needs a second principal, leaves nothing readable, breaks no chain, and is done once', async () => {
    const one = await gone();
    api.clock = later(KEPT_DAYS);
    expect((await ask(one.id, { dryRun: true })).body).toEqual({ identityId: one.id, state: 'erasable' });
    expect((await whereReadable(one.markers)).length).toBeGreaterThan(2);
    const asked = await ask(one.id);
    expect([asked.status, asked.body.state]).toEqual([202, 'proposed']);
    expect(problem(await ask(one.id))).toEqual([409, '/problems/already-requested', undefined]);
    expect(problem(await confirm(asked.body.erasureId, 'hr')).slice(0, 2)).toEqual([
      403,
      '/problems/second-person-needed',
    ]);
    expect((await api.call('GET', `/v1/identities/${one.id}`)).body.isErased).toBe(false);
    const both = await Promise.all([confirm(asked.body.erasureId), confirm(asked.body.erasureId)]);
    expect(both.map((answer) => answer.status).sort()).toEqual([200, 409]);

    expect(await whereReadable(one.markers)).toEqual([]);
    const detail = (await api.call('GET', `/v1/identities/${one.id}`)).body;
    expect(detail).toMatchObject({ isErased: true, employments: [], accounts: [], displayName: '', userName: null });
    const audit = (await api.call('GET', `/v1/audit?identity=${one.id}`)).body.items;
    expect([audit.at(-1).action, audit.every((record: Loose) => record.body === null)]).toEqual([
      'identity.erased',
      true,
    ]);
    expect((await api.call('GET', '/v1/audit/verification')).body.problems).toEqual([]);
    const system = (await api.call('GET', `/v1/audit?identity=${SYSTEM}&limit=200`)).body.items;
    expect(system.at(-1)).toMatchObject({
      action: 'identity.erased',
      actor: 'test-admin',
      body: {
        identityId: one.id,
        proposedBy: 'test-hr',
        confirmedBy: 'test-admin',
        rows: { account: 1, hr_rejection: 1 },
      },
    });

    const before = await api.counts();
    const again = await ask(one.id);
    expect([again.status, again.body]).toEqual([200, { identityId: one.id, state: 'erased' }]);
    expect(await api.counts()).toEqual(before);
    expect((await api.call('PUT', `/v1/identities/${one.id}/legal-hold`, { body: { reason: 'late' } })).status).toBe(
      409,
    );

    // Whoever comes back under the same key of HR is somebody new.
    const back = await api.hr({ ...one.record, eventId: `back-${one.id}`, startOn: '2036-12-01', employment: 'again' });
    expect(back.body.results[0]).toMatchObject({ status: 'accepted' });
    expect(back.body.results[0].identityId).not.toBe(one.id);
    // A feed that is sent again brings nobody back.
    expect((await api.hr(one.record)).body.results[0].status).toBe('rejected');
  });

  it('that forgot one table would be seen: the planted row is found', async () => {
    const one = await gone();
    api.clock = later(KEPT_DAYS);
    await confirm((await ask(one.id)).body.erasureId);
    expect(await whereReadable(one.markers)).toEqual([]);
    await api.db
      .insertInto('identity_profile')
      .values({
        identity_id: one.id,
        display_name: one.markers[0] ?? '',
        user_name: null,
        mail: null,
        department: null,
        title: null,
        manager_identity_id: null,
      })
      .execute();
    expect(await whereReadable(one.markers)).toEqual(['identity_profile']);
    await api.db.deleteFrom('identity_profile').where('identity_id', '=', one.id).execute();
  });

  it('can wait for the end of the retention duty, and then for the end of a legal hold', async () => {
    const { id } = await gone();
    const asked = await ask(id, { queue: true });
    expect(asked.body).toMatchObject({ state: 'proposed', dueAt: later(KEPT_DAYS) });
    expect((await confirm(asked.body.erasureId)).body).toMatchObject({ state: 'queued', dueAt: later(KEPT_DAYS) });
    expect(await eraseDue(api.deps)).toBe(0);
    await api.call('PUT', `/v1/identities/${id}/legal-hold`, { body: { reason: 'a claim' } });
    await api.db.updateTable('identity').set({ next_due_at: null }).where('identity_id', '=', id).execute();
    api.clock = later(KEPT_DAYS + 1);
    expect(await eraseDue(api.deps)).toBe(0);
    await api.call('DELETE', `/v1/identities/${id}/legal-hold`, { body: { reason: 'settled' } });
    expect(await eraseDue(api.deps)).toBe(1);
    expect((await api.call('GET', `/v1/identities/${id}`)).body.isErased).toBe(true);
    expect(await eraseDue(api.deps)).toBe(0);
  });

  it('is withdrawn when the person works here again, and expires when nobody confirms it', async () => {
    const back = await gone();
    const queued = await ask(back.id, { queue: true });
    await confirm(queued.body.erasureId);
    await api.hr({ ...(hire() as Loose), person: back.record.person });
    const late = await gone();
    const proposed = await ask(late.id, { queue: true });
    api.clock = later(8);
    expect((await confirm(proposed.body.erasureId)).status).toBe(410);
    api.clock = later(KEPT_DAYS);
    expect(await eraseDue(api.deps)).toBe(0);
    const { items } = (await api.call('GET', '/v1/erasures')).body;
    const stateOf = (id: string) => items.find((item: Loose) => item.erasureId === id).state;
    expect(stateOf(queued.body.erasureId)).toBe('withdrawn');
    expect((await ask(late.id)).status).toBe(202);
    expect((await api.call('GET', `/v1/identities/${back.id}`)).body.isErased).toBe(false);
  });
});
