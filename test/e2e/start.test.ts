import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureBuild } from '../support/build.js';
import { expectedDirectory, expectedEffects, expectedErp } from './support/expected.js';
import { peek } from './support/peek.js';
import { Home } from './support/stack-process.js';

const TIMEOUT_MS = 200_000;

describe('npm start -- --exit', () => {
  let home: Home;
  let firstEnd: string;
  beforeAll(async () => {
    await ensureBuild();
    home = await Home.make();
  });
  afterAll(() => home?.remove());

  it(
    'runs the sample company through everything and ends with 0 when all that is due is proven',
    async () => {
      const run = home.start('--exit');
      expect({ code: await run.exits(), output: run.output }).toMatchObject({ code: 0 });
      firstEnd = new Date().toISOString();
      expect(run.output).toContain('Everything due now is done and proven');
      expect(run.output).toMatch(/HR feed: 11 accepted, 1 rejected\n\s+rejected: startOn .*endOn missing/);
      expect(run.output).toMatch(/API docs\s+http/);
      expect((await stat(join(home.folder, 'story.json'))).mode & 0o777).toBe(0o600);
    },
    TIMEOUT_MS,
  );

  it(
    'a second run provisions nothing: everything is a duplicate, and the dates stay',
    async () => {
      const before = await readFile(join(home.folder, 'story.json'), 'utf8');
      const run = home.start('--exit');
      expect({ code: await run.exits(), output: run.output }).toMatchObject({ code: 0 });
      expect(run.output.match(/HR feed: .*/g)).toEqual([
        'HR feed: 1 duplicate',
        'HR feed: 11 duplicate, 1 rejected',
        'HR feed: 6 duplicate',
        'HR feed: 1 duplicate',
      ]);
      expect(await readFile(join(home.folder, 'story.json'), 'utf8')).toBe(before);
    },
    TIMEOUT_MS,
  );

  it(
    'the targets themselves show the people as they should be, and no effect after the first run',
    async () => {
      const run = home.start();
      await run.says('Tenure is up');
      const seen = await peek(await home.info());
      expect(seen.directory).toEqual(expectedDirectory);
      expect(seen.erp).toEqual(expectedErp);
      expect(seen.effects).toEqual(expectedEffects);
      expect(seen.log.filter((effect) => effect.at <= firstEnd).length).toBeGreaterThan(50);
      expect(seen.log.filter((effect) => effect.at > firstEnd)).toEqual([]);
      // One Ctrl-C, as it arrives under npm: the work in hand is still waited for.
      run.child.kill('SIGINT');
      expect(await run.end('SIGINT')).toBe(0);
      expect(run.output).not.toContain('Not waiting');
      expect(run.output.trimEnd()).toMatch(/Stopped\.$/);
    },
    TIMEOUT_MS,
  );
});
