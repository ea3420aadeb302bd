import { randomUUID } from 'node:crypto';
import { describe, it } from '@jest/globals';
import { startScimTarget } from '../../src/embedded/targets/scim-target.js';
import { acquirePostgres } from '../support/stack.js';
import { reasonToSkipScim2Server, startScim2Server } from '../systems/scim-server.js';
import { describeConformance } from './conformance.js';
import { scimHarness } from './scim-harness.js';

const endpoints = {
  signIn: { path: '/sign-in', signOutPath: '/sign-out' },
  sessions: { path: '/sessions/{id}' },
};

describeConformance('scim with the sandbox directory', async () => {
  const { adminUrl } = await acquirePostgres();
  const database = `sandbox_${randomUUID().replaceAll('-', '')}`;
  const target = await startScimTarget({ adminUrl, database, token: 'sandbox-token', port: 0, groups: ['staff'] });
  return scimHarness({
    name: 'sandbox',
    baseUrl: target.scimUrl,
    token: 'sandbox-token',
    config: { ...endpoints, secret: 'attribute', archive: { userType: 'archived' } },
    variant: 'full',
    group: 'staff',
    stop: target.stop,
  });
});

describeConformance('scim with the sandbox directory, by PUT', async () => {
  const { adminUrl } = await acquirePostgres();
  const database = `sandbox_${randomUUID().replaceAll('-', '')}`;
  const target = await startScimTarget({ adminUrl, database, token: 'sandbox-token', port: 0, groups: ['staff'] });
  return scimHarness({
    name: 'sandbox by PUT',
    baseUrl: target.scimUrl,
    token: 'sandbox-token',
    config: { ...endpoints, write: 'put', secret: { path: '/password/{id}' } },
    variant: 'secretByPath',
    group: 'staff',
    stop: target.stop,
  });
});

const reason = await reasonToSkipScim2Server();
if (reason === undefined) {
  describeConformance('scim with scim2-server', async () => {
    const server = await startScim2Server();
    return scimHarness({
      name: 'scim2-server',
      ...server,
      config: { secret: 'attribute' },
      variant: 'secretByAttribute',
      group: 'staff',
    });
  });
} else {
  describe('conformance of scim with scim2-server', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
