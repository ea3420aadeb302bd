import { describe, it } from '@jest/globals';
import { reasonToSkipKeycloak, startKeycloak } from '../systems/keycloak.js';
import { describeConformance } from './conformance.js';
import { keycloakRestHarness } from './rest-harness.js';

const reason = await reasonToSkipKeycloak();
if (reason === undefined) {
  describeConformance('rest with the admin API of Keycloak', async () =>
    keycloakRestHarness(await (await startKeycloak()).createRealm()),
  );
} else {
  describe('conformance of rest with the admin API of Keycloak', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
