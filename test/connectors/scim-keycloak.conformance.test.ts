import { describe, it } from '@jest/globals';
import { reasonToSkipKeycloak, startKeycloak } from '../systems/keycloak.js';
import { describeConformance } from './conformance.js';
import { scimHarness } from './scim-harness.js';

const reason = await reasonToSkipKeycloak();
if (reason === undefined) {
  // Outside of hooks: on a busy machine the start takes longer than a hook may.
  const keycloak = await startKeycloak();
  describeConformance('scim with Keycloak', async () => {
    // The connector renews its tokens; the oracle's has to outlive the suite.
    const realm = await keycloak.createRealm({ realm: { accessTokenLifespan: 3600 } });
    const { clientId, secret: clientSecret } = realm.service;
    const grant = { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret };
    const { body } = await realm.token(grant);
    const auth = {
      type: 'oauth2-client-credentials',
      tokenUrl: `${realm.url}/protocol/openid-connect/token`,
      clientId,
      clientSecret: 'env:CLIENT_SECRET',
    };
    return scimHarness({
      name: 'Keycloak',
      baseUrl: realm.scimUrl,
      token: String(body['access_token']),
      clientSecret,
      config: { auth, secret: 'none', quirks: { conflictMeansTaken: true, groupIdFilter: false } },
      wrong: { auth: { ...auth, clientSecret: 'env:WRONG' } },
      variant: 'groups',
      group: 'staff',
      tricky: {
        displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
        title: 'long '.repeat(60).trim(),
        'enterprise.costCenter': '%_*;--',
      },
      oneEmail: true,
      stop: realm.drop,
    });
  });
} else {
  describe('conformance of scim with Keycloak', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
