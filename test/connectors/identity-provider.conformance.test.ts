import { describe, it } from '@jest/globals';
import type { Json } from '../systems/keycloak.js';
import { reasonToSkipKeycloak, startKeycloak } from '../systems/keycloak.js';
import { describeConformance } from './conformance.js';
import { groupIn, identityProviderHarness } from './identity-provider-harness.js';

const reason = await reasonToSkipKeycloak();

if (reason === undefined) {
  describeConformance('identity-provider with Keycloak, groups', async () => {
    const realm = await (await startKeycloak()).createRealm();
    const id = await groupIn(realm, 'staff');
    return identityProviderHarness(
      realm,
      'full',
      { archive: { attribute: 'archivedAt', value: 'archived' } },
      {
        name: 'group:/staff',
        hold: async (user, held) => void (await realm.admin(held ? 'PUT' : 'DELETE', `/users/${user}/groups/${id}`)),
        held: async (user) =>
          ((await realm.admin('GET', `/groups/${id}/members?max=1000`)).body as Json[]).some(
            (one) => one['id'] === user,
          ),
      },
    );
  });

  describeConformance('identity-provider with Keycloak, client roles', async () => {
    const realm = await (await startKeycloak()).createRealm({ realm: { bruteForceProtected: true } });
    const [client] = (await realm.admin('GET', `/clients?clientId=${realm.app}`)).body as Json[];
    const path = `/clients/${String(client?.['id'])}/roles`;
    await realm.admin('POST', path, { name: 'editor/in chief' });
    const role = (await realm.admin('GET', `${path}/${encodeURIComponent('editor/in chief')}`)).body as Json;
    const mappings = (user: string): string => `/users/${user}/role-mappings/clients/${String(client?.['id'])}`;
    const entitlements = { groups: false, clientRoles: ['app'] };
    return identityProviderHarness(
      realm,
      'withoutArchive',
      { entitlements },
      {
        name: 'client-role:app/editor/in chief',
        hold: async (user, held) => void (await realm.admin(held ? 'POST' : 'DELETE', mappings(user), [role])),
        held: async (user) => {
          const { status, body } = await realm.admin('GET', mappings(user));
          return status < 300 && (body as Json[]).some((one) => one['id'] === role['id']);
        },
      },
    );
  });
} else {
  describe('conformance of identity-provider with Keycloak', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
