import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import { reportPage } from '../../src/report/html.js';
import { newSigningKey, publicKeyOf, reportSigner, verifyReport } from '../../src/report/signature.js';
import type { PublicKeys } from '../../src/report/signature.js';
import type { TerminationReport } from '../../src/report/types.js';

const AT = '2026-03-02T12:00:00.000Z';
const report: TerminationReport = {
  format: 'tenure/termination-report/1',
  generatedAt: '2026-03-02T12:10:00.000Z',
  processId: 'm-1/leaver/1/r1',
  policyVersion: 3,
  state: 'tail',
  outcome: null,
  person: { identityId: 'i-1', name: 'Zoë <b>Marker</b>', userName: 'zoe', mail: 'zoe@example.com' },
  effectiveAt: AT,
  knownAt: AT,
  noticeAt: null,
  exposure: null,
  summary: { actions: 1, proven: 1, attested: 0, unproven: 0, met: 1, missed: 0, open: 0 },
  actions: [
    {
      application: 'directory',
      login: 'zoe',
      tier: 'T1',
      phase: 'cut',
      operation: 'seal',
      entitlement: null,
      plannedAt: AT,
      deadlineAt: '2026-03-02T12:01:00.000Z',
      deadline: 'met',
      state: 'proven',
      provenAt: '2026-03-02T12:00:02.000Z',
      checks: [{ at: AT, check: 'sign-in', road: 'http', verdict: 'proven', code: '401 disabled', seenHash: 'ab' }],
    },
  ],
  residual: [{ application: 'idp', operation: 'idp/revoke-sessions', what: 'access-token', until: AT }],
  decisions: [],
  audit: { records: 7, hash: 'cd' },
};

describe('a signed report', () => {
  const pem = newSigningKey();
  let keys: PublicKeys;
  let text: string;
  let home: string;
  beforeAll(async () => {
    keys = { keys: [await publicKeyOf(pem)] };
    text = await (await reportSigner(pem)).sign(report);
    home = mkdtempSync(join(tmpdir(), 'tenure-report-'));
  });
  afterAll(() => {
    rmSync(home, { recursive: true, force: true });
  });

  const isValid = (changed: string, known = keys): Promise<boolean> =>
    verifyReport(changed, known).then(
      () => true,
      () => false,
    );

  it('is what was signed, and its public key holds no private part', async () => {
    expect(await verifyReport(text, keys)).toEqual({ report, keyId: keys.keys[0]?.kid });
    expect(Object.keys(keys.keys[0] ?? {}).sort()).toEqual(['crv', 'kid', 'kty', 'x']);
  });

  it('fails for a change of any single byte, wherever it is', async () => {
    const passed: number[] = [];
    for (let at = 0; at < text.length; at += 1) {
      const old = text[at] ?? '';
      for (const other of [old === 'A' ? 'B' : 'A', ' '].filter((one) => one !== old)) {
        if (await isValid(text.slice(0, at) + other + text.slice(at + 1))) passed.push(at);
      }
    }
    expect(passed).toEqual([]);
    expect(await isValid(`${text}\n`)).toBe(false);
    expect(await isValid(text.trimEnd())).toBe(false);
    expect(await isValid(text)).toBe(true);
  });

  it('fails for bits of the encoding that a decoder overlooks', async () => {
    const { signature, ...rest } = JSON.parse(text) as Record<string, string> & { signature: string };
    const last = signature.at(-1) ?? '';
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = alphabet[alphabet.indexOf(last) ^ 1] ?? '';
    const changed = signature.slice(0, -1) + twin;
    expect(Buffer.from(changed, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
    const { payload, protected: header } = rest;
    expect(await isValid(`${JSON.stringify({ payload, signature: changed, protected: header })}\n`)).toBe(false);
  });

  it('fails for another key, for an unknown one, and for one that pretends to be known', async () => {
    const stranger = newSigningKey();
    const theirs = await publicKeyOf(stranger);
    const forged = await (await reportSigner(stranger)).sign(report);
    expect(await isValid(forged)).toBe(false);
    expect(await isValid(text, { keys: [theirs] })).toBe(false);
    expect(await isValid(forged, { keys: [{ ...keys.keys[0]!, kid: theirs.kid }] })).toBe(false);
    expect(await isValid(forged, { keys: [theirs] })).toBe(true);
  });

  it('is made with an Ed25519 key only, and says nothing of a wrong one', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const wrong = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const given of [wrong, 'secret-text']) {
      const error: unknown = await reportSigner(given).catch((failed: unknown) => failed);
      expect(String(error)).toContain('Ed25519');
      expect(String(error)).not.toContain(given.slice(30, 60) || given);
    }
  });

  it('is shown and verified by the command line without a server, and a changed byte is told by the exit code', async () => {
    const at = (name: string, content: string): string => {
      writeFileSync(join(home, name), content);
      return join(home, name);
    };
    const tenure = async (...argv: string[]) => {
      const out: string[] = [];
      const terminal = { out: (line: string) => void out.push(line), err: () => undefined, isInteractive: false };
      const code = await runCli(argv, { config: () => loadConfig({ TENURE_HOME: home }, process.cwd()), terminal });
      return { code, out: out.join('\n') };
    };
    const [good, key] = [at('report.jws', text), at('keys.json', JSON.stringify(keys))];
    const bad = at('changed.jws', text.replace('payload":"e', 'payload":"f'));
    expect(await tenure('report', 'verify', good, '--key', key)).toMatchObject({ code: 0 });
    expect(await tenure('report', 'verify', bad, '--key', key)).toMatchObject({
      code: 1,
      out: expect.stringContaining('NOT VALID'),
    });
    expect((await tenure('report', 'verify', good)).code).toBe(2);
    at('run.json', JSON.stringify({ reportKeys: keys }));
    expect((await tenure('report', 'verify', good)).code).toBe(0);
    const shown = await tenure('report', 'show', good);
    expect(shown.out).toMatch(/directory +seal +2026-03-02 12:01:00 UTC +met +proven/);
    expect(shown.out).toContain('access-token');
  });

  it('has a page in which nothing of a name is markup, and that says what is in the report', () => {
    const page = reportPage(report, 'key-1');
    expect(page).toContain('Zoë &lt;b&gt;Marker&lt;/b&gt;');
    expect(page).not.toContain('<b>Marker');
    expect(page).not.toContain('<script');
    for (const said of ['seal', '12:01:00', 'met', 'sign-in proven', 'access-token', 'key-1'])
      expect(page).toContain(said);
  });
});
