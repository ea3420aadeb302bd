import { describe, it } from '@jest/globals';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import { startVault, vaultBuild } from '../systems/vault.js';
import { describeConformance } from './conformance.js';
import { startVaultWorld, vaultHarness } from './vault-harness.js';

const build = await vaultBuild();
if (build.program === undefined) {
  describe('conformance of vault', () => {
    it.skip(`skipped: ${build.skip}`, () => undefined);
  });
} else {
  const { program } = build;
  const withoutLdap = await reasonToSkipOpenLdap();
  describeConformance('vault', async () =>
    vaultHarness(
      await startVaultWorld(await startVault(program), withoutLdap === undefined ? await startOpenLdap() : undefined),
    ),
  );
}
