import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import { SYSTEM } from '../../src/db/keys.js';
import { brand } from '../../src/domain/process/ids.js';
import type { AccountId, ApplicationSlug, IdentityId } from '../../src/domain/process/ids.js';
import { NOW, eventually, hire, startTestApi } from './support.js';
import type { Loose, TestApi } from './support.js';

let api: TestApi;
let home: string;
beforeAll(async () => {
  api = await startTestApi();
  home = mkdtempSync(join(tmpdir(), 'tenure-migration-cli-'));
  writeFileSync(join(home, 'run.json'), JSON.stringify({ api: api.url, token: api.tokens.operator }));
});
afterAll(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});

/** Employees with an account at the directory; policy gives each one in Finance the ERP as well. */
async function people(count: number, more: object = {}): Promise<IdentityId[]> {
  const hired = await api.hr(...Array.from({ length: count }, () => hire(more as Record<string, unknown>)));
  const ids: IdentityId[] = hired.body.results.map((one: Loose) => one.identityId);
  for (const identityId of ids)
    await api.db
      .insertInto('account')
      .values({
        account_id: brand<AccountId>(randomUUID()),
        identity_id: identityId,
        application: brand<ApplicationSlug>('directory'),
        native_id: randomUUID(),
        login: identityId,
        status: 'enabled',
        attributes: '{}',
        secret: null,
        created_by_process: null,
        observed_at: NOW,
        unlinked_at: null,
      })
      .execute();
  return ids;
}
const plan = (body: object, as: 'operator' | 'admin' = 'operator') =>
  api.call('POST', '/v1/migrations', { as, body: { from: 'directory', to: 'erp', ...body } });
const order = (id: string, wave: number, what: string, body?: object) =>
  api.call('POST', `/v1/migrations/${id}/waves/${wave}/${what}`, { as: 'operator', ...(body ? { body } : {}) });
const viewOf = async (id: string): Promise<Loose> => (await api.call('GET', `/v1/migrations/${id}`)).body;
const type = (answer: Loose): string => String(answer.body.type).replace('/problems/', '');

describe('a plan', () => {
  it('writes nothing as a dry run, and tells whom it leaves out and why', async () => {
    const [one = '', two = ''] = await people(2);
    const [elsewhere = ''] = await people(1, {
      attributes: { department: 'Marketing', givenName: 'Ma', familyName: 'Rket' },
    });
    const without = (await api.hr(hire())).body.results[0].identityId;
    const before = await api.counts();
    const body = { people: [one, two, one, 'nobody', elsewhere, without], waveSize: 1, dryRun: true };
    const answer = await plan(body);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      state: 'nothing',
      size: 2,
      needsConfirmation: false,
      waves: [
        { wave: 1, size: 1 },
        { wave: 2, size: 1 },
      ],
      leftOut: [
        { index: 2, why: 'duplicate' },
        { index: 3, why: 'not-found' },
        { identityId: elsewhere, why: 'not-granted' },
        { identityId: without, why: 'no-account' },
      ],
    });
    expect(await api.counts()).toEqual(before);
  });

  it('refuses what cannot be one', async () => {
    const refused = async (body: object) => type(await plan({ expression: 'true', ...body }));
    expect(await refused({ to: 'nowhere' })).toBe('application-unfit');
    expect(await refused({ to: 'badge' })).toBe('application-unfit');
    expect(await refused({ expression: 'person.shoeSize == "44"' })).toBe('selection-invalid');
    expect(await refused({ to: 'directory' })).toBe('invalid-request');
    expect(await refused({ people: ['x'] })).toBe('invalid-request');
    expect((await api.call('POST', '/v1/migrations', { as: 'hr', body: {} })).status).toBe(403);
  });

  it('selects by an expression, takes nobody twice, and waits above the threshold for somebody else', async () => {
    const ids = await people(6, {
      attributes: { department: 'Finance', company: 'Bought', givenName: 'Bo', familyName: 'Ught' },
    });
    const body = { expression: 'employment.company == "Bought"', percentages: [50, 100], cutOverOn: '2026-12-01' };
    const answer = await plan(body);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ state: 'proposed', size: 6, needsConfirmation: true });
    const id = String(answer.body.migrationId);
    expect(answer.headers.get('location')).toBe(`/v1/migrations/${id}`);
    expect(type(await order(id, 1, 'start'))).toBe('not-confirmed');
    const confirm = (as: 'operator' | 'admin') => api.call('POST', `/v1/migrations/${id}/confirmation`, { as });
    expect(type(await confirm('operator'))).toBe('second-person-needed');
    expect((await confirm('admin')).body).toMatchObject({ state: 'open', confirmedBy: 'test-admin' });
    expect(type(await confirm('admin'))).toBe('already-confirmed');
    const again = await plan(body);
    expect(again.body.leftOut.map((one: Loose) => one.why)).toEqual(ids.map(() => 'moves-already'));
    expect((await viewOf(id)).waves).toMatchObject([
      { wave: 1, size: 3, state: 'planned', planned: 3, cutOverOn: '2026-12-01' },
      { wave: 2, size: 3, state: 'planned', planned: 3 },
    ]);
  });
});

describe('a wave', () => {
  it('begins with as many as may be under way, and tells their queues', async () => {
    const ids = await people(3);
    const { migrationId: id } = (await plan({ people: ids, atOnce: 2 })).body;
    expect(type(await order(id, 1, 'cut-over'))).toBe('wave-not-started');
    expect(type(await order(id, 1, 'roll-back'))).toBe('wave-not-started');
    expect((await order(id, 2, 'start')).status).toBe(404);
    const answer = await order(id, 1, 'start');
    expect([answer.status, answer.body]).toEqual([202, { migrationId: id, wave: 1, told: 2 }]);
    expect((await viewOf(id)).waves).toMatchObject([{ state: 'running', planned: 1, underWay: 2 }]);
    const told = () => new Set(api.lifecycle.told.slice(-2).map((one) => one.identityId));
    await eventually(() => [...told()].every((one) => ids.includes(one)));
    // Said again there is no room for more.
    expect((await order(id, 1, 'start')).body.told).toBe(0);
  });

  it('that was rolled back waits for its end, and a migration is not closed on people between two accounts', async () => {
    const ids = await people(1);
    const { migrationId: id } = (await plan({ people: ids })).body;
    await order(id, 1, 'start');
    expect(type(await api.call('POST', `/v1/migrations/${id}/close`, { as: 'operator' }))).toBe('moves-under-way');
    expect((await order(id, 1, 'roll-back')).body.told).toBe(1);
    expect((await viewOf(id)).waves).toMatchObject([{ state: 'rolling-back', rollingBack: 1 }]);
    expect(type(await order(id, 1, 'start'))).toBe('roll-back-under-way');
    await api.db.updateTable('migration_move').set({ settled_at: NOW }).where('migration_id', '=', id).execute();
    expect((await viewOf(id)).waves).toMatchObject([{ state: 'rolled-back', rolledBack: 1 }]);
    expect((await api.call('POST', `/v1/migrations/${id}/close`, { as: 'operator' })).body.state).toBe('closed');
    expect(type(await order(id, 1, 'start'))).toBe('already-closed');
    const actions = (await api.call('GET', `/v1/audit?identity=${SYSTEM}&limit=200`)).body.items
      .filter((one: Loose) => one.body.migrationId === id)
      .map((one: Loose) => one.action)
      .sort();
    expect(actions).toEqual([
      'migration.closed',
      'migration.planned',
      'migration.roll-back-ordered',
      'migration.wave-started',
    ]);
  });

  it('whose old accounts are gone cannot go back', async () => {
    const ids = await people(1);
    const { migrationId: id } = (await plan({ people: ids })).body;
    await order(id, 1, 'start');
    await api.db
      .updateTable('migration_move')
      .set({ state: 'retired', retired_at: NOW })
      .where('migration_id', '=', id)
      .execute();
    await api.db.updateTable('account').set({ archived: true }).where('identity_id', 'in', ids).execute();
    expect(type(await order(id, 1, 'roll-back'))).toBe('too-late');
  });
});

describe('tenure migration', () => {
  async function tenure(...argv: string[]) {
    const out: string[] = [];
    const err: string[] = [];
    const terminal = {
      out: (text: string) => void out.push(text),
      err: (text: string) => void err.push(text),
      isInteractive: false,
    };
    const code = await runCli(argv, { config: () => loadConfig({ TENURE_HOME: home }, process.cwd()), terminal });
    return { code, out: out.join('\n'), err: err.join('\n') };
  }

  it('plans from a file, starts, follows and shows', async () => {
    const ids = await people(2);
    const file = join(home, 'people.txt');
    writeFileSync(file, `${ids.join('\n')}\n\nnobody\n`);
    const given = ['--from', 'directory', '--to', 'erp', '--file', file];
    const dry = await tenure('migration', 'plan', ...given, '--dry-run');
    expect([dry.code, dry.out]).toEqual([0, expect.stringMatching(/nothing was written[^]*1 not-found/)]);
    const planned = await tenure('migration', 'plan', ...given, '--json');
    const { migrationId } = JSON.parse(planned.out) as { migrationId: string };
    expect((await tenure('migration', 'status', migrationId)).out).toMatch(/planned\s+│?\s*2/);
    const started = await tenure('migration', 'start', migrationId, '1', '--no-wait', '--json');
    expect(JSON.parse(started.out)).toMatchObject({ told: 2 });
    await api.db
      .updateTable('migration_move')
      .set({ proven_at: NOW })
      .where('migration_id', '=', migrationId)
      .execute();
    const followed = await tenure('migration', 'start', migrationId, '1');
    expect([followed.code, followed.err]).toEqual([0, 'wave 1 (coexisting): 2 side by side']);
    await api.db
      .updateTable('migration_move')
      .set({ failed_step: 'retire', code: 'new-account-missing' })
      .where('migration_id', '=', migrationId)
      .where('identity_id', '=', ids[0] ?? brand<IdentityId>(''))
      .execute();
    expect((await tenure('migration', 'status', migrationId, '--failed')).out).toContain('new-account-missing');
    expect((await tenure('migration', 'list')).out).toContain(migrationId);
  });

  it('says what is wrong', async () => {
    expect((await tenure('migration', 'plan', '--from', 'directory', '--to', 'erp')).code).toBe(2);
    expect(
      (await tenure('migration', 'plan', '--from', 'a', '--to', 'b', '--where', 'true', '--wave-size', 'x')).code,
    ).toBe(2);
    expect((await tenure('migration', 'status', randomUUID())).code).toBe(3);
    expect((await tenure('migration', 'cut-over', randomUUID(), '1')).code).toBe(3);
  });
});
