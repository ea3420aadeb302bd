import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyAudit } from '../../src/db/audit.js';
import { eventually, hire, startTestApi } from './support.js';
import type { Loose, TestApi } from './support.js';

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api.close());

const detail = async (identityId: string) => (await api.call('GET', `/v1/identities/${identityId}`)).body;
const inboxOf = (identityId: string) =>
  api.db
    .selectFrom('inbox')
    .selectAll()
    .where('identity_id', '=', identityId as never)
    .executeTakeFirstOrThrow();

describe('POST /v1/hr/events', () => {
  it('accepts one event, makes the person known and tells the identity workflow', async () => {
    const answer = await api.call('POST', '/v1/hr/events', { as: 'hr', body: hire() });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ accepted: 1, rejected: 0 });
    const [result] = answer.body.results;
    expect(result).toMatchObject({ index: 0, status: 'accepted', ledgerVersion: 1 });
    expect(await detail(result.identityId)).toMatchObject({
      lifecycle: 'active',
      displayName: expect.stringMatching(/^Ada Marker/),
    });
    await eventually(() => api.lifecycle.told.some((told) => told.identityId === result.identityId));
    await eventually(async () => (await inboxOf(result.identityId)).delivered_version === 1);
  });

  it('takes the same batch again as duplicates and changes nothing', async () => {
    const batch = [hire(), hire()];
    expect((await api.hr(...batch)).body).toMatchObject({ accepted: 2 });
    const before = await api.counts();
    expect((await api.hr(...batch)).body).toMatchObject({ accepted: 0, duplicate: 2 });
    expect(await api.counts()).toEqual(before);
  });

  it('a bad record never blocks the rest, and stays visible until it is mended', async () => {
    const bad = { ...hire(), startOn: '2026-02-30' };
    const answer = await api.hr(hire(), bad, 5 as never, hire());
    expect(answer.body).toMatchObject({ accepted: 2, rejected: 2 });
    expect(answer.body.results[1].problems).toEqual([
      { path: 'startOn', message: 'wrong form', expected: 'a calendar date YYYY-MM-DD' },
    ]);
    const open = async () => (await api.call('GET', '/v1/hr/rejections?limit=200', { as: 'hr' })).body.items;
    const found = (await open()).find((one: Loose) => one.eventId === bad.eventId);
    expect(found).toMatchObject({ source: 'hr-test', record: bad, resolvedAt: null });
    await api.hr(bad);
    expect((await open()).filter((one: Loose) => one.eventId === bad.eventId)).toHaveLength(1);
    await api.hr({ ...bad, startOn: '2026-02-28' });
    expect((await open()).filter((one: Loose) => one.eventId === bad.eventId)).toHaveLength(0);
    const all = (await api.call('GET', '/v1/hr/rejections?state=all&limit=200', { as: 'hr' })).body.items;
    expect(all.find((one: Loose) => one.eventId === bad.eventId)).toMatchObject({ resolvedBy: 'test-hr' });
  });

  it('keeps the rejected record encrypted', async () => {
    await api.hr({ ...hire(), eventId: 'sealed', zone: 'Mars/Base', attributes: { familyName: 'SealedMarker' } });
    const row = await api.db
      .selectFrom('hr_rejection')
      .selectAll()
      .where('source_event_id', '=', 'sealed')
      .executeTakeFirstOrThrow();
    expect(row.record.toString('latin1')).not.toContain('SealedMarker');
    expect(JSON.stringify(row.problems)).not.toContain('Mars');
  });

  it('takes several records of one person in one batch, in any order', async () => {
    const joiner = hire();
    const change = {
      source: 'hr-test',
      eventId: `${joiner.eventId}-change`,
      person: joiner['person'],
      employment: joiner['employment'],
      kind: 'change',
      effectiveOn: '2026-06-01',
      attributes: { department: 'Sales' },
    };
    const answer = await api.hr(change, joiner);
    expect(answer.body.results.map((one: Loose) => one.status)).toEqual(['accepted', 'accepted']);
    const { identityId } = answer.body.results[1];
    expect((await detail(identityId)).employments[0].attributes.department).toBe('Sales');
    expect((await detail(identityId)).ledgerVersion).toBe(2);
  });

  it('keeps a change that came before its hire, and takes it by itself when the hire arrives', async () => {
    const joiner = hire();
    const change = {
      ...joiner,
      kind: 'change',
      eventId: `${joiner.eventId}-early`,
      effectiveOn: '2026-06-01',
      attributes: { department: 'Sales' },
    };
    const { startOn: _s, worker: _w, ...early } = change as Record<string, unknown>;
    const before = await api.counts();
    const refused = await api.hr(early);
    expect(refused.body.results[0]).toMatchObject({
      status: 'rejected',
      retried: true,
      problems: [{ path: 'employment' }],
    });
    const after = await api.counts();
    // Nobody is made up for a record that was refused.
    expect({ ...after, hr_rejection: before['hr_rejection'] }).toEqual({
      ...before,
      audit: after['audit'],
      audit_head: after['audit_head'],
      identity_key: after['identity_key'],
    });
    const { identityId } = (await api.hr(joiner)).body.results[0];
    expect((await detail(identityId)).employments[0].attributes.department).toBe('Sales');
    const open = (await api.call('GET', '/v1/hr/rejections?limit=200', { as: 'hr' })).body.items;
    expect(open.some((one: Loose) => one.eventId === early['eventId'])).toBe(false);
  });

  it('refuses the same event and version with other content, and another person of the same event', async () => {
    const joiner = hire();
    await api.hr(joiner);
    const other = await api.hr({ ...joiner, startOn: '2026-01-06' });
    expect(other.body.results[0]).toMatchObject({
      status: 'rejected',
      problems: [{ path: 'version', expected: 'a higher version' }],
    });
    const stranger = await api.hr({ ...hire(), eventId: joiner.eventId });
    expect(stranger.body.results[0]).toMatchObject({ status: 'rejected', problems: [{ path: 'version' }] });
    const corrected = await api.hr({ ...joiner, version: 2, startOn: '2026-01-06' });
    expect(corrected.body.results[0]).toMatchObject({
      status: 'accepted',
      retroactive: { changes: [{ kind: 'moved' }] },
    });
  });

  it('refuses an employment key that belongs to somebody else', async () => {
    const joiner = hire();
    await api.hr(joiner);
    const stolen = await api.hr(hire({ employment: joiner['employment'] }));
    expect(stolen.body.results[0]).toMatchObject({ status: 'rejected', problems: [{ path: 'employment' }] });
  });

  it('fixes the instant of an immediate end once, raises the generation with it, and tells it first', async () => {
    const joiner = hire();
    const { identityId } = (await api.hr(joiner)).body.results[0];
    const end = {
      source: 'hr-test',
      eventId: `${joiner.eventId}-end`,
      person: joiner['person'],
      employment: joiner['employment'],
      kind: 'end',
      lastWorkingDay: '2026-11-23',
      manner: 'immediate',
    };
    expect((await api.hr(end)).body.results[0].status).toBe('accepted');
    const cut = await detail(identityId);
    expect(cut).toMatchObject({ generation: 1, lifecycle: 'left' });
    expect(cut.employments[0].accessEndsAt).toBe('2026-11-23T09:00:00.000Z');
    await eventually(() => api.lifecycle.told.some((told) => told.identityId === identityId && told.urgent));
    api.clock = '2026-11-23T11:00:00.000Z' as never;
    expect((await api.hr(end)).body.results[0].status).toBe('duplicate');
    expect((await detail(identityId)).employments[0].accessEndsAt).toBe('2026-11-23T09:00:00.000Z');
    api.clock = '2026-11-23T09:00:00.000Z' as never;
  });

  it('notes when something is to come', async () => {
    const { identityId } = (await api.hr(hire({ startOn: '2026-12-24' }))).body.results[0];
    // Three days of lead time before midnight in Berlin.
    expect((await detail(identityId)).nextDueAt).toBe('2026-12-20T23:00:00.000Z');
  });

  it('makes one identity of one person, however many requests bring them at once', async () => {
    const person = 'Twin';
    const bodies = Array.from({ length: 12 }, (_, index) => hire({ person, employment: `twin-${index}` }));
    const answers = await Promise.all(bodies.map((body) => api.hr(body)));
    const ids = new Set(answers.map((answer) => answer.body.results[0].identityId));
    expect(ids.size).toBe(1);
    expect((await detail([...ids][0])).ledgerVersion).toBe(12);
  });

  it('leaves a chain of audit records that verifies, and facts without a readable value', async () => {
    const { problems, records } = await verifyAudit(api.db);
    expect(problems).toEqual([]);
    expect(records).toBeGreaterThan(10);
    const facts = await api.db.selectFrom('fact').selectAll().execute();
    expect(
      facts.some(
        (fact) => JSON.stringify(fact).includes('Marker') || fact.statement.toString('latin1').includes('Marker'),
      ),
    ).toBe(false);
  });

  it('writes no personal value into the log', () => {
    expect(api.logs.join('')).not.toMatch(/Marker|Ada/);
  });
});

describe('the dispatcher', () => {
  it('never fails an HR request for Temporal, loses nothing, and delivers when it is back', async () => {
    api.lifecycle.failure = new Error('Temporal is down');
    const answer = await api.hr(hire(), hire());
    expect(answer.body).toMatchObject({ accepted: 2 });
    const [first] = answer.body.results;
    await eventually(async () => (await inboxOf(first.identityId)).attempts > 0);
    expect((await inboxOf(first.identityId)).delivered_version).toBe(0);
    api.lifecycle.failure = undefined;
    await eventually(async () => (await inboxOf(first.identityId)).delivered_version === 1);
    expect(api.lifecycle.told.filter((told) => told.identityId === first.identityId)).toHaveLength(1);
  });
});
