import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SYSTEM } from '../../src/db/keys.js';
import { openDatabase } from '../../src/db/database.js';
import { brand } from '../../src/domain/process/ids.js';
import type { Instant } from '../../src/domain/process/ids.js';
import { NOW, eventually, hire, startTestApi } from './support.js';
import type { Loose, TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

async function people(count: number): Promise<string[]> {
  const hired = await api.hr(...Array.from({ length: count }, () => hire()));
  return hired.body.results.map((one: Loose) => one.identityId);
}
const cuts = (body: object, as: 'operator' | 'admin' = 'operator', headers = {}) =>
  api.call('POST', '/v1/cuts', { as, body, headers });
const confirm = (cutId: string, as: 'operator' | 'admin' | 'hr' = 'admin') =>
  api.call('POST', `/v1/cuts/${cutId}/confirmation`, { as });
const lifecycleOf = async (id: string) => (await api.call('GET', `/v1/identities/${id}`)).body.lifecycle;
const systemActions = async (cutId: string) =>
  (await api.call('GET', `/v1/audit?identity=${SYSTEM}&limit=200`)).body.items
    .filter((one: Loose) => one.body.cutId === cutId)
    .map((one: Loose) => [one.action, one.actor]);

describe('a cut of many', () => {
  it('up to the threshold starts at once, with a result per person; a bad line stops nobody', async () => {
    const [first = '', second = ''] = await people(2);
    const third = hire();
    const thirdId = (await api.hr(third)).body.results[0].identityId;
    const body = { people: [first, 'nobody', randomUUID(), second, first, String(third['person'])], reason: 'sold' };
    const headers = { 'idempotency-key': 'cut-1' };
    const answer = await cuts(body, 'operator', headers);
    expect(answer.status).toBe(202);
    expect(answer.body.results.map((one: Loose) => one.status)).toEqual([
      'found',
      'not-found',
      'not-found',
      'found',
      'duplicate',
      'found',
    ]);
    expect(await Promise.all([first, second, thirdId].map(lifecycleOf))).toEqual(['left', 'left', 'left']);
    const audit = (await api.call('GET', `/v1/audit?identity=${second}`)).body.items;
    expect(audit.find((one: Loose) => one.action === 'cut.requested')).toMatchObject({
      body: { reason: 'sold', cutId: answer.body.cutId },
    });
    expect((await cuts(body, 'operator', headers)).body).toEqual(answer.body);
    const again = await cuts({ people: [first], reason: 'again' });
    expect(again.body).toMatchObject({ state: 'nothing', results: [{ status: 'nothing-to-cut' }] });
  });

  it('a family name is nobody, however unique', async () => {
    const one = hire();
    await api.hr(one);
    const name = (one['attributes'] as Loose).familyName;
    expect((await cuts({ people: [name], reason: 'x' })).body.results).toEqual([{ index: 0, status: 'not-found' }]);
  });

  it('above the threshold waits for somebody else: the same principal is refused, a second yes is 409', async () => {
    const ids = await people(6);
    const { body } = await cuts({ people: ids, reason: 'Marker sale' });
    expect(body).toMatchObject({ state: 'proposed', size: 6, needsConfirmation: true });
    const told = api.lifecycle.told.length;
    const same = await confirm(body.cutId, 'operator');
    expect([same.status, same.body.type]).toEqual([403, '/problems/second-person-needed']);
    expect((await confirm(body.cutId, 'hr')).status).toBe(403);
    expect(await lifecycleOf(ids[0] ?? '')).toBe('active');
    expect(api.lifecycle.told).toHaveLength(told);
    // Nobody who reads the tables sees who is on the list.
    const admin = openDatabase(api.database.admin, { max: 1 });
    const row = await admin.selectFrom('cut_batch').selectAll().where('cut_id', '=', body.cutId).executeTakeFirst();
    const rows = await admin.selectFrom('cut_batch_person').selectAll().where('cut_id', '=', body.cutId).execute();
    await admin.destroy();
    expect(rows).toEqual([]);
    expect(row?.body.toString('latin1')).not.toContain('Marker');
    expect(row?.body.toString('latin1')).not.toContain(ids[0]);
    for (const as of ['hr', 'auditor', 'manager'] as const)
      expect((await api.call('GET', `/v1/cuts/${body.cutId}`, { as })).status).toBe(403);
    expect((await api.call('GET', `/v1/cuts/${body.cutId}`, { as: 'admin' })).body.people).toHaveLength(6);
    const both = await Promise.all([confirm(body.cutId), confirm(body.cutId)]);
    expect(both.map((one) => one.status).sort()).toEqual([202, 409]);
    expect(await Promise.all(ids.map(lifecycleOf))).toEqual(ids.map(() => 'left'));
    expect(await systemActions(body.cutId)).toEqual([
      ['cut.proposed', 'test-operator'],
      ['cut.confirmed', 'test-admin'],
    ]);
    const shown = (await api.call('GET', `/v1/cuts/${body.cutId}`)).body;
    expect(shown).toMatchObject({ state: 'running', confirmedBy: 'test-admin' });
    expect(shown.people.map((one: Loose) => one.state)).toEqual(ids.map(() => 'cut'));
    expect((await api.call('GET', '/v1/cuts?limit=1')).body.items).toHaveLength(1);
  });

  it('expires unconfirmed, forgets its list, and cuts nobody', async () => {
    const ids = await people(6);
    const { body } = await cuts({ people: ids, reason: 'late' });
    api.clock = brand<Instant>(new Date(Date.parse(NOW) + 4 * 3_600_000).toISOString());
    const late = await confirm(body.cutId);
    expect([late.status, late.body.type]).toEqual([410, '/problems/deadline-passed']);
    expect(await systemActions(body.cutId)).toEqual([
      ['cut.proposed', 'test-operator'],
      ['cut.expired', 'system'],
    ]);
    expect((await api.call('GET', `/v1/cuts/${body.cutId}`)).body).toMatchObject({ state: 'expired', people: [] });
    expect(await lifecycleOf(ids[0] ?? '')).toBe('active');
    api.clock = NOW;
  });

  it('says what a dry run would do and writes nothing', async () => {
    const ids = await people(6);
    const before = await api.counts();
    const { body } = await cuts({ people: ids, reason: 'dry', dryRun: true });
    expect(body).toMatchObject({ state: 'nothing', size: 6, needsConfirmation: true });
    expect(await api.counts()).toEqual(before);
  });

  it('goes on with who was left waiting when a process died', async () => {
    const [id = ''] = await people(1);
    const { body } = await cuts({ people: await people(1), reason: 'x' });
    await api.db
      .insertInto('cut_batch_person')
      .values({ cut_id: body.cutId, identity_id: brand(id), state: 'waiting', at: null })
      .execute();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await eventually(async () => (await lifecycleOf(id)) === 'left');
  });
});

describe('progress', () => {
  it('is 404 before a cut, refused to who may neither cut nor read evidence, and streams once there is one', async () => {
    const [id = ''] = await people(1);
    const path = `/v1/identities/${id}/cut/progress`;
    expect((await api.call('GET', path)).status).toBe(404);
    await api.call('POST', `/v1/identities/${id}/cut`, { body: {} });
    expect((await api.call('GET', path, { as: 'manager' })).status).toBe(403);
    for (const role of ['auditor', 'hr'] as const) {
      const ending = new AbortController();
      const response = await fetch(api.url + path, {
        headers: { authorization: `Bearer ${api.tokens[role]}` },
        signal: ending.signal,
      });
      expect(response.headers.get('content-type')).toContain('text/event-stream');
      const reader = response.body?.getReader();
      let text = '';
      while (!text.includes('data:')) text += new TextDecoder().decode((await reader?.read())?.value);
      expect(text).toMatch(/event: progress\nid: [0-9a-f]{32}\ndata: .*"isSettled":false/);
      ending.abort();
    }
  });
});
