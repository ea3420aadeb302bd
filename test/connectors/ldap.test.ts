import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { ldapCapabilities } from '../../src/connectors/ldap/index.js';
import { ldapConfigSchema } from '../../src/connectors/ldap/config.js';
import { Secret } from '../../src/connectors/secret.js';
import type { LdapEntry, LdapSession } from '../../src/connectors/shared/ldap/client.js';
import { escapeRdnValue, isSameDn, isWithin, rdnValue, splitDn } from '../../src/connectors/shared/ldap/dn.js';
import { allValues } from '../../src/connectors/shared/ldap/groups.js';
import type { OpenLdap } from '../systems/openldap.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import { ldapConfig, ldapConnector } from './ldap-harness.js';

describe('DNs', () => {
  it('give back every value that was put into them, whatever it holds', () => {
    const value = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.string({ unit: fc.constantFrom('\\', ',', '+', ' ', '#', '=', 'é', 'a'), minLength: 1 }),
    );
    fc.assert(
      fc.property(value, value, (login, unit) => {
        const dn = `uid=${escapeRdnValue(login)},ou=${escapeRdnValue(unit)},dc=test`;
        expect(rdnValue(dn)).toBe(login);
        expect(rdnValue(splitDn(dn).parent)).toBe(unit);
      }),
    );
  });

  it('are compared without case, blanks and kinds of escapes', () => {
    expect(isSameDn('uid=a\\,b, OU=People,dc=test', 'UID=a\\2cb,ou=people,DC=test')).toBe(true);
    expect(isSameDn('uid=a,dc=test', 'uid=a,ou=x,dc=test')).toBe(false);
    expect(isWithin('uid=a,ou=x,dc=test', 'ou=x,dc=test')).toBe(true);
    expect(isWithin('uid=a,ou=xou=x,dc=test', 'ou=x,dc=test')).toBe(false);
  });
});

describe('large attributes', () => {
  it('are read range by range to the end', async () => {
    const members = Array.from({ length: 3500 }, (_value, index) => `m${index}`);
    const asked: string[] = [];
    const session = {
      read: (dn: string, { attributes: [wanted = ''] = [] }: { attributes?: string[] }): Promise<LdapEntry> => {
        asked.push(wanted);
        const from = Number(/range=(\d+)/.exec(wanted)?.[1] ?? 0);
        const to = Math.min(from + 1500, members.length);
        const name = `member;range=${from}-${to === members.length ? '*' : to - 1}`;
        const text = new Map([
          [name, members.slice(from, to)],
          ['member', []],
        ] as [string, string[]][]);
        return Promise.resolve({ dn, text, binary: new Map() });
      },
    } as unknown as LdapSession;
    expect(await allValues(session, 'cn=x', 'member')).toEqual(members);
    expect(asked).toEqual(['member', 'member;range=1500-*', 'member;range=3000-*']);
  });
});

const reason = await reasonToSkipOpenLdap();
const describeSlapd = reason === undefined ? describe : describe.skip;

describeSlapd(`ldap on slapd${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let server: OpenLdap;
  let connector: Connector;
  const others: Connector[] = [];
  const people = (): string => `ou=people,${server.suffix}`;
  const other = (changes: Readonly<Record<string, unknown>>): Connector => {
    const made = ldapConnector(server, changes);
    others.push(made);
    return made;
  };
  const make = async (
    login = `u${randomUUID().slice(0, 8)}`,
    by = connector,
  ): Promise<{ ref: AccountRef; login: string }> => {
    const attributes = { displayName: 'Sample', familyName: 'Person' };
    const { ref } = await by.create!({ objectClass: 'account', login, enabled: true, attributes }, newContext());
    return { ref, login };
  };
  const answer = async (login: string, secret: Secret): Promise<string> =>
    (await connector.probeSignIn!(login, secret, newContext())).answer;

  beforeAll(async () => {
    server = await startOpenLdap();
    connector = ldapConnector(server);
  });
  afterAll(async () => {
    await Promise.all([connector, ...others].map((each) => each?.close()));
    await server?.stop();
  });

  it('trusts the pinned authority and certificate alone, by LDAPS and by StartTLS', async () => {
    const { certificates } = server;
    const printed = execFileSync('openssl', ['x509', '-in', certificates.cert, '-noout', '-fingerprint', '-sha256']);
    const fingerprint = printed.toString().trim().split('=')[1]!;
    for (const url of [server.ldapsUrl, server.url]) {
      const ca = `file:${certificates.ca}`;
      const good = other({ url, tls: { ca, fingerprint } });
      expect(await good.health(newContext())).toMatchObject({ ok: true });
      const codes = [{ ca: `file:${certificates.otherCa}` }, { ca, fingerprint: '00'.repeat(32) }, {}].map(
        async (tls) => (await other({ url, tls }).health(newContext())).code,
      );
      expect(await Promise.all(codes)).toEqual(['UNAUTHENTICATED', 'UNAUTHENTICATED', 'UNAUTHENTICATED']);
    }
  });

  it('binds by SASL EXTERNAL with a client certificate', async () => {
    const { ca, clientCert, clientKey } = server.certificates;
    const bind = { method: 'external' };
    const clientCertificate = { cert: `file:${clientCert}`, key: `file:${clientKey}` };
    const made = await make(undefined, other({ bind, tls: { ca: `file:${ca}`, clientCertificate } }));
    expect(await connector.get(made.ref, newContext())).toMatchObject({ login: made.login });
  });

  it('keeps accounts apart whose log-ins are full of syntax', async () => {
    const odd = ['a,b+c"d', 'back\\', '\\,', '#x=y;<z>', '*)(uid=*', "o'brien", 'Zoë 王', 'two  words'];
    for (const login of odd.map((text) => `${text}`)) {
      const { ref } = await make(login);
      expect((await connector.find({ attribute: 'login', value: login }, newContext())).map((one) => one.ref)).toEqual([
        ref,
      ]);
      await connector.addMember!({ application: 'x', name: 'staff' }, ref, newContext());
      await connector.archive!(ref, newContext());
      const renamed = `${login},new\\`;
      await connector.update!(ref, [{ attribute: 'login', op: 'replace', value: renamed }], newContext());
      expect(await connector.get(ref, newContext())).toMatchObject({ login: renamed, entitlements: ['staff'] });
      await connector.delete!(ref, newContext());
    }
  });

  it('archives by a move that memberships follow, and takes the account back when it is enabled', async () => {
    const { ref, login } = await make();
    await connector.addMember!({ application: 'x', name: 'staff' }, ref, newContext());
    await connector.disable!(ref, newContext());
    expect(await connector.archive!(ref, newContext())).toMatchObject({ outcome: 'applied' });
    expect(await connector.archive!(ref, newContext())).toMatchObject({ outcome: 'already-in-state' });
    const place = async (): Promise<string | undefined> =>
      (await server.search(server.suffix, `(uid=${login})`, 'dn'))[0]?.dn;
    expect(await place()).toBe(`uid=${login},ou=disabled,${server.suffix}`);
    const expected = { ref, exists: true, status: 'disabled', entitlementsPresent: ['staff'] } as const;
    expect(await connector.verify(expected, newContext())).toMatchObject({ verdict: 'ok' });
    expect(await connector.enable!(ref, newContext())).toMatchObject({ outcome: 'applied' });
    expect(await place()).toBe(`uid=${login},${people()}`);
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'enabled', entitlements: ['staff'] });
  });

  it.each(['modify', 'exop'])('keeps a disabled account disabled when it gets a secret, by %s', async (password) => {
    const by = other({ password });
    const { ref, login } = await make(undefined, by);
    const secrets = [Secret.random(), Secret.random()] as const;
    await by.setSecret!(ref, secrets[0], newContext());
    expect(await answer(login, secrets[0])).toBe('accepted');
    await by.disable!(ref, newContext());
    await by.setSecret!(ref, secrets[1], newContext());
    expect(await answer(login, secrets[1])).toBe('disabled');
    await by.enable!(ref, newContext());
    expect([await answer(login, secrets[0]), await answer(login, secrets[1])]).toEqual(['wrong-secret', 'accepted']);
  });

  it('leaves no account open when a seal and a disable meet', async () => {
    const { ref, login } = await make();
    for (let round = 0; round < 8; round += 1) {
      await connector.enable!(ref, newContext());
      const met = await Promise.allSettled([
        connector.disable!(ref, newContext()),
        connector.seal!(ref, Secret.random(), newContext()),
      ]);
      for (const each of met) if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'CONFLICT' });
      expect(
        (await server.search(people(), `(uid=${login})`, 'pwdAccountLockedTime'))[0]?.values['pwdaccountlockedtime'],
      ).toEqual(['000001010000Z']);
    }
  });

  it('never lets a new secret undo a cut that happens at the same time', async () => {
    const { ref, login } = await make();
    for (let round = 0; round < 8; round += 1) {
      await connector.enable!(ref, newContext());
      const secret = Secret.random();
      const [set] = await Promise.allSettled([
        connector.setSecret!(ref, secret, newContext()),
        connector.disable!(ref, newContext()),
      ]);
      if (set.status === 'rejected') expect(set.reason).toMatchObject({ code: 'CONFLICT' });
      expect(
        (await server.search(people(), `(uid=${login})`, 'pwdAccountLockedTime'))[0]?.values['pwdaccountlockedtime'],
      ).toEqual(['000001010000Z']);
    }
    // What is guarded against is real: a password that is replaced without care unlocks.
    await server.apply(
      `dn: uid=${login},${people()}\nchangetype: modify\nreplace: userPassword\nuserPassword: Some-Password-1\n`,
    );
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'enabled' });
  });

  it.each(['modify', 'exop'])(
    'repeats a seal and a new secret where a password history refuses what is there already, by %s',
    async (password) => {
      const by = other({ password });
      const { ref, login } = await make(undefined, by);
      const policy = `cn=history-${login},ou=policies,${server.suffix}`;
      await server.apply(
        `dn: ${policy}\nchangetype: add\nobjectClass: device\nobjectClass: pwdPolicy\ncn: history-${login}\n` +
          `pwdAttribute: userPassword\npwdInHistory: 2\npwdMinLength: 8\npwdCheckQuality: 1\npwdLockout: TRUE\n\n` +
          `dn: uid=${login},${people()}\nchangetype: modify\nadd: pwdPolicySubentry\npwdPolicySubentry: ${policy}\n`,
      );
      const secrets = [Secret.random(), Secret.random()] as const;
      await by.setSecret!(ref, secrets[0], newContext());
      await by.setSecret!(ref, secrets[0], newContext());
      expect(await answer(login, secrets[0])).toBe('accepted');
      await by.seal!(ref, secrets[1], newContext());
      await by.seal!(ref, secrets[1], newContext());
      expect(await answer(login, secrets[1])).toBe('disabled');
      // The lock alone was lost: the repeat sets it again.
      await by.enable!(ref, newContext());
      expect(await answer(login, secrets[1])).toBe('accepted');
      await by.seal!(ref, secrets[1], newContext());
      expect(await answer(login, secrets[1])).toBe('disabled');
      // Any other refusal of the same code stays one: a secret of the history was not written.
      await by.enable!(ref, newContext());
      await expect(by.seal!(ref, secrets[0], newContext())).rejects.toMatchObject({
        code: 'INVALID',
        targetCode: '19',
      });
      expect(await answer(login, secrets[1])).toBe('accepted');
    },
  );

  it('tells a lock that ends by itself from a cut', async () => {
    const { ref, login } = await make();
    const secret = Secret.random();
    await connector.setSecret!(ref, secret, newContext());
    for (let tries = 0; tries < 5; tries += 1) await answer(login, Secret.random());
    expect(await answer(login, secret)).toBe('locked');
    expect(await connector.get(ref, newContext())).toMatchObject({ status: 'locked' });
    expect(await connector.verify({ ref, exists: true, status: 'disabled' }, newContext())).toMatchObject({
      verdict: 'mismatch',
    });
    await connector.seal!(ref, secret, newContext());
    expect(await answer(login, secret)).toBe('disabled');
    expect(await answer('nobody-of-this-name', secret)).toBe('unknown');
    expect(await answer(login, new Secret(''))).toBe('unknown');
  });

  it('keeps groups of log-ins, also through a rename, and without memberOf', async () => {
    const groups = { base: `ou=groups,${server.suffix}`, objectClass: 'posixGroup', member: 'memberUid' };
    const by = other({ groups });
    const { ref } = await make();
    const unix = { application: 'x', name: 'unix' };
    expect(await by.addMember!(unix, ref, newContext())).toMatchObject({ outcome: 'applied' });
    const login = `r${randomUUID().slice(0, 8)}`;
    await by.update!(ref, [{ attribute: 'login', op: 'replace', value: login }], newContext());
    const members = async () => (await server.search(groups.base, '(cn=unix)', 'memberUid'))[0]?.values['memberuid'];
    expect(await members()).toEqual([login]);
    expect(await by.get(ref, newContext())).toMatchObject({ entitlements: ['unix'] });
    expect((await by.listMembers!(unix, undefined, newContext())).items).toEqual([ref]);
    await by.delete!(ref, newContext());
    expect(await members()).toBeUndefined();
  });

  it('takes the last member out of a group by its placeholder, and says so where there is none', async () => {
    const { ref, login } = await make();
    const lonely = `cn=lonely-${login}`;
    const base = `ou=groups,${server.suffix}`;
    await server.apply(
      `dn: ${lonely},${base}\nchangetype: add\nobjectClass: groupOfNames\nmember: uid=${login},${people()}\n`,
    );
    const group = { application: 'x', name: lonely.slice(3) };
    const without = other({ groups: { base } });
    await expect(without.removeMember!(group, ref, newContext())).rejects.toMatchObject({
      code: 'CONFLICT',
      targetCode: 'last-member',
    });
    expect(await connector.removeMember!(group, ref, newContext())).toMatchObject({ outcome: 'applied' });
    expect((await connector.listMembers!(group, undefined, newContext())).items).toEqual([]);
  });

  it('finishes a rename whose second half was refused', async () => {
    const taken = { objectClass: 'account', login: `t${randomUUID().slice(0, 8)}`, enabled: true } as const;
    const attributes = { displayName: 'x', familyName: 'y', externalId: `E-${taken.login}` };
    await connector.create!({ ...taken, attributes }, newContext());
    const { ref } = await make();
    const login = `n${randomUUID().slice(0, 8)}`;
    const rename = { attribute: 'login', op: 'replace', value: login } as const;
    const refused = { attribute: 'externalId', op: 'replace', value: attributes.externalId } as const;
    const half = connector.update!(ref, [rename, refused], newContext());
    await expect(half).rejects.toMatchObject({ code: 'PARTIAL', sent: true, ref });
    const right = [rename, { ...refused, value: `E-${login}` }];
    expect((await connector.update!(ref, right, newContext())).changed).toEqual([right[1]]);
    expect(await connector.get(ref, newContext())).toMatchObject({ login, attributes: { externalId: `E-${login}` } });
  });

  it('goes on after its idle connections died', async () => {
    const proxy = await startFaultProxy({ host: '127.0.0.1', port: server.port }, () => false);
    const by = other({ url: `ldap://127.0.0.1:${proxy.port}`, tls: { mode: 'none' } });
    expect(await by.health(newContext())).toMatchObject({ ok: true });
    proxy.fail('refuse');
    await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.fail('pass');
    expect(await by.health(newContext())).toMatchObject({ ok: true });
    await by.close();
    await proxy.close();
  });

  it('walks a directory in pages and says what is missing in a configuration', async () => {
    const small = other({ searchPageSize: 3 });
    for (let index = 0; index < 7; index += 1) await make();
    const all = await server.search(server.suffix, '(objectClass=inetOrgPerson)', 'dn');
    const page = await small.list({ objectClass: 'account', pageSize: 500 }, newContext());
    expect({ count: page.items.length, complete: page.complete }).toEqual({ count: all.length, complete: true });
    const wrong = other({ archive: { container: `ou=nowhere,${server.suffix}` } });
    expect(await wrong.validate(newContext())).toEqual([
      { severity: 'error', code: 'no-such-container', message: 'archive.container cannot be read' },
    ]);
  });

  it('refuses referrals instead of taking them for nothing', async () => {
    const dn = `ou=far,${people()}`;
    await server.apply(
      `dn: ${dn}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nou: far\nref: ldap://far.example.test/${dn}\n`,
    );
    const refused = { code: 'UNSUPPORTED', targetCode: 'referral' };
    await expect(connector.list({ objectClass: 'account', pageSize: 5 }, newContext())).rejects.toMatchObject(refused);
    const by = other({ accounts: { ...ldapConfig(server).accounts, base: dn, container: dn }, archive: undefined });
    await expect(by.find({ attribute: 'login', value: 'x' }, newContext())).rejects.toMatchObject(refused);
    await server.apply(`dn: ${dn}\nchangetype: delete\n`);
  });
});

describe('the configuration of ldap', () => {
  const base = 'dc=x,dc=test';
  const config = {
    url: 'ldaps://directory.example.com',
    bind: { method: 'simple', dn: 'cn=tenure,dc=x', password: 'env:P' },
    accounts: { base, container: `ou=people,${base}` },
    attributes: {
      externalId: 'employeeNumber',
      displayName: 'cn',
      familyName: 'sn',
      mail: 'mail',
      department: 'ou',
      tags: 'description',
    },
  };

  it('without groups and archive declares less', () => {
    expect(ldapCapabilities(ldapConfigSchema.parse(config))).toEqual(committedCapabilities('ldap', 'minimal'));
  });

  it('takes no clear text beyond loopback and no secret by value', () => {
    const wrong = {
      ...config,
      url: 'ldap://directory.example.com',
      tls: { mode: 'none' },
      bind: { ...config.bind, password: 'plain' },
    };
    const paths = ldapConfigSchema.safeParse(wrong).error?.issues.map((issue) => issue.path.join('.'));
    expect(paths).toContain('bind.password');
    const onlyTls = { ...wrong, bind: config.bind };
    expect(ldapConfigSchema.safeParse(onlyTls).error?.issues.map((issue) => issue.path.join('.'))).toEqual([
      'tls.mode',
    ]);
    expect(ldapConfigSchema.safeParse({ ...onlyTls, url: 'ldap://127.0.0.1:389' }).success).toBe(true);
    const external = { ...config, bind: { method: 'external' } };
    expect(ldapConfigSchema.safeParse(external).error?.issues.map((issue) => issue.path.join('.'))).toEqual([
      'tls.clientCertificate',
    ]);
  });
});
