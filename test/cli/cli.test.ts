import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import { brand } from '../../src/domain/process/ids.js';
import type { Instant, LocalDate } from '../../src/domain/process/ids.js';
import { addDays } from '../../src/domain/time/instants.js';
import { hire, startTestApi } from '../api/support.js';
import type { Loose, TestApi } from '../api/support.js';
import { HEADER, messyCsv } from '../hr/messy-csv.js';

const MAPPING = fileURLToPath(new URL('../../policy/hr/sample.yaml', import.meta.url));
let api: TestApi;
let home: string;
beforeAll(async () => {
  api = await startTestApi();
  home = mkdtempSync(join(tmpdir(), 'tenure-cli-'));
  writeFileSync(join(home, 'run.json'), JSON.stringify({ api: api.url, token: api.tokens.admin }));
});
afterAll(async () => {
  await api.close();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(() => {
  api.clock = brand<Instant>(new Date().toISOString());
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}
async function tenure(...argv: string[]): Promise<Ran> {
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
const json = async (...argv: string[]): Promise<Loose> => JSON.parse((await tenure(...argv, '--json')).out);
const fileOf = (name: string, content: string | Uint8Array): string => {
  const path = join(home, name);
  writeFileSync(path, content);
  return path;
};

describe('tenure hr import on 300 messy rows', () => {
  const today = new Date().toISOString().slice(0, 10) as LocalDate;
  const file = messyCsv({ today, encoding: 'windows-1252' });
  const good = file.rows.filter((row) => row.expected.outcome === 'good');
  const bad = file.rows.filter((row) => row.expected.outcome === 'rejected');
  let path: string;
  beforeAll(() => {
    path = fileOf('people.csv', file.bytes);
  });

  it('says per row what would happen, and sends nothing', async () => {
    const before = await api.counts();
    const ran = await tenure('hr', 'import', path, '--mapping', MAPPING, '--dry-run');
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(`${good.length} would be accepted`);
    expect(ran.out).toMatch(/^2 +hire$/m);
    expect(await api.counts()).toEqual(before);
  });

  it('imports every good row and lists every bad one with row, column and reason', async () => {
    const report = await json('hr', 'import', path, '--mapping', MAPPING);
    const repeated = file.rows.filter((row) => row.expected.outcome === 'repeated').length;
    expect(report.counts).toMatchObject({
      accepted: good.length,
      rejected: bad.length,
      unchanged: repeated,
      failed: 0,
    });
    for (const { row, expected } of bad) {
      const found = report.rows.find((one: Loose) => one.row === row);
      expect([row, found.outcome]).toEqual([row, 'rejected']);
      if (expected.outcome !== 'rejected') continue;
      const hit = found.problems.some(
        (one: Loose) => one.column === expected.column && expected.reason.test(one.reason),
      );
      expect([expected.defect, hit]).toEqual([expected.defect, true]);
    }
    const rejects = readFileSync(report.rejectsFile, 'utf8');
    expect(rejects).toContain('Rejected because');
    expect(statSync(report.rejectsFile).mode & 0o777).toBe(0o600);
  });

  it('brings every good row into the right state', async () => {
    const people = new Map<string, Loose>();
    for (const one of await json('people', '--limit', '1000')) people.set(one.displayName, one);
    const wrong = good.filter(({ expected }) => {
      if (expected.outcome !== 'good') return false;
      const name = [expected.givenName, expected.familyName].filter((part) => part !== '').join(' ');
      return people.get(name)?.lifecycle !== expected.lifecycle;
    });
    // Two people of one name may be in different states; the numbers tell them apart.
    for (const { number, expected } of wrong) {
      const found = (await json('people', number.trim()))[0];
      expect([number, found?.lifecycle]).toEqual([number, expected.outcome === 'good' ? expected.lifecycle : '']);
    }
    expect((await api.counts())['identity']).toBe(good.length);
  });

  it('the same file again changes nothing, also in another encoding and order of columns', async () => {
    const before = await api.counts();
    const again = await json('hr', 'import', path, '--mapping', MAPPING);
    expect(again.counts).toMatchObject({ accepted: 0, rejected: bad.length });
    const other = messyCsv({ today, encoding: 'utf-16le', delimiter: '\t', lineBreak: '\n' });
    const third = await json('hr', 'import', fileOf('other.csv', other.bytes), '--mapping', MAPPING);
    expect(third.counts).toMatchObject({ accepted: 0, rejected: bad.length });
    expect(await api.counts()).toEqual(before);
  });
});

describe('tenure hr import over the months', () => {
  const start = new Date().toISOString().slice(0, 10) as LocalDate;
  const cells = {
    'Employee No': 'L1',
    Name: 'Wandel, Wanda',
    Department: 'Finance',
    'Job title': 'Clerk',
    Location: 'Berlin',
    'Cost center': '1',
    'Contract type': 'Employee',
    Status: 'Active',
    'Hire date': '2020-01-01',
  };
  const importing = async (more: Readonly<Record<string, string>>): Promise<Loose> => {
    const row = HEADER.map((name) => (({ ...cells, ...more }) as Record<string, string>)[name] ?? '');
    const path = fileOf('life.csv', `${HEADER.join(';')}\n${row.join(';')}\n`);
    const report = await json('hr', 'import', path, '--mapping', MAPPING);
    const again = await json('hr', 'import', path, '--mapping', MAPPING);
    // Whatever was said, saying it again changes nothing.
    expect(again.rows[0]).not.toMatchObject({ outcome: 'accepted' });
    return report.rows[0];
  };
  const state = async (): Promise<Loose> => {
    const [found] = await json('people', 'L1 Wandel');
    return json('person', found.identityId);
  };

  it('follows a life: hire, move, clear, announced end taken back, leave, return, end, return under a new date', async () => {
    expect(await importing({})).toMatchObject({ outcome: 'accepted', records: ['hire'] });
    expect(await importing({ Department: 'Sales' })).toMatchObject({ outcome: 'accepted', records: ['change'] });
    expect((await state()).employments[0].attributes.department).toBe('Sales');
    // A, B, A on one day ends as A.
    await importing({ Department: 'Finance' });
    await importing({ Department: 'Sales' });
    expect((await state()).employments[0].attributes.department).toBe('Sales');
    expect(await importing({ Department: 'Sales', 'Job title': '' })).toMatchObject({ records: ['change'] });
    expect((await state()).employments[0].attributes.title).toBeNull();
    const now = { Department: 'Sales', 'Job title': '' };
    const soon = addDays(start, 30);
    expect(await importing({ ...now, 'Last working day': soon })).toMatchObject({ records: ['end'] });
    expect(await importing({ ...now, 'Last working day': addDays(start, 40) })).toMatchObject({ records: ['end'] });
    expect((await state()).employments[0].lastWorkingDay).toBe(addDays(start, 40));
    expect(await importing(now)).toMatchObject({ records: ['withdraw'] });
    expect((await state()).employments[0].lastWorkingDay).toBeUndefined();
    expect(await importing({ ...now, 'Last working day': soon })).toMatchObject({ records: ['end'] });
    expect((await state()).employments[0].lastWorkingDay).toBe(soon);
    await importing(now);
    expect(await importing({ ...now, Status: 'On leave', 'Leave from': start })).toMatchObject({ records: ['leave'] });
    expect((await state()).lifecycle).toBe('suspended');
    expect(await importing(now)).toMatchObject({ records: ['return'] });
    const ended = { ...now, Status: 'Left', 'Last working day': addDays(start, -1) };
    expect(await importing(ended)).toMatchObject({ records: ['end'] });
    expect((await state()).lifecycle).toBe('left');
    expect(await importing(now)).toMatchObject({
      outcome: 'rejected',
      problems: [{ reason: expect.stringMatching(/has ended/) }],
    });
    expect(await importing({ ...now, 'Hire date': addDays(start, 5) })).toMatchObject({ records: ['hire'] });
    expect((await state()).lifecycle).toBe('pre-hire');
    // The changes of today lie behind the backdated end and so speak of the next stretch: the hire alone would not be seen.
    expect(await importing({ ...now, 'Hire date': addDays(start, 6), Department: 'Legal' })).toMatchObject({
      records: ['hire', 'change'],
    });
    api.clock = brand<Instant>(`${addDays(start, 7)}T12:00:00.000Z`);
    expect((await state()).employments[0]).toMatchObject({
      startOn: addDays(start, 6),
      attributes: { department: 'Legal' },
    });
  });

  it('does not bring back who was cut in Tenure, and says so', async () => {
    const row = { 'Employee No': 'L2', Name: 'Schnitt, Samir' };
    await importing(row);
    const [found] = await json('people', 'L2 Schnitt');
    expect((await tenure('cut', found.identityId, '--yes', '--no-wait')).code).toBe(0);
    expect(await importing(row)).toMatchObject({
      outcome: 'unchanged',
      warnings: [expect.stringMatching(/someone else/)],
    });
    expect((await json('person', found.identityId)).lifecycle).toBe('left');
  });
});

describe('commands', () => {
  it('finds people by name, refuses to guess between two, and says when there is none', async () => {
    await api.hr(
      hire({ attributes: { givenName: 'Twin', familyName: 'Zwilling', employeeNumber: 'Z1' } }),
      hire({ attributes: { givenName: 'Twin', familyName: 'Zwilling', employeeNumber: 'Z2' } }),
    );
    const two = await tenure('person', 'Twin Zwilling');
    expect([two.code, two.err]).toEqual([2, expect.stringMatching(/Several people fit/)]);
    const one = await tenure('person', 'zwilling z2');
    expect([one.code, one.out]).toEqual([0, expect.stringContaining('Twin Zwilling')]);
    expect((await tenure('person', 'Nobody-at-all')).code).toBe(3);
    expect((await tenure('timeline', 'zwilling z2')).out).toMatch(/transition +joiner/);
    expect((await tenure('why', '--person', 'zwilling z2', '--application', 'erp')).out).toMatch(/account +no +no/);
    expect((await tenure('why', '--person', 'zwilling z2', '--application', 'none')).code).toBe(3);
  });

  it('previews an event from a file', async () => {
    const joiner = hire({ startOn: '2199-01-01' });
    const { identityId } = (await api.hr(joiner)).body.results[0];
    const plain = await tenure('preview', '--person', identityId);
    expect(plain.out).toMatch(/^joiner, 2198-12-31/);
    const event = fileOf('event.json', JSON.stringify({ ...joiner, version: 2, startOn: '2199-01-02' }));
    expect((await tenure('preview', '--person', identityId, '--event', event)).out).toMatch(/^joiner, 2199-01-01/);
    const bad = fileOf('bad.json', JSON.stringify({ ...joiner, startOn: 'soon' }));
    const refused = await tenure('preview', '--person', identityId, '--event', bad);
    expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/events\[0\]\.startOn: wrong form/)]);
    expect((await tenure('preview', '--person', identityId, '--event', fileOf('no.json', '{'))).code).toBe(2);
  });

  it('asks for --yes before a cut, and tells when there is nothing left', async () => {
    const { identityId } = (await api.hr(hire())).body.results[0];
    expect((await tenure('cut', identityId)).code).toBe(2);
    expect((await tenure('cut', identityId, '--yes', '--no-wait', '--reason', 'lost laptop')).code).toBe(0);
    const again = await tenure('cut', identityId, '--yes');
    expect([again.code, again.err]).toEqual([4, 'Every employment of this person has ended already.']);
    const { identityId: never } = (await api.hr(hire())).body.results[0];
    expect((await tenure('cuts', 'watch', never)).code).toBe(3);
  });

  it('sets, lists and lifts a legal hold, with a reason only, and says who is unknown or not held', async () => {
    const { identityId } = (await api.hr(hire())).body.results[0];
    expect((await tenure('hold', 'set', identityId)).code).toBe(2);
    expect((await tenure('hold', 'lift', identityId, '--reason', 'nothing stands')).code).toBe(3);
    expect((await tenure('hold', 'set', 'nobody-of-this-name', '--reason', 'x')).code).toBe(3);
    const asOperator = ['--url', api.url, '--token', api.tokens.operator];
    expect((await tenure('hold', 'set', identityId, '--reason', 'x', ...asOperator)).code).toBe(4);
    const done = await tenure('hold', 'set', identityId, '--reason', 'a claim', '--reference', 'case 7');
    expect([done.code, done.out]).toEqual([
      0,
      expect.stringMatching(/Held since .*\nReason +a claim\nReference +case 7/),
    ]);
    const listed = await json('hold', 'list');
    expect(listed.find((one: Loose) => one.identityId === identityId)).toMatchObject({
      reason: 'a claim',
      liftedAt: null,
    });
    expect((await tenure('hold', 'list')).out).toMatch(new RegExp(`${identityId} .*a claim +case 7`));
    expect((await json('hold', 'lift', identityId, '--reason', 'settled')).liftReason).toBe('settled');
    expect((await json('hold', 'list')).some((one: Loose) => one.identityId === identityId)).toBe(false);
    expect((await json('hold', 'list', '--all')).some((one: Loose) => one.identityId === identityId)).toBe(true);
    expect((await tenure('hold', '--help')).out).toContain('lift');
  });

  it('cuts a file: says whom, proposes above the threshold, and a second principal confirms', async () => {
    const people = Array.from({ length: 6 }, () => hire());
    const ids = (await api.hr(...people)).body.results.map((one: Loose) => one.identityId);
    const numbers = people.map((one) => one['person'] as string);
    const file = fileOf(
      'leavers.csv',
      ['Employee number;Name', ...numbers.map((one) => `${one};X`), 'nobody'].join('\n'),
    );
    const before = await api.counts();
    const dry = await tenure('cut', '--file', file, '--dry-run');
    expect([dry.code, dry.out]).toEqual([1, expect.stringMatching(/7 +nobody +not-found[^]*6 people would be cut/)]);
    expect((await tenure('cut', '--file', file, '--reason', 'sold')).code).toBe(2);
    expect(await api.counts()).toEqual(before);
    const proposed = JSON.parse((await tenure('cut', '--file', file, '--reason', 'sold', '--yes', '--json')).out);
    expect(proposed).toMatchObject({ state: 'proposed', size: 6 });
    expect((await tenure('cuts')).out).toContain(proposed.cutId);
    const shown = await tenure('cuts', 'confirm', proposed.cutId);
    expect([shown.code, shown.err]).toEqual([2, expect.stringContaining(ids[0])]);
    const own = await tenure('cuts', 'confirm', proposed.cutId, '--yes');
    expect([own.code, own.err]).toEqual([4, expect.stringMatching(/^Who proposed a cut cannot confirm it/)]);
    const other = await tenure('cuts', 'confirm', proposed.cutId, '--yes', '--no-wait', '--token', api.tokens.operator);
    expect(other.code).toBe(0);
    expect((await json('person', ids[5])).lifecycle).toBe('left');
    expect((await tenure('cut')).code).toBe(2);
    expect((await tenure('cut', '--help')).out).toContain('--dry-run');
  });

  it('asks for an erasure, says why it is refused, and a second principal confirms', async () => {
    const { identityId } = (await api.hr(hire())).body.results[0];
    const erase = (...more: string[]) => tenure('erase', identityId, '--reason', 'asked', ...more);
    const working = await erase('--dry-run');
    expect([working.code, working.err]).toEqual([4, expect.stringContaining('The person works here')]);
    await tenure('cut', identityId, '--yes', '--no-wait');
    await api.db.updateTable('identity').set({ next_due_at: null }).where('identity_id', '=', identityId).execute();
    expect((await erase()).err).toContain('The earliest date is 20');
    const proposed = JSON.parse((await erase('--queue', '--json')).out);
    expect(proposed).toMatchObject({ state: 'proposed' });
    expect((await tenure('erasures')).out).toContain(proposed.erasureId);
    expect((await tenure('erasures', 'confirm', proposed.erasureId)).code).toBe(2);
    expect((await tenure('erasures', 'confirm', proposed.erasureId, '--yes')).code).toBe(4);
    const other = await tenure('erasures', 'confirm', proposed.erasureId, '--yes', '--token', api.tokens.hr);
    expect([other.code, other.out]).toEqual([0, expect.stringContaining('queued')]);
    expect((await tenure('erase', identityId)).code).toBe(2);
  });

  it('checks policy on this machine without a server, and names file, line and what was expected', async () => {
    const policy = fileURLToPath(new URL('../../policy', import.meta.url));
    const good = await tenure('policy', 'check', policy, '--url', 'http://127.0.0.1:1');
    expect([good.code, good.out]).toEqual([0, expect.stringMatching(/^The policy is right: \d+ applications/)]);
    const empty = mkdtempSync(join(home, 'policy-'));
    for (const folder of ['applications', 'roles']) mkdirSync(join(empty, folder));
    writeFileSync(join(empty, 'lifecycle.yaml'), 'leadTimeDays: soon\n');
    const bad = await tenure('policy', 'check', empty);
    expect([bad.code, bad.out]).toEqual([1, expect.stringMatching(/^lifecycle\.yaml:1 .*\n +expected: /)]);
    expect((await tenure('policy', 'check', join(home, 'nowhere'))).code).toBe(2);
  });

  it('shows policy, status, approvals and tasks, and verifies the audit', async () => {
    expect((await tenure('policy', 'show')).out).toMatch(/^Version 1/);
    expect((await tenure('status')).out).toMatch(/people +\d+/);
    expect((await tenure('approvals')).out).toBe('None.');
    expect((await tenure('tasks', '--status', 'all')).out).toBe('None.');
    expect((await tenure('audit', 'verify')).out).toMatch(/all as they were written/);
    expect((await tenure('approve', 'x')).code).toBe(3);
    expect((await tenure('resolve', 'x', 'somehow')).code).toBe(2);
    const { identityId } = (await api.hr(hire())).body.results[0];
    const nothing = await tenure('resolve', (await json('person', identityId)).displayName, 'retry');
    expect([nothing.code, nothing.err]).toEqual([3, expect.stringMatching(/^Nothing of ".*" waits for a person/)]);
    expect(JSON.parse((await tenure('report', 'keys')).out)).toEqual({ keys: [] });
    expect((await tenure('resolve', '5f0c3f0e-0000-4000-8000-000000000000', 'skip')).code).toBe(2);
  });

  it('ends with a documented code and one message when the command line, the file or the server is wrong', async () => {
    const csv = fileOf('x.csv', 'a;b\n1;2\n');
    const cases: [number, RegExp, string[]][] = [
      [2, /unknown command/, ['peple']],
      [2, /--mapping/, ['hr', 'import', csv]],
      [2, /cannot be read/, ['hr', 'import', join(home, 'missing.csv'), '--mapping', MAPPING]],
      [2, /cannot be read/, ['hr', 'import', csv, '--mapping', join(home, 'missing.yaml')]],
      [2, /expected/, ['hr', 'import', csv, '--mapping', fileOf('bad.yaml', 'source: 5\n')]],
      [2, /no column .* Nothing was imported/, ['hr', 'import', csv, '--mapping', MAPPING]],
      [2, /workbook/, ['hr', 'import', fileOf('x.xlsx', 'PK\u0003\u0004'), '--mapping', MAPPING]],
      [2, /--limit/, ['people', '--limit', 'many']],
      [4, /bearer token/, ['people', '--token', 'x'.repeat(30), '--url', api.url]],
      [4, /may not do that/, ['audit', 'verify', '--token', api.tokens.hr, '--url', api.url]],
      [3, /./, ['notices', 'send', '5f0c3f0e-0000-4000-8000-000000000000']],
      [5, /cannot be reached/, ['people', '--url', `http://127.0.0.1:${await deadPort()}`, '--token', 'x'.repeat(30)]],
      [2, /token of its own/, ['people', '--url', 'http://127.0.0.1:1']],
    ];
    for (const [code, pattern, argv] of cases) {
      const ran = await tenure(...argv);
      expect([argv.join(' '), ran.code]).toEqual([argv.join(' '), code]);
      expect(ran.err).toMatch(pattern);
      expect(ran.err).not.toMatch(/\n\s+at /);
    }
  });

  it('shows no control character of foreign data', async () => {
    const { identityId } = (await api.hr(hire({ attributes: { familyName: 'Right\u202eLeft' } }))).body.results[0];
    expect((await tenure('person', identityId)).out).not.toContain('\u202e');
  });
});

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
