import { randomUUID } from 'node:crypto';
import type { Attributes, Connector } from '../../src/connectors/connector.js';
import { ldapFactory } from '../../src/connectors/ldap/index.js';
import { createSecretResolver } from '../../src/connectors/secret.js';
import type { OpenLdap } from '../systems/openldap.js';
import { behindProxy } from './kit/behind-proxy.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Harness, Peeked } from './kit/harness.js';

/** The example of docs/connectors.md, on the test's server. */
export function ldapConfig(server: OpenLdap) {
  const { suffix } = server;
  return {
    url: server.ldapsUrl,
    tls: { ca: `file:${server.certificates.ca}` },
    bind: { method: 'simple', dn: server.service.dn, password: 'env:LDAP_PASSWORD' },
    accounts: { base: suffix, container: `ou=people,${suffix}`, objectClasses: ['inetOrgPerson'], login: 'uid' },
    attributes: {
      externalId: 'employeeNumber',
      displayName: { attribute: 'cn', required: true },
      familyName: { attribute: 'sn', required: true },
      mail: 'mail',
      department: 'departmentNumber',
      tags: { attribute: 'description', type: 'strings' },
    },
    groups: { base: `ou=groups,${suffix}`, memberOf: 'memberOf', placeholder: `cn=nobody,${suffix}` },
    archive: { container: `ou=disabled,${suffix}` },
    lock: 'ppolicy',
  } as const;
}

/** A connector to the server, with changes of its configuration. */
export function ldapConnector(
  server: OpenLdap,
  changes: Readonly<Record<string, unknown>> = {},
  password = server.service.password,
): Connector {
  const secrets = createSecretResolver({ LDAP_PASSWORD: password });
  return ldapFactory.create('x', { ...ldapConfig(server), ...changes }, { secrets, logger: newContext().logger });
}

/** The kit's view of slapd; the oracle is ldapsearch as the server's administrator. */
export function ldapHarness(server: OpenLdap): Harness {
  const connector = ldapConnector(server);
  const { suffix } = server;
  const entry = async (nativeId: string) => (await server.search(suffix, `(entryUUID=${nativeId})`, '*', '+'))[0];
  const dnOf = async (nativeId: string): Promise<string> => (await entry(nativeId))!.dn;
  return {
    name: 'ldap',
    connector,
    factory: ldapFactory,
    committed: committedCapabilities('ldap', 'full'),
    wrongConfig: {
      config: {
        ...ldapConfig(server),
        url: 'ldap://directory.example.com',
        tls: { mode: 'none' },
        adoptionKey: 'nope',
        archive: { container: 'ou=elsewhere,dc=other' },
      },
      paths: ['tls.mode', 'adoptionKey', 'archive.container'],
    },
    sampleAccount,
    trickyAttributes: {
      displayName: `Zoë "Quote" O'Brien \\ <b>王秀英</b> عبد`,
      mail: `${'x'.repeat(200)}@example.test`,
      department: `*)(uid=*`,
      tags: ['a,b', 'c"d', "e'f", ' leading + blank; #'],
    },
    sampleDelta: { attribute: 'department', op: 'replace', value: 'Finance' },
    multiAttribute: 'tags',
    requiredAttribute: 'displayName',
    unknownAttribute: 'favouriteColour',
    absentNativeId: '00000000-0000-4000-8000-000000000000',
    group: 'staff',
    disabledBeforeSecret: true,
    peek: async (ref) => peeked(await entry(ref.nativeId)),
    countByLogin: async (login) => (await server.search(suffix, `(uid=${login})`, 'dn')).length,
    snapshot: async () => JSON.stringify(await server.search(suffix, '(objectClass=*)', '*', '+')),
    plant: {
      attribute: async (ref, value) =>
        server.apply(
          `dn: ${await dnOf(ref.nativeId)}\nchangetype: modify\nreplace: departmentNumber\ndepartmentNumber: ${value}\n`,
        ),
      enabled: async (ref, enabled) =>
        server.apply(
          `dn: ${await dnOf(ref.nativeId)}\nchangetype: modify\nreplace: pwdAccountLockedTime\n${enabled ? '' : 'pwdAccountLockedTime: 000001010000Z\n'}`,
        ),
      membership: async (ref, held) => {
        const dn = await dnOf(ref.nativeId);
        await server.apply(
          `dn: cn=staff,ou=groups,${suffix}\nchangetype: modify\nreplace: member\nmember: cn=nobody,${suffix}\n${held ? `member: ${dn}\n` : ''}`,
        );
      },
    },
    unreachable: () => ldapConnector(server, { url: 'ldaps://127.0.0.1:9' }),
    wrongCredential: () => ldapConnector(server, {}, 'wrong-secret'),
    throughProxy: async () => {
      // An AddRequest begins with the tag 0x68, right after the number of its message.
      const isAdd = (bytes: Buffer): boolean =>
        /^30(8[1-4])?[0-9a-f]{2,8}02(01|02)[0-9a-f]{2,4}68/.test(bytes.toString('hex'));
      const proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port }, isAdd);
      const changes = { url: `ldap://127.0.0.1:${proxy.port}`, tls: { mode: 'none' } };
      const proxied = ldapConnector(server, changes);
      return behindProxy(proxy, proxied);
    },
    stop: async () => {
      await connector.close();
      await server.stop();
    },
  };
}

function sampleAccount(): ReturnType<Harness['sampleAccount']> {
  const login = `u${randomUUID().replaceAll('-', '').slice(0, 20)}`;
  const attributes: Attributes = {
    displayName: 'Sample Person',
    familyName: 'Person',
    mail: `${login}@example.test`,
    department: 'Research',
  };
  return { objectClass: 'account', login, enabled: true, attributes };
}

function peeked(found: Awaited<ReturnType<OpenLdap['search']>>[number] | undefined): Peeked | undefined {
  if (found === undefined) {
    return undefined;
  }
  const { values } = found;
  const one = (name: string): Attributes => {
    const [value] = values[name.toLowerCase()] ?? [];
    return value === undefined ? {} : { [name]: value };
  };
  const renamed = {
    displayName: one('cn')['cn'],
    familyName: one('sn')['sn'],
    department: one('departmentNumber')['departmentNumber'],
  };
  const attributes = { ...renamed, ...one('mail'), tags: values['description'] };
  return {
    login: values['uid']?.[0] ?? '',
    enabled: values['pwdaccountlockedtime'] === undefined,
    attributes: Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Attributes,
    entitlements: (values['memberof'] ?? []).map((dn) => /^cn=([^,]*)/.exec(dn)?.[1] ?? dn),
  };
}
