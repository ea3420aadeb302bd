import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hire, startTestApi } from './support.js';
import type { CallOptions, Loose, TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

async function somebody(): Promise<string> {
  return (await api.hr(hire())).body.results[0].identityId;
}
type As = NonNullable<CallOptions['as']>;
const set = (id: string, body: object = { reason: 'a claim' }, as: As = 'admin') =>
  api.call('PUT', `/v1/identities/${id}/legal-hold`, { as, body });
const lift = (id: string, body: object = { reason: 'settled' }, as: As = 'admin') =>
  api.call('DELETE', `/v1/identities/${id}/legal-hold`, { as, body });
const list = (query = '', as: As = 'admin') => api.call('GET', `/v1/legal-holds${query}`, { as });
const auditOf = async (id: string) =>
  (await api.call('GET', `/v1/audit?identity=${id}&limit=200`)).body.items.filter((one: Loose) =>
    one.action.startsWith('legal-hold'),
  );

describe('a legal hold at the door', () => {
  it('is set and lifted by hr and admin, read by those who read people, and by nobody else', async () => {
    const id = await somebody();
    const before = await api.counts();
    for (const as of ['operator', 'auditor', 'manager'] as const)
      expect([(await set(id, undefined, as)).status, (await lift(id, undefined, as)).status]).toEqual([403, 403]);
    expect([(await set(id, undefined, 'nobody')).status, (await list('', 'nobody')).status]).toEqual([401, 401]);
    expect((await list('', 'manager')).status).toBe(403);
    expect(await api.counts()).toEqual(before);
    expect((await set(id, undefined, 'hr')).status).toBe(200);
    for (const as of ['hr', 'operator', 'auditor', 'admin'] as const) expect((await list('', as)).status).toBe(200);
    expect((await lift(id, undefined, 'hr')).status).toBe(200);
  });

  it('needs a reason and a person; what is wrong is named and nothing is written', async () => {
    const id = await somebody();
    const before = await api.counts();
    for (const body of [{}, { reason: '' }, { reason: '   ' }, { reason: 5 }, { reason: 'x', until: 'tomorrow' }]) {
      const answer = await set(id, body);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        400,
        expect.stringContaining('problem+json'),
      ]);
      expect((await lift(id, body)).status).toBe(400);
    }
    expect((await set(id, { reason: 'x', reference: 'y'.repeat(201) })).status).toBe(400);
    for (const who of [randomUUID(), 'nobody']) expect((await set(who)).status).toBe(404);
    expect((await lift(randomUUID())).status).toBe(404);
    // Nothing stands: there is nothing to lift.
    expect((await lift(id)).status).toBe(404);
    expect(await api.counts()).toEqual(before);
  });

  it('said again is the same hold with new words; lifted it is kept, and a later one is another', async () => {
    const id = await somebody();
    const first = (await set(id, { reason: 'a claim', reference: 'case 7' }, 'hr')).body;
    const again = (await set(id, { reason: 'two claims' })).body;
    expect(again).toEqual({ ...first, reason: 'two claims', reference: null });
    const standing = (await list()).body.items.filter((one: Loose) => one.identityId === id);
    expect(standing).toEqual([again]);
    const lifted = (await lift(id)).body;
    expect(lifted).toMatchObject({ holdId: first.holdId, liftedBy: 'test-admin', liftReason: 'settled' });
    expect((await lift(id)).status).toBe(404);
    const next = (await set(id)).body;
    expect(next.holdId).not.toBe(first.holdId);
    const all = (await list('?state=all')).body.items.filter((one: Loose) => one.identityId === id);
    expect(all.map((one: Loose) => one.liftedAt !== null).sort()).toEqual([false, true]);
    expect((await api.call('GET', `/v1/identities/${id}`)).body.legalHolds).toHaveLength(2);
    const records = (await auditOf(id)).map((one: Loose) => [one.action, one.actor]);
    expect(records.sort()).toEqual([
      ['legal-hold.changed', 'test-admin'],
      ['legal-hold.lifted', 'test-admin'],
      ['legal-hold.set', 'test-admin'],
      ['legal-hold.set', 'test-hr'],
    ]);
  });

  it('keeps its words encrypted, and tells the person’s processes in the same transaction', async () => {
    const id = await somebody();
    const told = async () =>
      (
        await api.db
          .selectFrom('inbox')
          .select('ledger_version')
          .where('identity_id', '=', id as never)
          .executeTakeFirstOrThrow()
      ).ledger_version;
    const before = await told();
    await set(id, { reason: 'planted-reason', reference: 'planted-reference' });
    const row = await api.db
      .selectFrom('legal_hold')
      .selectAll()
      .where('identity_id', '=', id as never)
      .executeTakeFirstOrThrow();
    expect(JSON.stringify(row)).not.toContain('planted');
    expect(row.terms.toString('latin1')).not.toContain('planted');
    expect(api.logs.join('\n')).not.toContain('planted-re');
    const { held_since: since } = await api.db
      .selectFrom('identity')
      .select('held_since')
      .where('identity_id', '=', id as never)
      .executeTakeFirstOrThrow();
    expect(since).toBe(row.set_at);
    expect(await told()).toBe(before + 1);
  });

  it('does not hold up a cut', async () => {
    const id = await somebody();
    await set(id);
    expect((await api.call('POST', `/v1/identities/${id}/cut`, { as: 'hr', body: {} })).status).toBe(202);
    expect((await api.call('GET', `/v1/identities/${id}`)).body.lifecycle).toBe('left');
  });

  it('lists page by page, each once', async () => {
    const ids = [await somebody(), await somebody(), await somebody()];
    for (const id of ids) await set(id);
    const seen: string[] = [];
    for (let after = ''; ;) {
      const { items, next } = (await list(`?limit=1${after}`)).body;
      seen.push(...items.map((one: Loose) => one.identityId));
      if (next === null || next === undefined) break;
      after = `&after=${encodeURIComponent(next)}`;
    }
    expect(seen.filter((id) => ids.includes(id)).sort()).toEqual([...ids].sort());
    expect((await list('?state=some')).status).toBe(400);
  });
});
