import { randomUUID } from 'node:crypto';
import { activeDirectoryFactory } from '../../src/connectors/active-directory/index.js';
import { guidBytes } from '../../src/connectors/active-directory/identifiers.js';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { createSecretResolver } from '../../src/connectors/secret.js';
import type { SambaAd } from '../systems/samba-ad.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

/** The example of docs/connectors.md, on the test's server; three long texts make a create longer than anything else. */
export function activeDirectoryConfig(server: Pick<SambaAd, 'suffix' | 'url' | 'domain'> & { readonly ca: string }) {
  const { suffix } = server;
  return {
    url: server.url,
    tls: { ca: `file:${server.ca}` },
    bind: { name: `tenure@${server.domain}`, password: 'env:AD_PASSWORD' },
    accounts: { base: suffix, container: `OU=People,${suffix}`, upnSuffix: server.domain },
    attributes: {
      externalId: 'employeeNumber',
      displayName: { attribute: 'displayName', required: true },
      givenName: 'givenName',
      familyName: 'sn',
      mail: 'mail',
      department: 'department',
      notes: 'info',
      remarks: 'description',
      street: 'streetAddress',
      addresses: { attribute: 'proxyAddresses', type: 'strings' },
    },
    groups: { base: `OU=Groups,${suffix}` },
    archive: { container: `OU=Disabled,${suffix}` },
    requestTimeoutMs: 20_000,
  } as const;
}

/** A connector to the server, with changes of its configuration. */
export function activeDirectoryConnector(
  server: SambaAd,
  changes: Readonly<Record<string, unknown>> = {},
  password = server.service.password,
): Connector {
  const config = { ...activeDirectoryConfig({ ...server, ca: server.certificates.ca }), ...changes };
  const secrets = createSecretResolver({ AD_PASSWORD: password });
  return activeDirectoryFactory.create('x', config, { secrets, logger: newContext().logger });
}

/** The kit's view of the domain; the oracle is ldapsearch as its administrator. The server is stopped by the test. */
export function activeDirectoryHarness(server: SambaAd): Harness {
  const connector = activeDirectoryConnector(server);
  const { suffix } = server;
  const byGuid = (nativeId: string): string =>
    `(objectGUID=${(guidBytes(nativeId)?.toString('hex') ?? '').replace(/../g, '\\$&')})`;
  const entry = async (nativeId: string) => (await server.search(suffix, byGuid(nativeId), '*'))[0];
  const dnOf = async (nativeId: string): Promise<string> => (await entry(nativeId))!.dn;
  const modify = async (dn: string, change: string): Promise<void> =>
    server.apply(`dn: ${dn}\nchangetype: modify\n${change}\n`);
  return {
    name: 'active-directory',
    connector,
    factory: activeDirectoryFactory,
    committed: committedCapabilities('active-directory', 'full'),
    wrongConfig: {
      config: {
        ...activeDirectoryConfig({ ...server, ca: server.certificates.ca }),
        tls: { mode: 'none' },
        adoptionKey: 'nope',
        bind: { name: 'tenure', password: 'plain' },
      },
      paths: ['bind.name', 'bind.password'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      mail: `${'x'.repeat(200)}@example.test`,
      department: `*)(uid=*`,
      addresses: ['SMTP:a,b@example.test', 'smtp:c"d@example.test', "smtp:e'f@example.test"],
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    multiAttribute: 'addresses',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '00000000-0000-4000-8000-000000000000',
    group: 'staff',
    peek: async (ref) => peeked(await entry(ref.nativeId)),
    countByLogin: async (login) => (await server.search(suffix, `(sAMAccountName=${login})`, 'sAMAccountName')).length,
    // Not the service account: a domain stamps each sign-in on it.
    snapshot: async () =>
      JSON.stringify(
        await Promise.all(
          ['People', 'Disabled', 'Groups'].map((unit) => server.search(`OU=${unit},${suffix}`, '(objectClass=*)', '*')),
        ),
      ),
    plant: {
      attribute: async (ref, value) => modify(await dnOf(ref.nativeId), `replace: department\ndepartment: ${value}`),
      enabled: async (ref, enabled) =>
        modify(await dnOf(ref.nativeId), `replace: userAccountControl\nuserAccountControl: ${enabled ? 512 : 514}`),
      membership: async (ref, held) =>
        modify(
          `CN=staff,OU=Groups,${suffix}`,
          held ? `replace: member\nmember: ${await dnOf(ref.nativeId)}` : 'replace: member',
        ),
    },
    unreachable: () => activeDirectoryConnector(server, { url: 'ldaps://127.0.0.1:9' }),
    wrongCredential: () => activeDirectoryConnector(server, {}, 'Wrong-Secret-1!'),
    throughProxy: async () => {
      // Everything is encrypted: what is longer than any read or handshake is the create with its long texts.
      const proxy = await startFaultProxy({ host: server.address, port: 636 }, (bytes) => bytes.length > 2500);
      const proxied = activeDirectoryConnector(server, { url: `ldaps://127.0.0.1:${proxy.port}` });
      return behindProxy(proxy, proxied);
    },
    stop: () => connector.close(),
  };
}

function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u${randomUUID().replaceAll('-', '').slice(0, 18)}`;
  const attributes: Attributes = {
    displayName: 'Sample Person',
    familyName: 'Person',
    mail: `${login}@example.test`,
    department: 'Research',
    notes: 'n'.repeat(1000),
    remarks: 'r'.repeat(1000),
    street: 's'.repeat(1000),
  };
  return { objectClass: 'account', login, enabled: true, attributes };
}

function peeked(found: Awaited<ReturnType<SambaAd['search']>>[number] | undefined): Peeked | undefined {
  if (found === undefined) {
    return undefined;
  }
  const { values } = found;
  const one = (name: string): string | undefined => values[name.toLowerCase()]?.[0];
  const attributes = {
    displayName: one('displayName'),
    familyName: one('sn'),
    mail: one('mail'),
    department: one('department'),
    notes: one('info'),
    remarks: one('description'),
    street: one('streetAddress'),
    addresses: values['proxyaddresses'],
  };
  return {
    login: one('sAMAccountName') ?? '',
    enabled: (Number(one('userAccountControl')) & 2) === 0,
    attributes: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Attributes,
    entitlements: (values['memberof'] ?? []).map((dn) => /^CN=([^,]*)/.exec(dn)?.[1] ?? dn),
  };
}
