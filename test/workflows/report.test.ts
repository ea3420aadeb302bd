import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { publicKeysSchema, verifyReport } from '../../src/report/signature.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, day, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { createDesk, withDesk } from './support/desk.js';
import { cut, joined, taskOf } from './support/people.js';
import { atRest } from './support/rest.js';

const YESTERDAY = new Date(Date.now() - 86_400_000).toISOString();

describe('the termination report of a real run', () => {
  const desk = createDesk();
  let world: World;
  let door: Awaited<ReturnType<typeof openDoor>>;
  let home: string;
  let late: IdentityId;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'tenure-report-'));
    world = await createWorld({ registry: desk.registry, policy: withDesk });
    door = await openDoor(world);
    await joined(world, 'boss');
    late = await joined(world, 'late', { manager: 'boss' });
    desk.fill('plate.');
    // HR says today that access had to end yesterday.
    await cut(world, 'late', { lastWorkingDay: day(-1), at: YESTERDAY });
    await atRest(world, [late]);
    await eventually(async () => {
      const proof = await world.deps.db
        .selectFrom('evidence')
        .select('at')
        .where('identity_id', '=', late)
        .where('check_kind', '=', 'delivery')
        .executeTakeFirst();
      return proof === undefined ? undefined : true;
    }, 'the handover');
  }, 180_000);
  afterAll(async () => {
    await door?.app.close();
    await world?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const get = (path: string, token = door.token) =>
    fetch(door.url + path, { headers: { authorization: `Bearer ${token}` } });

  async function reportPath(id: IdentityId, kind: 'leaver' | 'joiner'): Promise<string> {
    const row = await world.deps.db
      .selectFrom('process')
      .select('process_id')
      .where('identity_id', '=', id)
      .where('kind', '=', kind)
      .executeTakeFirstOrThrow();
    return `/v1/processes/${encodeURIComponent(row.process_id)}/report`;
  }

  const keys = async () => publicKeysSchema.parse(await (await fetch(`${door.url}/v1/keys`)).json());

  it('names every action with deadline and proof, and the window in which a late end left access open', async () => {
    const answer = await get(await reportPath(late, 'leaver'));
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
      200,
      'application/jose+json; charset=utf-8',
      'no-store',
    ]);
    const { report } = await verifyReport(await answer.text(), await keys());
    expect(report.person).toMatchObject({ identityId: late, name: `Plate Test${world.tag}` });
    const atDesk = report.actions.filter((one) => one.application === 'desk');
    expect(atDesk.map((one) => [one.tier, one.operation, one.state])).toEqual([
      ['T1', 'seal', 'proven'],
      ['T1', 'revoke-sessions', 'proven'],
      ['T1', 'revoke-credentials', 'proven'],
      ['T2', 'check-in', 'proven'],
      ['T3', 'transfer-ownership', 'proven'],
      ['T3', 'set-forwarding', 'proven'],
    ]);
    expect(new Set(report.actions.map((one) => one.application))).toEqual(new Set(['desk', 'directory']));
    const { exposure, knownAt } = report;
    expect(exposure).toMatchObject({ from: YESTERDAY, knownAt });
    const cutProofs = report.actions.filter((one) => one.tier === 'T1').map((one) => one.provenAt ?? '');
    expect(exposure?.until).toBe(cutProofs.sort().at(-1));
    expect(exposure?.accounts.map((one) => one.application).sort()).toEqual(['desk', 'directory']);
    const allowedMs = atDesk.map((one) => Date.parse(one.deadlineAt ?? '') - Date.parse(knownAt ?? ''));
    expect(allowedMs.map((ms) => ms / 60_000)).toEqual([1, 1, 5, 60, 1_440, 1_440]);
    for (const one of report.actions) {
      expect(one.deadline).toBe((one.provenAt ?? '') <= (one.deadlineAt ?? '') ? 'met' : 'missed');
    }
    expect(report.audit?.records).toBeGreaterThan(0);
  });

  it('has a page of the same, on which nothing runs', async () => {
    const answer = await get(`${await reportPath(late, 'leaver')}?format=html`);
    expect(answer.headers.get('content-type')).toContain('text/html');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    const page = await answer.text();
    for (const said of [
      'Exposure window',
      YESTERDAY,
      'revoke-credentials',
      'transfer-ownership',
      `Plate Test${world.tag}`,
    ])
      expect(page).toContain(said);
  });

  it('is there for leavers only, and for nobody without a token', async () => {
    expect((await get(await reportPath(late, 'joiner'))).status).toBe(404);
    expect((await get(`${await reportPath(late, 'leaver')}?format=pdf`)).status).toBe(400);
    expect((await get(await reportPath(late, 'leaver'), 'nobody')).status).toBe(401);
  });

  it('says what is not proven while a target lies', async () => {
    const id = await joined(world, 'liar', { manager: 'boss' });
    desk.fill('pliar.');
    desk.lie('revokeCredentials');
    await cut(world, 'liar');
    await taskOf(world, id, 'credentials-left');
    const answer = await get(await reportPath(id, 'leaver'));
    const { report } = await verifyReport(await answer.text(), await keys());
    const keysTaken = report.actions.find((one) => one.operation === 'revoke-credentials');
    expect(keysTaken).toMatchObject({ state: 'refuted', provenAt: null });
    expect(keysTaken?.checks.at(-1)).toMatchObject({
      check: 'credentials',
      verdict: 'refuted',
      code: 'credentials-left',
    });
    expect(report.summary.unproven).toBeGreaterThan(0);
    expect(report.decisions).toMatchObject([{ application: 'desk', code: 'credentials-left', resolution: null }]);
    desk.lie();
  });

  it('is fetched by the command line, verified without the server, and refused after a byte was changed', async () => {
    const file = join(home, 'report.jws');
    const keyFile = join(home, 'keys.json');
    writeFileSync(keyFile, JSON.stringify(await keys()));
    const run = (env: Readonly<Record<string, string>>, ...argv: string[]) =>
      runCli(argv, {
        config: () => loadConfig({ TENURE_HOME: home, ...env }, process.cwd()),
        terminal: { out: () => undefined, err: () => undefined, isInteractive: false },
      });
    expect(await run({ TENURE_URL: door.url, TENURE_TOKEN: door.token }, 'report', 'get', late, '--out', file)).toBe(0);
    expect(await run({}, 'report', 'verify', file, '--key', keyFile)).toBe(0);
    const text = readFileSync(file, 'utf8');
    const at = Math.floor(text.length / 2);
    writeFileSync(file, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1));
    expect(await run({}, 'report', 'verify', file, '--key', keyFile)).toBe(1);
  });
});
