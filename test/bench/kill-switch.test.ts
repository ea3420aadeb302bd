import { describe, expect, it } from '@jest/globals';
import { complaints } from '../../bench/kill-switch/proofs.js';
import type { CutVisit } from '../../bench/kill-switch/proofs.js';
import { resultSchema } from '../../bench/kill-switch/result.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { bench } from './bench.js';

describe('npm run bench -- kill-switch', () => {
  it('measures in small and prints one JSON document of the published form', async () => {
    const few = ['--cuts', '2', '--accounts', '3', '--backlog', '60', '--backlog-cuts', '1', '--people', '8'];
    const run = await bench('kill-switch', ...few);
    expect(run.stderr).toContain('8 people cut at once');
    expect(run.code).toBe(0);
    const { row, backlog, many } = resultSchema.parse(JSON.parse(run.stdout)).parts;
    expect(row?.provenVisits).toBe(2 * 3);
    expect(Object.values(row?.accounts ?? {}).reduce((sum, count) => sum + count, 0)).toBe(3);
    expect(row?.latencyMs.samples).toBe(2);
    // The call comes before the instant that the cut records.
    expect(row?.latencyMs.p50).toBeGreaterThanOrEqual(row?.acceptedToProvenMs.p50 ?? Number.NaN);
    expect(backlog).toMatchObject({ joiners: 60, provenVisits: 3 });
    expect(many).toMatchObject({ people: 8, provenVisits: 8 * 2 });
    expect(many?.bare.processes).toBe(8);
    expect(many?.ratio).toBeGreaterThan(0);
  }, 400_000);

  it('takes no option of another bench and no part that it has not', async () => {
    expect((await bench('kill-switch', '--rounds', '2')).stderr).toContain('kill-switch has no --rounds');
    expect((await bench('kill-switch', '--parts', 'row,none')).stderr).toContain('kill-switch has no part none');
  });
});

describe('what counts as a proven cut', () => {
  const [ann, ben] = ['ann', 'ben'].map((name) => brand<IdentityId>(name)) as [IdentityId, IdentityId];
  const applications = ['scim-1', 'erp-1'];
  const proven = (identityId: IdentityId, application: string): CutVisit => ({
    ...{ identityId, application, outcome: 'proven', provenSignIns: 1 },
  });
  const all = [ann, ben].flatMap((id) => applications.map((slug) => proven(id, slug)));
  const said = (visits: readonly CutVisit[]) => complaints([ann, ben], applications, visits);

  it('is one proven visit in each account, with a refused sign-in behind it', () => {
    expect(said(all)).toEqual([]);
  });

  it.each<[string, readonly CutVisit[], string]>([
    ['an account that was never cut', all.slice(1), 'ann at scim-1: never cut'],
    ['one that counts twice', [...all, proven(ben, 'erp-1')], 'ben at erp-1: cut 2 times'],
    ['one that nobody proved', [...all.slice(1), { ...proven(ann, 'scim-1'), outcome: null }], 'ann at scim-1: open'],
    [
      'one whose sign-in nobody tried',
      [...all.slice(1), { ...proven(ann, 'scim-1'), provenSignIns: 0 }],
      'ann at scim-1: no sign-in was refused',
    ],
    ['one too many elsewhere', [...all, proven(ann, 'wiki')], '5 visits instead of 4'],
  ])('catches %s (planted)', (_what, visits, complaint) => {
    expect(said(visits)).toEqual([complaint]);
  });
});
