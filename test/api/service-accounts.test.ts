import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LifecycleUnreachable } from '../../src/api/dispatch/lifecycle.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { startTestApi } from './support.js';
import type { TestApi } from './support.js';

const hire = (person: string) => ({
  source: 'hr',
  eventId: `${person}-hire`,
  person,
  employment: `${person}-1`,
  kind: 'hire',
  startOn: '2026-11-01',
  zone: 'Etc/UTC',
  worker: 'employee',
  attributes: { givenName: person, familyName: 'Owner', employeeNumber: person, department: 'Sales' },
});

describe('service accounts at the door', () => {
  let api: TestApi;
  let ann: string;
  let bob: string;
  beforeAll(async () => {
    api = await startTestApi();
    const { body } = await api.hr(hire('ann'), hire('bob'));
    [ann, bob] = body.results.map((one: { identityId: string }) => one.identityId);
    for (const [name, id] of [
      ['ann', ann],
      ['bob', bob],
    ] as const)
      await ensureToken(api.db, {
        name,
        role: 'manager',
        token: `${name}-token-of-forty-characters-or-more-000`,
        identityId: brand<IdentityId>(id),
      });
  });
  afterAll(() => api?.close());
  const as = (name: string) => ({ token: `${name}-token-of-forty-characters-or-more-000` });
  const declare = (body: object) => api.call('POST', '/v1/service-accounts', { as: 'operator', body });

  it('are declared once per login; the process is started, and started again after an outage', async () => {
    const body = { application: 'erp', login: 'svc-backup', owners: [ann, bob], purpose: 'nightly backup' };
    api.lifecycle.failure = new LifecycleUnreachable('away');
    expect((await declare(body)).status).toBe(503);
    api.lifecycle.failure = undefined;
    const again = await declare(body);
    expect([again.status, again.headers.get('location')]).toEqual([
      202,
      `/v1/service-accounts/${again.body.serviceAccountId}`,
    ]);
    expect(again.body).toMatchObject({
      application: 'erp',
      login: 'svc-backup',
      state: 'open',
      origin: 'declared',
      purpose: 'nightly backup',
      owners: [
        { removal: 'not-asked', confirmation: 'not-asked' },
        { removal: 'not-asked', confirmation: 'not-asked' },
      ],
    });
    expect(api.lifecycle.serviceAccounts).toMatchObject([{ identityId: again.body.serviceAccountId }]);
    const upper = await declare({ ...body, login: 'SVC-Backup', owners: [] });
    expect(upper.body.serviceAccountId).toBe(again.body.serviceAccountId);
    expect(upper.body.owners).toHaveLength(2);
  });

  it('need an application and owners that exist', async () => {
    expect((await declare({ application: 'nothing', login: 'svc' })).status).toBe(404);
    const nobody = '11111111-1111-4111-8111-111111111111';
    expect((await declare({ application: 'erp', login: 'svc-none', owners: [nobody] })).body).toMatchObject({
      type: '/problems/not-found',
      title: 'There is no such owner.',
    });
    expect((await declare({ application: 'erp', login: '' })).status).toBe(400);
    const { rows } = await api.counts().then((counts) => ({ rows: counts['service_account'] }));
    expect(rows).toBe(1);
  });

  it('are shown to their owners and to no other manager; owners may change', async () => {
    const { body } = await declare({ application: 'erp', login: 'svc-mail', owners: [ann] });
    const path = `/v1/service-accounts/${body.serviceAccountId}`;
    const seen = async (name: string) => {
      const { body: page } = await api.call('GET', '/v1/service-accounts', { as: as(name) });
      return page.items.map((one: { login: string }) => one.login).sort();
    };
    expect([await seen('ann'), await seen('bob')]).toEqual([['svc-backup', 'svc-mail'], ['svc-backup']]);
    expect((await api.call('GET', path, { as: as('bob') })).status).toBe(404);
    const put = await api.call('PUT', `${path}/owners`, { as: 'operator', body: { owners: [bob] } });
    expect([put.status, put.body.owners.map((one: { identityId: string }) => one.identityId)]).toEqual([200, [bob]]);
    expect(api.lifecycle.amended).toHaveLength(1);
    expect(await seen('ann')).toEqual(['svc-backup']);
    expect((await api.call('PUT', `${path}/owners`, { as: as('bob'), body: { owners: [] } })).status).toBe(403);
  });

  it('a scream is refused while nothing is closed, and from somebody who does not own it', async () => {
    const { body } = await declare({ application: 'erp', login: 'svc-scream', owners: [ann] });
    const path = `/v1/service-accounts/${body.serviceAccountId}/scream`;
    const scream = (caller: 'operator' | { token: string }) =>
      api.call('POST', path, { as: caller, body: { reason: 'it is missed' } });
    expect((await scream(as('bob'))).body).toMatchObject({ type: '/problems/not-an-owner', status: 403 });
    expect((await scream(as('ann'))).body).toMatchObject({ type: '/problems/not-closed', status: 409 });
    expect((await api.call('POST', path, { as: 'operator', body: {} })).status).toBe(400);
    const review = await api.call('POST', path.replace('scream', 'review'), { as: 'operator' });
    expect(review.body).toMatchObject({ type: '/problems/under-review', status: 409 });
  });

  it('are nobody: the doors of people do not know them', async () => {
    const { body } = await declare({ application: 'erp', login: 'svc-person', owners: [] });
    const hold = await api.call('PUT', `/v1/identities/${body.serviceAccountId}/legal-hold`, {
      as: 'admin',
      body: { reason: 'a claim' },
    });
    expect(hold.status).toBe(404);
    const { body: people } = await api.call('GET', '/v1/identities', { as: 'operator' });
    expect(people.items.map((one: { identityId: string }) => one.identityId).sort()).toEqual([ann, bob].sort());
  });
});
