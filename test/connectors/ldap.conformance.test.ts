import { describe, it } from '@jest/globals';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import { describeConformance } from './conformance.js';
import { ldapHarness } from './ldap-harness.js';

const reason = await reasonToSkipOpenLdap();
if (reason === undefined) {
  describeConformance('ldap with slapd', async () => ldapHarness(await startOpenLdap()));
} else {
  describe('conformance of ldap with slapd', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
