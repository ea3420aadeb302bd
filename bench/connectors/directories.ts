import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { guidBytes } from '../../src/connectors/active-directory/identifiers.js';
import { activeDirectoryHarness } from '../../test/connectors/active-directory-harness.js';
import { ldapHarness } from '../../test/connectors/ldap-harness.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../../test/systems/openldap.js';
import { reasonToSkipSambaAd, startSambaAd } from '../../test/systems/samba-ad.js';
import { ldapLibrary } from './libraries.js';
import type { Kind } from './subject.js';

/** As connections.ts has it: with an address as host, no name is asked for. */
function tlsTo(url: string, ca: string): ConnectionOptions {
  const host = new URL(url).hostname;
  return { host, ca: readFileSync(ca, 'utf8'), ...(isIP(host) === 0 ? { servername: host } : {}) };
}

export const ldap: Kind = {
  name: 'ldap',
  connector: 'ldap',
  system: 'OpenLDAP slapd',
  reasonToSkip: reasonToSkipOpenLdap,
  async start() {
    const server = await startOpenLdap();
    const { ldapsUrl: url, service, certificates } = server;
    const harness = ldapHarness(server);
    const access = { url, tls: tlsTo(url, certificates.ca), name: service.dn, password: service.password };
    return { ...common(harness), library: ldapLibrary(access), group: harness.group };
  },
};

export const activeDirectory: Kind = {
  name: 'active-directory',
  connector: 'active-directory',
  system: 'Samba AD DC',
  reasonToSkip: reasonToSkipSambaAd,
  async start() {
    const server = await startSambaAd();
    const { url, service, certificates } = server;
    const harness = activeDirectoryHarness(server);
    return {
      ...common(harness),
      library: ldapLibrary({ url, tls: tlsTo(url, certificates.ca), name: service.name, password: service.password }),
      group: harness.group,
      formsOf: (nativeId) => [guidBytes(nativeId) ?? Buffer.alloc(0)],
      stop: async () => {
        await harness.stop();
        await server.stop();
      },
    };
  },
};

function common({ connector, sampleAccount, stop }: ReturnType<typeof ldapHarness>) {
  return { connector, sample: sampleAccount, stop };
}
