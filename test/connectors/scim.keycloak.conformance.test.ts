import { describe, it } from '@jest/globals';
import { reasonToSkipKeycloak, startKeycloak } from '../systems/keycloak.js';
import { describeConformance } from './conformance.js';
import { scimHarness } from './scim-harness.js';

const reason = await reasonToSkipKeycloak();

if (reason === undefined) {
  describeConformance('scim with Keycloak', async () => {
    const keycloak = await startKeycloak();
    // The connector takes a token as it is, so this one has to outlive the suite.
    const realm = await keycloak.createRealm({ realm: { accessTokenLifespan: 3600 } });
    const { clientId: client_id, secret: client_secret } = realm.service;
    const { body } = await realm.token({ grant_type: 'client_credentials', client_id, client_secret });
    return scimHarness({
      name: 'Keycloak',
      baseUrl: realm.scimUrl,
      token: String(body['access_token']),
      config: { secret: 'none' },
      variant: 'withGroups',
      group: 'staff',
      stop: realm.drop,
    });
  });
} else {
  describe('conformance of scim with Keycloak', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
