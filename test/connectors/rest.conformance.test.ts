import { describe, it } from '@jest/globals';
import { reasonToSkipKeycloak, startKeycloak } from '../systems/keycloak.js';
import { describeConformance } from './conformance.js';
import { keycloakRestHarness } from './rest-harness.js';

const reason = await reasonToSkipKeycloak();
if (reason === undefined) {
  // Outside of hooks: on a busy machine the start takes longer than a hook may.
  const keycloak = await startKeycloak();
  describeConformance('rest with the admin API of Keycloak', async () =>
    keycloakRestHarness(await keycloak.createRealm()),
  );
} else {
  describe('conformance of rest with the admin API of Keycloak', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
