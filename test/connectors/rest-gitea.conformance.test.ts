import { describe, it } from '@jest/globals';
import { giteaBuild, startGitea } from '../systems/gitea.js';
import { describeConformance } from './conformance.js';
import { giteaHarness } from './rest-gitea-harness.js';

const build = await giteaBuild();
if (build.program === undefined) {
  describe('conformance of rest with the API of Gitea', () => {
    it.skip(`skipped: ${build.skip}`, () => undefined);
  });
} else {
  const { program } = build;
  describeConformance('rest with the API of Gitea', async () => giteaHarness(await startGitea(program)));
}
