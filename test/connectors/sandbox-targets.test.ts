import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { TargetEffect } from '../../src/embedded/targets/effects.js';
import { readErpEffects } from '../../src/embedded/targets/erp.js';
import type { ScimTarget } from '../../src/embedded/targets/scim-target.js';
import { startScimTarget } from '../../src/embedded/targets/scim-target.js';
import { Secret } from '../../src/connectors/secret.js';
import { acquirePostgres } from '../support/stack.js';
import { newContext } from './kit/checks.js';
import { startTestErp } from './sql-harness.js';
import type { TestErp } from './sql-harness.js';

const userSchema = 'urn:ietf:params:scim:schemas:core:2.0:User';

describe('the sandbox SCIM server', () => {
  let target: ScimTarget;
  let options: Parameters<typeof startScimTarget>[0];
  const call = (method: string, path: string, body?: unknown, token = 'sandbox-token') =>
    fetch(`${target.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const effects = async (after = 0): Promise<TargetEffect[]> =>
    ((await (await call('GET', `/_effects?after=${after}`)).json()) as { effects: TargetEffect[] }).effects;
  const last = async (): Promise<number> => (await effects()).at(-1)?.sequence ?? 0;
  const create = async (): Promise<{ id: string; login: string }> => {
    const login = `u-${randomUUID()}`;
    const response = await call('POST', '/scim/v2/Users', {
      schemas: [userSchema],
      userName: login,
      active: true,
      password: 'right',
    });
    return { id: ((await response.json()) as { id: string }).id, login };
  };
  beforeAll(async () => {
    const { adminUrl } = await acquirePostgres();
    const database = `sandbox_${randomUUID().replaceAll('-', '')}`;
    options = { adminUrl, database, token: 'sandbox-token', port: 0, groups: ['staff'] };
    target = await startScimTarget(options);
  });
  afterAll(() => target.stop());

  it('lets nobody in without its token, and says so only to those who ask for data', async () => {
    const statuses = await Promise.all(
      ['/scim/v2/Users', '/_effects', '/sessions/1'].map(
        async (path) => (await call('GET', path, undefined, 'wrong')).status,
      ),
    );
    expect(statuses).toEqual([401, 401, 401]);
    expect((await call('GET', '/healthz', undefined, 'wrong')).status).toBe(200);
  });

  it('counts what changed, apart from what did not and what was refused', async () => {
    const before = await last();
    const { id, login } = await create();
    const patch = (active: boolean) =>
      call('PATCH', `/scim/v2/Users/${id}`, {
        schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
        Operations: [{ op: 'replace', path: 'active', value: active }],
      });
    await patch(false);
    await patch(false);
    expect((await call('POST', '/scim/v2/Users', { schemas: [userSchema], userName: login })).status).toBe(409);
    const seen = (await effects(before)).map(({ operation, changed }) => `${operation} ${changed}`);
    expect(seen).toEqual(['create true', 'disable true', 'update false', 'refused-post false']);
    expect((await effects(before))[0]?.targetId).toBe(id);
  });

  it('checks the password before the right to sign in, and keeps sessions over a disable until they are ended', async () => {
    const { id, login } = await create();
    const signIn = async (password: string): Promise<unknown> => {
      const response = await fetch(`${target.url}/login`, {
        method: 'POST',
        body: JSON.stringify({ userName: login, password }),
      });
      return [response.status, ((await response.json()) as { error?: string }).error];
    };
    const response = await fetch(`${target.url}/login`, {
      method: 'POST',
      body: JSON.stringify({ userName: login, password: 'right' }),
    });
    const { token } = (await response.json()) as { token: string };
    const me = async (): Promise<number> => (await call('GET', '/me', undefined, token)).status;
    expect([await me(), await signIn('wrong')]).toEqual([200, [401, 'bad-credentials']]);
    await call('PATCH', `/scim/v2/Users/${id}`, {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
      Operations: [{ op: 'replace', path: 'active', value: false }],
    });
    expect([await signIn('right'), await signIn('wrong'), await me()]).toEqual([
      [401, 'disabled'],
      [401, 'bad-credentials'],
      200,
    ]);
    await call('DELETE', `/sessions/${id}`);
    expect(await me()).toBe(401);
  });

  it('takes many members of one group at the same time, each counted once', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, create));
    const groups = (await (await call('GET', '/scim/v2/Groups')).json()) as { Resources: { id: string }[] };
    const path = `/scim/v2/Groups/${groups.Resources[0]?.id ?? ''}`;
    const before = await last();
    const add = (id: string) =>
      call('PATCH', path, {
        schemas: ['urn:ietf:params:scim:api:messages:2.0:PatchOp'],
        Operations: [{ op: 'add', path: 'members', value: [{ value: id }] }],
      });
    const statuses = (await Promise.all(users.flatMap(({ id }) => [add(id), add(id)]))).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([204]));
    const counted = (await effects(before)).filter((effect) => effect.operation === 'member-add' && effect.changed);
    expect(counted.map((effect) => effect.targetId).sort()).toEqual(users.map(({ id }) => id).sort());
  });

  it('goes on with its state, its port and its log after a restart', async () => {
    const { id } = await create();
    const [port, count] = [new URL(target.url).port, (await effects()).length];
    await target.stop();
    target = await startScimTarget(options);
    expect(new URL(target.url).port).toBe(port);
    expect((await call('GET', `/scim/v2/Users/${id}`)).status).toBe(200);
    expect(await effects()).toHaveLength(count);
  });

  it('says 500, not 404, when its store fails', async () => {
    const { id } = await create();
    const admin = new pg.Client({ connectionString: options.adminUrl.replace(/\/[^/]*$/, `/${options.database}`) });
    await admin.connect();
    try {
      await admin.query('alter table users rename to users_away');
      expect((await call('GET', `/scim/v2/Users/${id}`)).status).toBe(500);
    } finally {
      await admin.query('alter table users_away rename to users');
      await admin.end();
    }
    expect((await call('GET', `/scim/v2/Users/${id}`)).status).toBe(200);
  });

  it('can be told to refuse, and to lose its answers after it has acted', async () => {
    const before = await last();
    await call('PUT', '/_behaviour', { refuse: { status: 429, retryAfter: '3' } });
    const refused = await call('GET', '/scim/v2/Users');
    await call('PUT', '/_behaviour', { loseAnswers: true });
    await expect(call('POST', '/scim/v2/Users', { schemas: [userSchema], userName: randomUUID() })).rejects.toThrow();
    await call('PUT', '/_behaviour', {});
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3']);
    expect((await effects(before)).map((effect) => effect.operation)).toEqual(['create']);
  });
});

describe('the sandbox ERP', () => {
  let erp: TestErp;
  beforeAll(async () => {
    erp = await startTestErp();
  });
  afterAll(() => erp.stop());

  it('counts effects by itself, in a log that the connector’s role cannot touch', async () => {
    const connector = erp.connector();
    const login = `u_${randomUUID().slice(0, 8)}`;
    const spec = { objectClass: 'account', login, enabled: true, attributes: { displayName: 'Ada' } } as const;
    const before = (await readErpEffects(erp.ownerUrl)).at(-1)?.sequence ?? 0;
    const { ref } = await connector.create!(spec, newContext());
    await connector.addMember!({ application: 'x', name: 'ledger' }, ref, newContext());
    await connector.disable!(ref, newContext());
    await connector.disable!(ref, newContext());
    await connector.archive!(ref, newContext());
    expect((await connector.archive!(ref, newContext())).outcome).toBe('already-in-state');
    await connector.seal!(ref, Secret.random(), newContext());
    await connector.delete!(ref, newContext());
    await connector.close();
    const seen = (await readErpEffects(erp.ownerUrl, { after: before })).map(
      ({ operation, changed }) => `${operation} ${changed}`,
    );
    expect(seen).toEqual([
      ...['create true', 'member-add true', 'disable true', 'archive true'],
      // The seal of a disabled account writes its password only; the row stays as it is.
      ...['update false', 'member-remove true', 'delete true'],
    ]);
    const service = new pg.Client({ connectionString: erp.serviceUrl });
    await service.connect();
    await expect(service.query('delete from erp_log.effects')).rejects.toThrow(/permission denied/);
    await expect(
      service.query(`insert into erp_log.effects (target_id, operation, changed) values ('1', 'x', true)`),
    ).rejects.toThrow(/permission denied/);
    await service.end();
  });

  it('never lets an account take a name of the server’s own', async () => {
    const connector = erp.connector();
    for (const login of [
      'postgres',
      'pg_signal_backend',
      'erp_service',
      'erp_user',
      'a"; drop role x; --',
      'x'.repeat(64),
      '',
    ]) {
      const spec = { objectClass: 'account', login, enabled: true, attributes: { displayName: 'Ada' } } as const;
      await expect(connector.create!(spec, newContext())).rejects.toMatchObject({
        code: 'INVALID',
        attribute: 'login',
      });
    }
    await connector.close();
  });

  it('half a cut is a mismatch: a flag without the log-in, or the reverse', async () => {
    const connector = erp.connector();
    const login = `u_${randomUUID().slice(0, 8)}`;
    const spec = { objectClass: 'account', login, enabled: true, attributes: { displayName: 'Ada' } } as const;
    const { ref } = await connector.create!(spec, newContext());
    await erp.query('update erp.accounts set enabled = false where account_id = $1', [ref.nativeId]);
    const half = await connector.verify({ ref, exists: true, status: 'disabled' }, newContext());
    expect([half.verdict, half.mismatches]).toEqual(['mismatch', [{ what: 'status' }]]);
    expect((await connector.disable!(ref, newContext())).outcome).toBe('applied');
    expect((await connector.verify({ ref, exists: true, status: 'disabled' }, newContext())).verdict).toBe('ok');
    await connector.close();
  });

  it('runs configured statements in the same transaction, and a failing one undoes everything', async () => {
    await erp.query('create table if not exists erp.notes (login text, note text)');
    await erp.query('grant insert, select on erp.notes to erp_service');
    const login = `u_${randomUUID().slice(0, 8)}`;
    const spec = { objectClass: 'account', login, enabled: true, attributes: { displayName: "O'Brien" } } as const;
    const good = erp.connector(undefined, {
      statements: { create: ['insert into erp.notes values (:login, :displayName)'] },
    });
    await good.create!(spec, newContext());
    expect(await erp.query('select note from erp.notes where login = $1', [login])).toEqual([{ note: "O'Brien" }]);
    await good.close();
    const bad = erp.connector(undefined, { statements: { create: ['insert into erp.missing values (:login)'] } });
    const other = { ...spec, login: `${login}_2` };
    await expect(bad.create!(other, newContext())).rejects.toMatchObject({ code: 'INVALID', targetCode: '42P01' });
    await bad.close();
    expect(await erp.query('select 1 from erp.accounts where login = $1', [other.login])).toEqual([]);
    expect(await erp.query('select 1 from pg_roles where rolname = $1', [other.login])).toEqual([]);
  });
});
