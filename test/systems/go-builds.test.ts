import { expect, it } from '@jest/globals';
import { goProgram } from './go-build.js';
import { giteaProgram } from './gitea.js';
import { vaultProgram } from './vault.js';

/** In .ci/run with TENURE_CI_FULL=1 this is the build itself. */
it.each([vaultProgram, giteaProgram])(
  '$name is built, or named as skipped',
  async (wanted) => {
    const build = await goProgram(wanted);
    expect(build.program ?? build.skip).toContain(wanted.name);
  },
  1_800_000,
);

it('what is not built is skipped by name, and only that may be skipped where no skip is allowed', async () => {
  const before = process.env['TENURE_CI_FULL'];
  delete process.env['TENURE_CI_FULL'];
  try {
    const build = await goProgram({ ...vaultProgram, name: 'never-built-0' });
    expect(build).toEqual({ skip: expect.stringContaining('never-built-0: not built') });

    const skipped = [
      `rest skipped: ${build.skip} lists groups`,
      'sshd: needs root lists files',
      'a test that is to do',
    ];
    const reporter = new URL('../../scripts/lib/totals-reporter.mjs', import.meta.url).href;
    const { totalsOf } = (await import(reporter)) as { totalsOf: (results: unknown) => { missing: string[] } };
    const testResults = skipped.map((fullName) => ({ testResults: [{ fullName, status: 'pending' }] }));
    expect(totalsOf({ testResults })).toMatchObject({ skipped, missing: skipped.slice(1) });
  } finally {
    if (before !== undefined) process.env['TENURE_CI_FULL'] = before;
  }
});
